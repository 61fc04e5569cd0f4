package realtest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestNamesAreNew(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		name := Name(t)
		if seen[name] {
			t.Fatalf("the name %s came twice", name)
		}
		seen[name] = true
	}
}

// recorder is a testing.TB that remembers how a test ended first, and goes on.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(string, ...any) {
	r.end("fatal")
}

func (r *recorder) Skipf(string, ...any) {
	r.end("skip")
}

func (r *recorder) end(how string) {
	if r.ended == "" {
		r.ended = how
	}
}

func TestMissingServer(t *testing.T) {
	for _, c := range []struct{ real, want string }{{"", "skip"}, {"0", "skip"}, {"1", "fatal"}} {
		t.Run("real="+c.real, func(t *testing.T) {
			t.Setenv(required, c.real)
			r := &recorder{TB: t}
			missing(r, "no Docker")
			if r.ended != c.want {
				t.Errorf("the test ended by %s, want %s", r.ended, c.want)
			}
		})
	}
}

func TestAddressInTheEnvironmentWins(t *testing.T) {
	var token string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("X-Vault-Token")
		_, _ = w.Write([]byte(`{"version": "9.9.9"}`))
	}))
	defer s.Close()
	t.Setenv(vaultAddr, s.URL+"/")
	t.Setenv(vaultToken, "declared")
	v := Vault(t)
	if v.Addr != s.URL || v.Version != "9.9.9" || token != "declared" {
		t.Errorf("got server %s of version %s asked with token %q", v.Addr, v.Version, token)
	}
}

func TestVault(t *testing.T) {
	v := Vault(t)
	mount := v.MountKV(t, "2")
	v.Do(t, http.MethodPost, mount+"/data/x", map[string]any{"data": map[string]any{"a": "b"}})
	if status, _ := v.Try(t, http.MethodGet, mount+"/data/none", nil); status != http.StatusNotFound {
		t.Errorf("an entry that was never written answers %d", status)
	}
}

func TestOwnVaultSealsAndUnseals(t *testing.T) {
	v := NewOwnVault(t)
	mount := v.MountKV(t, "2")
	v.Seal(t)
	if status, _ := v.Try(t, http.MethodGet, mount+"/data/x", nil); status != http.StatusServiceUnavailable {
		t.Errorf("a sealed server answers %d", status)
	}
	v.Unseal(t)
	if status, _ := v.Try(t, http.MethodGet, mount+"/data/x", nil); status != http.StatusNotFound {
		t.Errorf("an unsealed server answers %d", status)
	}
}

func TestAWS(t *testing.T) {
	a, name := AWS(t), Name(t)
	a.Do(t, "CreateSecret", map[string]any{"Name": name, "SecretString": "a"})
	if got := a.Do(t, "GetSecretValue", map[string]any{"SecretId": name})["SecretString"]; got != "a" {
		t.Errorf("the secret holds %v", got)
	}
	if status, out := a.Try(t, "GetSecretValue", map[string]any{"SecretId": Name(t)}); status == http.StatusOK {
		t.Errorf("a secret that was never written answers %d %v", status, out)
	}
}

// A lasting server that was killed holds what it held, once it is unsealed.
func TestLastingVault(t *testing.T) {
	v := NewLastingVault(t)
	path := v.MountKV(t, "2") + "/data/x"
	v.Do(t, http.MethodPost, path, map[string]any{"data": map[string]any{"a": "b"}})
	for range 2 {
		v.Kill()
		v.Restart(t)
		if status, _ := v.Try(t, http.MethodGet, path, nil); status != http.StatusServiceUnavailable {
			t.Errorf("a server that was started again answers %d, want that it is sealed", status)
		}
		v.Unseal(t)
		data, _ := v.Do(t, http.MethodGet, path, nil)["data"].(map[string]any)
		if entry, _ := data["data"].(map[string]any); entry["a"] != "b" {
			t.Errorf("it holds %v", entry)
		}
	}
}
