package vault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest/wiretest"
	"github.com/handover-agent/handover/internal/realtest"
)

// TestWire: faults on TCP's level before a real server.
func TestWire(t *testing.T) {
	v := realtest.Vault(t)
	mount := v.MountKV(t, "2")
	token := v.NewToken(t, "1h", v.Policy(t, agentPolicy(t, mount)))
	wiretest.Run(t, wiretest.Harness{
		Store: v.Addr, CAFile: v.CA,
		Commits: func(r wiretest.Request) bool {
			return r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v1/"+mount+"/data/")
		},
		Aside: func(r wiretest.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/auth/") },
		Open: func(t *testing.T, url, caFile string, timeout time.Duration) backends.Backend {
			o := withToken(t, url, mount, token)
			o.CAFile, o.Timeout = caFile, timeout
			return openLogging(t, o, t.Output())
		},
		Ref: func(t *testing.T) backends.Ref { return refOf("connections/" + realtest.Name(t)) },
	})
}
