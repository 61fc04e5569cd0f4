package vault

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
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

// TestConformance runs under the smallest policy of the manual, on both versions
// of the engine.
func TestConformance(t *testing.T) {
	v := realtest.Vault(t)
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("KV version %d", version), func(t *testing.T) {
			mount := v.MountKV(t, strconv.Itoa(version))
			backendtest.Run(t, harness(t, v, mount, version))
		})
	}
}

func harness(t *testing.T, v *realtest.VaultServer, mount string, version int) backendtest.Harness {
	t.Helper()
	token := v.NewToken(t, "1h", v.Policy(t, manualPolicy(t, version, mount)))
	denied := v.NewToken(t, "1h", "default")
	values := mount + "/data/"
	if version == 1 {
		values = mount + "/"
	}
	log := &backendtest.Log{}
	open := func(t *testing.T, address, token string) backends.Backend {
		o := withToken(t, address, mount, token)
		o.KVVersion = version
		return openLogging(t, o, io.MultiWriter(t.Output(), log))
	}
	return backendtest.Harness{
		Open: func(t *testing.T) backends.Backend { return open(t, v.Addr, token) },
		Ref:  func(t *testing.T) backends.Ref { return refOf("connections/" + realtest.Name(t)) },
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) {
			body := map[string]any{defaultKey: payload.Reveal()}
			if version == 2 {
				body = map[string]any{"data": body}
			}
			v.Do(t, http.MethodPost, values+ref.Path, body)
		},
		Delete:      func(t *testing.T, ref backends.Ref) { v.Do(t, http.MethodDelete, values+ref.Path, nil) },
		Denied:      func(t *testing.T) (backends.Backend, backends.Ref) { return open(t, v.Addr, denied), refOf("x") },
		Unreachable: func(t *testing.T) backends.Backend { return open(t, nobody(t), token) },
		AnswerLost:  func(t *testing.T) backends.Backend { return open(t, losingAnswers(t, v.Addr, values), token) },
		Hanging:     func(t *testing.T) backends.Backend { return open(t, hanging(t), token) },
		Throttled:   func(t *testing.T) backends.Backend { return open(t, busy(t), token) },
		RetryAfter:  7 * time.Second,
		Annotate:    annotate(v, mount),
		Log:         log,
		Names: func(t *testing.T) []string {
			name := "connections/" + realtest.Name(t)
			return []string{name, name + "/_.@:=,~+-", "connections/..." + name, name + strings.Repeat("n", 512-len(name))}
		},
		Escapes: escapes,
		Secrets: []secret.Value{secret.New(token), secret.New(denied)},
	}
}

// annotate lets another hand keep a word beside a value of KV version 2.
func annotate(v *realtest.VaultServer, mount string) func(*testing.T, backends.Ref) func(*testing.T) bool {
	return func(t *testing.T, ref backends.Ref) func(*testing.T) bool {
		custom := func(t *testing.T) map[string]any {
			data, _ := v.Do(t, http.MethodGet, mount+"/metadata/"+ref.Path, nil)["data"].(map[string]any)
			all, _ := data["custom_metadata"].(map[string]any)
			return all
		}
		all := custom(t)
		all["team"] = "data"
		v.Do(t, http.MethodPost, mount+"/metadata/"+ref.Path, map[string]any{"custom_metadata": all})
		return func(t *testing.T) bool { return custom(t)["team"] == "data" }
	}
}

// hcl are the policies in the manual: for KV version 2, then for version 1.
var hcl = regexp.MustCompile("(?s)\n```hcl\n(.*?)```\n")

// manualPolicy is the smallest policy of the manual, word for word but for the
// mount.
func manualPolicy(t *testing.T, version int, mount string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/backends/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	found := hcl.FindAllStringSubmatch(string(page), -1)
	if len(found) != 2 {
		t.Fatalf("the manual has %d policies, want 2", len(found))
	}
	policy := found[2-version][1]
	if n := strings.Count(policy, `path "secret/`); n != strings.Count(policy, "path ") || n == 0 {
		t.Fatalf("the manual's policy is for other mounts than secret:\n%s", policy)
	}
	return strings.ReplaceAll(policy, `path "secret/`, `path "`+mount+`/`)
}

// agentPolicy is the manual's policy for a whole mount of KV version 2.
func agentPolicy(t *testing.T, mount string) string {
	t.Helper()
	return strings.ReplaceAll(manualPolicy(t, 2, mount), "/connections/*", "/*")
}

// TestPathOutsideThePolicy: the manual's policy is for the declared entries and
// no others.
func TestPathOutsideThePolicy(t *testing.T) {
	v := realtest.Vault(t)
	for _, version := range []int{1, 2} {
		mount := v.MountKV(t, strconv.Itoa(version))
		b := opened(t, withToken(t, v.Addr, mount, v.NewToken(t, "1h", v.Policy(t, manualPolicy(t, version, mount)))))
		mustPut(t, b, refOf("connections/x"), itemOf("eyJ.a.b", 1), backends.Absent)
		ref := refOf("variables/x")
		_, err := b.Put(t.Context(), ref, itemOf("eyJ.a.b", 1), backends.Absent)
		wantError(t, err, backends.ErrDenied, "vault answered 403 to GET "+mount, "")
		_, _, err = b.Get(t.Context(), ref, backends.Current)
		wantError(t, err, backends.ErrDenied, "vault answered 403 to GET "+mount, "")
		wantError(t, b.Check(t.Context(), ref), backends.ErrDenied, "policies lack create, update, read on "+mount, "")
	}
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
func losingAnswers(t *testing.T, to, values string) string {
	t.Helper()
	s := httptest.NewServer(relay{to: to, spoil: func(_ http.ResponseWriter, r *http.Request, forward func() *http.Response) bool {
		if r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/"+values) {
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
		w.Header().Set("Retry-After", "7")
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
