package azurekeyvault

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// escapes are paths that would leave the vault's secrets, or reach one of
// another's versions.
var escapes = []string{
	"", "/x", "x/", "a/b", "a//b", "..", ".", "../keys/x", "x/..", "x?api-version=1", "x#b", "a%2fb", `a\b`, "a b", "a_b", "a.b", "é", "x*", "a\nb",
}

// TestConformance: a value that is taken away is a secret that was deleted, and
// the agent may recover it.
func TestConformance(t *testing.T) {
	v := named(t)
	hands := v.hands(t)
	v.conform(t, func(t *testing.T, ref backends.Ref) {
		must(t)(hands.DeleteSecret(t.Context(), ref.Path, nil))
	})
}

// TestConformanceDisabled: a value that is taken away is a disabled version.
func TestConformanceDisabled(t *testing.T) {
	v := named(t)
	hands := v.hands(t)
	v.conform(t, func(t *testing.T, ref backends.Ref) { disableLatest(t, hands, ref.Path) })
}

func (v vault) conform(t *testing.T, remove func(*testing.T, backends.Ref)) {
	hands, log := v.hands(t), &backendtest.Log{}
	recovering := func(client string) *Options {
		o := v.options(client)
		o.Recover = true
		return o
	}
	open := func(t *testing.T, o *Options) backends.Backend {
		return openLogging(t, o, io.MultiWriter(t.Output(), log))
	}
	h := backendtest.Harness{
		Open: func(t *testing.T) backends.Backend { return open(t, recovering(vaulttest.Client)) },
		Ref:  newRef,
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) {
			overwrite(t, hands, ref.Path, payload)
		},
		Delete: remove,
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			return open(t, recovering(vaulttest.Stranger)), newRef(t)
		},
		Unreachable: func(t *testing.T) backends.Backend {
			o := recovering(vaulttest.Client)
			o.URL = nobody(t)
			return open(t, o)
		},
		AnswerLost: func(t *testing.T) backends.Backend { return open(t, v.relayed(t, loseAnswers)) },
		Hanging:    func(t *testing.T) backends.Backend { return open(t, v.relayed(t, hang)) },
		Throttled:  func(t *testing.T) backends.Backend { return open(t, v.relayed(t, busy)) },
		RetryAfter: 7 * time.Second,
		Annotate: func(t *testing.T, ref backends.Ref) func(*testing.T) bool {
			now := latest(t, hands, ref)
			all := now.Tags
			all["team"] = to.Ptr("data")
			must(t)(hands.UpdateSecretProperties(t.Context(), ref.Path, now.ID.Version(), azsecrets.UpdateSecretPropertiesParameters{Tags: all}, nil))
			return func(t *testing.T) bool { return valueOf(latest(t, hands, ref).Tags)["team"] == "data" }
		},
		Names: func(t *testing.T) []string {
			name := realtest.Name(t)
			return []string{name, "-" + name + "-", "0" + name, "A" + strings.ToUpper(name), name + strings.Repeat("n", 127-len(name))}
		},
		Escapes: escapes,
		Secrets: []secret.Value{secret.New(v.server.Secret)},
		Log:     log,
	}
	if v.outside {
		h.Denied, h.Without = nil, map[string]string{"DeniedIsTold": "a double of Key Vault knows no roles"}
	}
	backendtest.Run(t, h)
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// loseAnswers has every write take place and loses the answer.
func loseAnswers(_ http.ResponseWriter, r *http.Request, forward http.Handler) bool {
	if r.Method == http.MethodGet || r.Header.Get("Authorization") == "" {
		return false
	}
	forward.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// busy asks every call to come back later.
func busy(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	if !strings.HasPrefix(r.URL.Path, "/secrets/") && !strings.HasPrefix(r.URL.Path, "/deletedsecrets/") {
		return false // the login
	}
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(http.StatusTooManyRequests)
	return true
}

// hang never answers. A server sees its caller leave when it has read all that
// was sent.
func hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return true
}
