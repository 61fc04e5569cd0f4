package vault

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest/wiretest"
	"github.com/handover-agent/handover/internal/realtest"
)

// TestWire: faults on TCP's level before a real server, on both versions of the
// engine.
func TestWire(t *testing.T) {
	v := realtest.Vault(t)
	for version, below := range map[int]string{1: "/", 2: "/data/"} {
		t.Run(fmt.Sprintf("KV version %d", version), func(t *testing.T) {
			mount := v.MountKV(t, strconv.Itoa(version))
			policy := strings.ReplaceAll(manualPolicy(t, version, mount), "/connections/*", "/*")
			token := v.NewToken(t, "1h", v.Policy(t, policy))
			wiretest.Run(t, wiretest.Harness{
				Store: v.Addr, CAFile: v.CA,
				Commits: func(r wiretest.Request) bool {
					return r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v1/"+mount+below)
				},
				Aside: func(r wiretest.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/auth/") },
				Open: func(t *testing.T, url, caFile string, timeout time.Duration) backends.Backend {
					o := withToken(t, url, mount, token)
					o.KVVersion, o.CAFile, o.Timeout = version, caFile, timeout
					return openLogging(t, o, t.Output())
				},
				Ref: func(t *testing.T) backends.Ref { return refOf("connections/" + realtest.Name(t)) },
			})
		})
	}
}
