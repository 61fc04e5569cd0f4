package vault

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// escapes are paths that would leave the mount, or the part of it that holds
// the values.
var escapes = []string{
	"", "/x", "x/", "a//b", "..", ".", "../x", "a/../b", "a/./b", "a/..", "x?version=1", "a#b", "a%2fb", `a\b`, "a b", "x*", "a\nb",
}

func TestConformance(t *testing.T) {
	v := realtest.Vault(t)
	mount := v.MountKV(t, "2")
	policy := v.Policy(t, agentPolicy(mount))
	token := v.NewToken(t, "1h", policy)
	denied := v.NewToken(t, "1h", "default")
	backendtest.Run(t, backendtest.Harness{
		Open: func(t *testing.T) backends.Backend {
			return openLogging(t, withToken(t, v.Addr, mount, token), t.Output())
		},
		Ref: func(t *testing.T) backends.Ref { return refOf("connections/" + realtest.Name(t)) },
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) {
			overwrite(t, v, mount, ref.Path, map[string]any{defaultKey: payload.Reveal()})
		},
		Delete: func(t *testing.T, ref backends.Ref) {
			v.Do(t, http.MethodDelete, mount+"/data/"+ref.Path, nil)
		},
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			return openLogging(t, withToken(t, v.Addr, mount, denied), t.Output()), refOf("x")
		},
		Unreachable: func(t *testing.T) backends.Backend {
			return openLogging(t, withToken(t, nobody(t), mount, token), t.Output())
		},
		AnswerLost: func(t *testing.T) backends.Backend {
			return openLogging(t, withToken(t, losingAnswers(t, v.Addr, mount), mount, token), t.Output())
		},
		Hanging: func(t *testing.T) backends.Backend {
			return openLogging(t, withToken(t, hanging(t), mount, token), t.Output())
		},
		Throttled: func(t *testing.T) backends.Backend {
			return openLogging(t, withToken(t, busy(t), mount, token), t.Output())
		},
		Annotate: func(t *testing.T, ref backends.Ref) func(*testing.T) bool {
			custom := func(t *testing.T) map[string]any {
				data, _ := v.Do(t, http.MethodGet, mount+"/metadata/"+ref.Path, nil)["data"].(map[string]any)
				all, _ := data["custom_metadata"].(map[string]any)
				return all
			}
			all := custom(t)
			all["team"] = "data"
			v.Do(t, http.MethodPost, mount+"/metadata/"+ref.Path, map[string]any{"custom_metadata": all})
			return func(t *testing.T) bool { return custom(t)["team"] == "data" }
		},
		Names: func(t *testing.T) []string {
			name := realtest.Name(t)
			return []string{name, name + "/_.@:=,~+-", "..." + name, name + strings.Repeat("n", 512-len(name))}
		},
		Escapes: escapes,
		Secrets: []secret.Value{secret.New(token), secret.New(denied)},
	})
}

// agentPolicy is the policy of the package's comment for a whole mount.
func agentPolicy(mount string) string {
	return strings.NewReplacer("<mount>", mount).Replace(`
		path "<mount>/data/*"     { capabilities = ["create", "read", "update"] }
		path "<mount>/metadata/*" { capabilities = ["read", "patch"] }
		path "<mount>/destroy/*"  { capabilities = ["update"] }`)
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// losingAnswers is a way to the server that loses the answers to writes of
// values.
func losingAnswers(t *testing.T, to, mount string) string {
	t.Helper()
	s := httptest.NewServer(relay{to: to, spoil: func(_ http.ResponseWriter, r *http.Request, forward func() *http.Response) bool {
		if r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/"+mount+"/data/") {
			return false
		}
		_ = forward().Body.Close()
		panic(http.ErrAbortHandler)
	}})
	t.Cleanup(s.Close)
	return s.URL
}

// busy is a server whose quota is used up.
func busy(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// hanging is a server that takes requests and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(func() {
		close(over)
		s.Close()
	})
	return s.URL
}
