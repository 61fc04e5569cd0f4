package azurekeyvault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/backendtest/wiretest"
)

// TestWire: faults on TCP's level, below TLS. The login takes another way.
func TestWire(t *testing.T) {
	v := named(t)
	wiretest.Run(t, wiretest.Harness{
		Store: v.url, CAFile: v.caFile,
		Commits: func(r wiretest.Request) bool {
			return r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/secrets/")
		},
		Open: func(t *testing.T, url, caFile string, timeout time.Duration) backends.Backend {
			o := v.options(vaulttest.Client)
			o.URL, o.CAFile, o.Timeout = url, caFile, timeout
			return openLogging(t, o, t.Output())
		},
		Ref: newRef,
	})
}
