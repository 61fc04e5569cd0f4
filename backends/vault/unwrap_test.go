package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// wrapped asks the server for a wrapping token around what a request answers.
func (s approleSetup) wrapped(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.server.Addr+"/v1/"+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.server.Token)
	req.Header.Set("X-Vault-Wrap-TTL", "5m")
	resp, err := s.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Wrap struct {
			Token string `json:"token"`
		} `json:"wrap_info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Wrap.Token == "" {
		t.Fatalf("wrap %s: %d, %v", path, resp.StatusCode, err)
	}
	return answer.Wrap.Token
}

// TestWrappedSecretID: it is opened once; what was in it serves later logins.
func TestWrappedSecretID(t *testing.T) {
	s := newAppRole(t, nil)
	wrapping := s.wrapped(t, s.role+"/secret-id")
	o := s.options(t)
	o.Auth.SecretID, o.Auth.Wrapped = source(t, wrapping), true
	b := opened(t, o)
	ref := refOf("x")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	first := b.sessions.current.token
	s.server.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": first.Reveal()})
	v2 := mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	if b.sessions.current.token.Equal(first) {
		t.Error("the revoked login is still in use")
	}

	_, err := opened(t, o).Put(t.Context(), ref, itemOf("eyJ.a.3", 3), v2)
	wantError(t, err, backends.ErrDenied, "the wrapping token was used before", "")
	wantError(t, err, backends.ErrDenied, "unwrap the secret id from file "+o.Auth.SecretID.File, "")
	if strings.Contains(err.Error(), wrapping) {
		t.Error("the error holds the wrapping token")
	}

	// Another start gets another one.
	write(t, o.Auth.SecretID.File, s.wrapped(t, s.role+"/secret-id"))
	mustPut(t, opened(t, o), ref, itemOf("eyJ.a.3", 3), v2)
	// What is wrapped must be a secret id.
	write(t, o.Auth.SecretID.File, s.wrapped(t, "auth/token/create"))
	_, err = opened(t, o).Put(t.Context(), ref, itemOf("eyJ.a.4", 4), "3")
	wantError(t, err, backends.ErrInvalid, "what was wrapped is no secret id", "")
	o.Address = nobody(t)
	_, err = opened(t, o).Put(t.Context(), ref, itemOf("eyJ.a.4", 4), "3")
	wantError(t, err, backends.ErrUnavailable, "unwrap the secret id", "")
}

// TestTokenFileIsFollowed: another token in the file is used at once, as a Vault
// Agent's sink wants it; a file that can't be read leaves the old one.
func TestTokenFileIsFollowed(t *testing.T) {
	s := newAppRole(t, nil)
	token := func() string { return s.server.NewToken(t, "1h", s.policy, "default") }
	first, second := token(), token()
	o := withToken(t, s.server.Addr, s.mount, first)
	b := opened(t, o)
	v1 := mustPut(t, b, refOf("x"), itemOf("eyJ.a.1", 1), backends.Absent)
	write(t, o.Auth.Token.File, "")
	v2 := mustPut(t, b, refOf("x"), itemOf("eyJ.a.2", 2), v1)
	write(t, o.Auth.Token.File, second)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.3", 3), v2)
	if !b.sessions.current.token.Equal(secret.New(second)) {
		t.Error("the token that stands in the file now is not used")
	}
	if !s.known(t, secret.New(first)) {
		t.Error("the former token was revoked: it is somebody else's")
	}
}

// TestEndedToken: the error names the file.
func TestEndedToken(t *testing.T) {
	s := newAppRole(t, nil)
	token := s.server.NewToken(t, "1h", s.policy, "default")
	o := withToken(t, s.server.Addr, s.mount, token)
	b := opened(t, o)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.1", 1), backends.Absent)
	s.server.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": token})
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrDenied, "the token from file "+o.Auth.Token.File+" has ended", "")
}

// TestDeniedLoginIsNotRepeatedForever: a login whose token may not look itself
// up can't tell a missing right from its end. One more login finds that out.
func TestDeniedLoginIsNotRepeatedForever(t *testing.T) {
	s := newAppRole(t, map[string]any{"token_no_default_policy": true})
	b := opened(t, s.options(t))
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.1", 1), backends.Absent)
	first := b.sessions.current.token
	for range 3 {
		_, err := b.call(t.Context(), request{method: http.MethodGet, path: "sys/mounts"})
		wantVerdict(t, err, backends.ErrDenied)
	}
	second := b.sessions.current.token
	if second.Equal(first) {
		t.Error("a token that may have ended was not replaced")
	}
	_, err := b.call(t.Context(), request{method: http.MethodGet, path: "sys/mounts"})
	wantVerdict(t, err, backends.ErrDenied)
	if !b.sessions.current.token.Equal(second) {
		t.Error("there was a login for a right that is missing")
	}
}

func wantVerdict(t *testing.T, err, kind error) {
	t.Helper()
	if got := backendKind(err); got != kind {
		t.Errorf("error %v, want %v", err, kind)
	}
}
