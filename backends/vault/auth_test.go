package vault

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// approle is an AppRole login on a real server, with a KV mount that it may
// write to.
type approleSetup struct {
	server           *realtest.VaultServer
	mount, authMount string
	roleID, secretID string
	role             string // its path
	policy           string
}

func newAppRole(t *testing.T, settings map[string]any) approleSetup {
	t.Helper()
	v := realtest.Vault(t)
	s := approleSetup{server: v, mount: v.MountKV(t, "2"), authMount: v.MountAppRole(t)}
	s.policy = v.Policy(t, agentPolicy(t, s.mount))
	all := map[string]any{"token_policies": []string{s.policy}, "token_ttl": "1h"}
	for k, value := range settings {
		all[k] = value
	}
	s.roleID, s.secretID = v.NewRole(t, s.authMount, all)
	roles, _ := v.Do(t, "LIST", "auth/"+s.authMount+"/role", nil)["data"].(map[string]any)
	for _, name := range names(roles["keys"]) {
		s.role = "auth/" + s.authMount + "/role/" + name
	}
	return s
}

func (s approleSetup) options(t *testing.T) *Options {
	return withRole(t, s.server.Addr, s.mount, s.authMount, s.roleID, s.secretID)
}

// known reports whether the server still knows a token.
func (s approleSetup) known(t *testing.T, token secret.Value) bool {
	t.Helper()
	status, _ := s.server.Try(t, http.MethodPost, "auth/token/lookup", map[string]any{"token": token.Reveal()})
	return status == http.StatusOK
}

// phrases is a log that tells when a phrase was written for the nth time.
type phrases struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{}
}

func newPhrases() *phrases { return &phrases{wrote: make(chan struct{}, 1)} }

func (p *phrases) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(line)
	select {
	case p.wrote <- struct{}{}:
	default:
	}
	return len(line), nil
}

func (p *phrases) count(phrase string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.text.String(), phrase)
}

func (p *phrases) await(t *testing.T, phrase string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for p.count(phrase) < n {
		select {
		case <-p.wrote:
		case <-ctx.Done():
			t.Fatalf("the log says %q %d times, want %d", phrase, p.count(phrase), n)
		}
	}
}

func TestAppRoleLoginIsLazyAndEndsWithClose(t *testing.T) {
	s := newAppRole(t, nil)
	log := newPhrases()
	b := openLogging(t, s.options(t), log)
	if b.sessions.current != nil {
		t.Error("there is a login before the first use")
	}
	ref, item := refOf("connections/q"), itemOf("eyJ.approle.sig", 1)
	mustPut(t, b, ref, item, backends.Absent)
	if got, _ := mustGet(t, b, ref); !got.Payload.Equal(item.Payload) {
		t.Error("another value came back")
	}
	token := b.sessions.current.token
	if !s.known(t, token) {
		t.Fatal("the server does not know the login's token")
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if s.known(t, token) {
		t.Error("the login's token lives on after Close")
	}
	for _, leak := range []string{token.Reveal(), s.secretID, "eyJ.approle.sig"} {
		if log.count(leak) > 0 {
			t.Error("the log holds a secret")
		}
	}
}

// TestRenewalKeepsOneLogin outlives the token's first lifetime.
func TestRenewalKeepsOneLogin(t *testing.T) {
	t.Parallel() // it waits for lifetimes
	s := newAppRole(t, map[string]any{"token_ttl": "2s", "token_max_ttl": "60s"})
	log := newPhrases()
	b := openLogging(t, s.options(t), log)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
	token, started := b.sessions.current.token, time.Now()
	for n := 2; time.Since(started) < 3*time.Second; n++ { // the first renewal comes at once
		log.await(t, "vault login renewed", n)
	}
	mustGet(t, b, refOf("x"))
	if !b.sessions.current.token.Equal(token) {
		t.Error("there was a second login, want the first one renewed")
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestLoginAgainWhenRenewalEnds: a token that can't be extended is replaced
// before it is refused.
func TestLoginAgainWhenRenewalEnds(t *testing.T) {
	t.Parallel() // it waits for lifetimes
	s := newAppRole(t, map[string]any{"token_ttl": "2s", "token_max_ttl": "2s"})
	log := newPhrases()
	b := openLogging(t, s.options(t), log)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
	first := b.sessions.current.token
	log.await(t, "the next use logs in again", 1)
	mustGet(t, b, refOf("x"))
	if b.sessions.current.token.Equal(first) {
		t.Error("the ended login is still in use")
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestLoginAgainAfterRevocation(t *testing.T) {
	s := newAppRole(t, nil)
	b := opened(t, s.options(t))
	ref := refOf("x")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	first := b.sessions.current.token
	s.server.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": first.Reveal()})
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	if b.sessions.current.token.Equal(first) {
		t.Error("the revoked login is still in use")
	}
}

func TestConcurrentUsesLogInOnce(t *testing.T) {
	s := newAppRole(t, nil)
	var logins atomic.Int32
	counting := httptest.NewServer(relay{to: s.server.Addr, spoil: func(_ http.ResponseWriter, r *http.Request, _ func() *http.Response) bool {
		if strings.HasSuffix(r.URL.Path, "/login") {
			logins.Add(1)
		}
		return false
	}})
	t.Cleanup(counting.Close)
	o := s.options(t)
	o.Address = counting.URL
	b := opened(t, o)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
			wantKind(t, err, backends.ErrNotFound)
		})
	}
	wg.Wait()
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins for 8 uses at once, want 1", n)
	}
}

func TestRefusedLogin(t *testing.T) {
	s := newAppRole(t, nil)
	const wrongID = "00000000-1111-2222-3333-wrong-secret"
	for _, c := range []struct {
		name   string
		change func(*Options)
		kind   error
		says   string
	}{
		{"wrong secret id", func(o *Options) { o.Auth.SecretID = source(t, wrongID) }, backends.ErrDenied, "role_id"},
		{"wrong role id", func(o *Options) { o.Auth.RoleID = "nobody" }, backends.ErrDenied, "role_id"},
		{"wrong mount", func(o *Options) { o.Auth.Mount = "nowhere" }, backends.ErrDenied, "auth/nowhere"},
		{"no file", func(o *Options) { o.Auth.SecretID = secret.Source{File: "/nonexistent/id"} }, backends.ErrUnavailable, "/nonexistent/id"},
		{"nobody there", func(o *Options) { o.Address = nobody(t) }, backends.ErrUnavailable, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := s.options(t)
			c.change(o)
			b := opened(t, o)
			_, err := b.Put(t.Context(), refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
			wantError(t, err, c.kind, c.says, "")
			for _, leak := range []string{wrongID, s.secretID} {
				if err != nil && strings.Contains(err.Error(), leak) {
					t.Error("the error holds the secret id")
				}
			}
		})
	}
}

// TestDeclaredTokenIsRenewedAndLeftAlone: it is somebody else's to revoke.
func TestDeclaredTokenIsRenewedAndLeftAlone(t *testing.T) {
	t.Parallel() // it waits for lifetimes
	s := newAppRole(t, nil)
	token := s.server.NewToken(t, "2s", s.policy, "default")
	log := newPhrases()
	b := openLogging(t, withToken(t, s.server.Addr, s.mount, token), log)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
	log.await(t, "vault login renewed", 3)
	mustGet(t, b, refOf("x"))
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if !s.known(t, secret.New(token)) {
		t.Error("Close revoked a declared token")
	}
}

func TestCloseDoesNotWaitForAHangingLogin(t *testing.T) {
	arrived := make(chan struct{}, 1)
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	o := withRole(t, server.URL, "kv", "approle", "role", "an-id-that-is-secret")
	o.Timeout = time.Hour
	b := openLogging(t, o, io.Discard)
	failed := make(chan error)
	go func() {
		_, _, err := b.Get(context.Background(), refOf("x"), backends.Current)
		failed <- err
	}()
	<-arrived
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantKind(t, <-failed, backends.ErrUnavailable)
}
