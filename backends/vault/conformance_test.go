package vault

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
	log := &backendtest.Log{}
	open := func(t *testing.T, address, token string) backends.Backend {
		return openLogging(t, withToken(t, address, mount, token), io.MultiWriter(t.Output(), log))
	}
	backendtest.Run(t, backendtest.Harness{
		Open: func(t *testing.T) backends.Backend { return open(t, v.Addr, token) },
		Ref:  func(t *testing.T) backends.Ref { return refOf("connections/" + realtest.Name(t)) },
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) {
			overwrite(t, v, mount, ref.Path, map[string]any{defaultKey: payload.Reveal()})
		},
		Delete: func(t *testing.T, ref backends.Ref) {
			v.Do(t, http.MethodDelete, mount+"/data/"+ref.Path, nil)
		},
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			return open(t, v.Addr, denied), refOf("x")
		},
		Unreachable: func(t *testing.T) backends.Backend { return open(t, nobody(t), token) },
		AnswerLost:  func(t *testing.T) backends.Backend { return open(t, losingAnswers(t, v.Addr, mount), token) },
		Hanging:     func(t *testing.T) backends.Backend { return open(t, hanging(t), token) },
		Throttled:   func(t *testing.T) backends.Backend { return open(t, throttling(t, v.Addr), token) },
		RetryAfter:  7 * time.Second,
		Mark: func(t *testing.T, ref backends.Ref) {
			marked := custom(t, v, mount, ref.Path)
			marked["owner"] = "somebody"
			v.Do(t, http.MethodPost, mount+"/metadata/"+ref.Path, map[string]any{"custom_metadata": marked})
		},
		Marked:  func(t *testing.T, ref backends.Ref) bool { return custom(t, v, mount, ref.Path)["owner"] == "somebody" },
		Escapes: escapes,
		Secrets: []secret.Value{secret.New(token), secret.New(denied)},
		Log:     log,
	})
}

// throttling is a way to the server that asks for every call but a login's to
// come later.
func throttling(t *testing.T, to string) string {
	t.Helper()
	s := httptest.NewServer(relay{to: to, spoil: func(w http.ResponseWriter, r *http.Request, _ func() *http.Response) bool {
		if strings.HasPrefix(r.URL.Path, "/v1/auth/") {
			return false
		}
		w.Header().Set("Retry-After", "7")
		http.Error(w, `{"errors":["request rate limit exceeded"]}`, http.StatusTooManyRequests)
		return true
	}})
	t.Cleanup(s.Close)
	return s.URL
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
