package vault

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// script is a server that answers as a test says; it is no Vault. What a test
// doesn't say is answered as by a Vault with one empty KV version 2 mount.
type script struct {
	t *testing.T
	// answers are by method and path after /v1/.
	answers map[string]answer

	mu   sync.Mutex
	seen []string
	last http.Header
}

type answer struct {
	status int
	header map[string]string
	body   string
}

const (
	scriptToken = "hvs.CAESIJ-scripted-token-of-the-tests"
	noErrors    = `{"errors":[]}`
)

func scripted(t *testing.T, answers map[string]answer) (*script, string) {
	t.Helper()
	s := &script{t: t, answers: map[string]answer{
		"GET sys/internal/ui/mounts/kv": {200, nil, `{"data":{"type":"kv","options":{"version":"2"}}}`},
		"GET auth/token/lookup-self":    {200, nil, `{"data":{"ttl":0,"renewable":false}}`},
		"PATCH kv/metadata/x":           {204, nil, ""},
	}}
	for request, a := range answers {
		s.answers[request] = a
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1/")
	s.mu.Lock()
	s.seen, s.last = append(s.seen, request), r.Header.Clone()
	a, known := s.answers[request]
	s.mu.Unlock()
	if !known {
		a = answer{404, nil, noErrors}
	}
	body, _ := io.ReadAll(r.Body)
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.status)
	// A bad server repeats what it was sent.
	_, _ = io.WriteString(w, strings.NewReplacer("{echo}", jsonText(body), "{token}", r.Header.Get("X-Vault-Token")).Replace(a.body))
}

func (s *script) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, seen := range s.seen {
		if seen == request {
			n++
		}
	}
	return n
}

// set changes one answer.
func (s *script) set(request string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[request] = a
}

// jsonText is text for the inside of a JSON string.
func jsonText(b []byte) string {
	return strings.Trim(quote(string(b)), `"`)
}

func errorBody(text string) string { return fmt.Sprintf(`{"errors":[%q]}`, text) }

// statuses is the error table of Vault's API: one row per answer.
var statuses = []struct {
	name       string
	answer     answer
	read, put  error
	says       string
	retryAfter string
}{
	{"301", answer{301, map[string]string{"Location": "https://127.0.0.1:1/v1/kv/data/x"}, ""}, backends.ErrUnavailable, backends.ErrUnavailable, "redirects", ""},
	{"307", answer{307, map[string]string{"Location": "https://127.0.0.1:1/v1/kv/data/x"}, ""}, backends.ErrUnavailable, backends.ErrUnavailable, "active node", ""},
	{"400", answer{400, nil, errorBody("bad request {echo} {token}")}, backends.ErrInvalid, backends.ErrInvalid, "does not accept", ""},
	{"400 check-and-set", answer{400, nil, errorBody("check-and-set parameter did not match the current version")}, backends.ErrConflict, backends.ErrConflict, "another version", ""},
	{"400 check-and-set of metadata", answer{400, nil, errorBody("metadata check-and-set parameter does not match the current version")}, backends.ErrConflict, backends.ErrConflict, "changed the metadata", ""},
	{"400 upgrading", answer{400, nil, errorBody("Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.")}, backends.ErrUnavailable, backends.ErrUnavailable, "being upgraded", ""},
	{"401", answer{401, nil, errorBody("unauthorized")}, backends.ErrDenied, backends.ErrDenied, "no token here", ""},
	{"403", answer{403, nil, errorBody("1 error occurred:\n\t* permission denied\n\n")}, backends.ErrDenied, backends.ErrDenied, "policies", ""},
	{"404 without a route", answer{404, nil, errorBody(`no handler for route "kv/data/x". route entry not found.`)}, backends.ErrUnavailable, backends.ErrUnavailable, "no such mount", ""},
	{"404 without a namespace", answer{404, nil, errorBody("namespace not found")}, backends.ErrUnavailable, backends.ErrUnavailable, "namespace", ""},
	{"404 of another version", answer{404, nil, `{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine. See the API docs"]}`}, backends.ErrUnavailable, backends.ErrUnavailable, "kv_version", ""},
	{"404 of a proxy", answer{404, nil, "<html>not found</html>"}, backends.ErrUnavailable, backends.ErrUnavailable, "not Vault's", ""},
	{"405", answer{405, nil, errorBody("unsupported operation")}, backends.ErrInvalid, backends.ErrInvalid, "kv_version", ""},
	{"412", answer{412, nil, errorBody("required index state not present")}, backends.ErrUnavailable, backends.ErrUnavailable, "caught up", ""},
	{"413", answer{413, nil, errorBody("request body too large")}, backends.ErrInvalid, backends.ErrInvalid, "too large", ""},
	{"418", answer{418, nil, "{}"}, backends.ErrInvalid, backends.ErrInvalid, "418", ""},
	{"429", answer{429, map[string]string{"Retry-After": "7"}, errorBody("rate limit quota exceeded")}, backends.ErrThrottled, backends.ErrThrottled, "quota", "7s"},
	{"429 without a time", answer{429, nil, errorBody("rate limit quota exceeded")}, backends.ErrThrottled, backends.ErrThrottled, "quota", "0s"},
	{"472", answer{472, nil, errorBody("disaster recovery secondary")}, backends.ErrUnavailable, backends.ErrUnavailable, "standby", ""},
	{"473", answer{473, nil, errorBody("performance standby")}, backends.ErrUnavailable, backends.ErrUnavailable, "standby", ""},
	{"500", answer{500, nil, errorBody("internal error {echo} {token}")}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "failed", ""},
	{"500 of a standby", answer{500, nil, errorBody("local node not active but active cluster node not found")}, backends.ErrUnavailable, backends.ErrUnavailable, "no active node", ""},
	{"502", answer{502, nil, "<html>bad gateway</html>"}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "failed", ""},
	{"503 sealed", answer{503, nil, errorBody("Vault is sealed")}, backends.ErrUnavailable, backends.ErrUnavailable, "sealed", ""},
	{"503 with a time", answer{503, map[string]string{"Retry-After": "3"}, errorBody("Vault is sealed")}, backends.ErrUnavailable, backends.ErrUnavailable, "unseal", "3s"},
	{"503 of a proxy", answer{503, nil, "<html>no backend</html>"}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "failed", ""},
	{"504", answer{504, nil, "<html>timeout</html>"}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "failed", ""},
	{"200 of a proxy", answer{200, nil, "<html>please log in</html>"}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "not Vault's", ""},
	{"200 without a version", answer{200, nil, `{"data":{}}`}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "version", ""},
	{"200 of other types", answer{200, nil, `{"data":"{token}"}`}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "version", ""},
	{"200 cut off", answer{200, map[string]string{"Content-Length": "999"}, `{"data":{"version":1`}, backends.ErrUnavailable, backends.ErrUnknownOutcome, "EOF", ""},
}

func TestStatusesOfReads(t *testing.T) {
	for _, row := range statuses {
		t.Run(row.name, func(t *testing.T) {
			_, url := scripted(t, map[string]answer{"GET kv/data/x": row.answer, "GET kv/metadata/x": row.answer})
			b := opened(t, withToken(t, url, "kv", scriptToken))
			_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
			wantError(t, err, row.read, row.says, row.retryAfter)
			_, _, err = b.Get(t.Context(), refOf("x"), backends.Previous)
			if row.name != "200 without a version" { // there it is metadata without a version
				wantError(t, err, row.read, row.says, row.retryAfter)
			}
		})
	}
}

func TestStatusesOfWrites(t *testing.T) {
	for _, row := range statuses {
		t.Run(row.name, func(t *testing.T) {
			s, url := scripted(t, map[string]answer{"PUT kv/data/x": row.answer})
			b := opened(t, withToken(t, url, "kv", scriptToken))
			_, err := b.Put(t.Context(), refOf("x"), itemOf("eyJ.secret-payload-of-the-tests.sig", 1), backends.Absent)
			wantError(t, err, row.put, row.says, row.retryAfter)
			want := 1
			if row.answer.status == 412 { // nothing was done: another node may know more
				want += behindTries
			}
			if n := s.count("PUT kv/data/x"); n != want {
				t.Errorf("the write was sent %d times, want %d", n, want)
			}
			if n := s.count("PATCH kv/metadata/x"); n != 0 {
				t.Error("metadata was written for a value that may not stand")
			}
		})
	}
}

// TestStatusesOfMetadata: the value stands then, and the error says so.
func TestStatusesOfMetadata(t *testing.T) {
	for _, row := range statuses {
		if strings.HasPrefix(row.name, "200") || row.answer.status == 405 {
			continue // a patch's answer holds nothing to read; 405 is tried another way
		}
		t.Run(row.name, func(t *testing.T) {
			_, url := scripted(t, map[string]answer{
				"PUT kv/data/x":       {200, nil, `{"data":{"version":1}}`},
				"PATCH kv/metadata/x": row.answer,
				"GET kv/metadata/x":   {200, nil, `{"data":{"current_version":1}}`},
				"PUT kv/metadata/x":   row.answer,
			})
			b := opened(t, withToken(t, url, "kv", scriptToken))
			_, err := b.Put(t.Context(), refOf("x"), itemOf("eyJ.secret-payload-of-the-tests.sig", 1), backends.Absent)
			wantError(t, err, row.put, "the value stands", row.retryAfter)
		})
	}
}

// wantError checks kind, text, waiting time and the absence of secrets.
func wantError(t *testing.T, err, kind error, says, retryAfter string) {
	t.Helper()
	wantKind(t, err, kind)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("error %q does not say %q", err, says)
	}
	for _, leak := range []string{scriptToken, "secret-payload-of-the-tests"} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), leak) {
			t.Errorf("the error of kind %v holds a secret", kind)
		}
	}
	if retryAfter != "" && backends.RetryAfter(err).String() != retryAfter {
		t.Errorf("the error asks to wait %s, want %s", backends.RetryAfter(err), retryAfter)
	}
}

func TestSameValueIsNotWrittenAgain(t *testing.T) {
	item := itemOf("eyJ.same.sig", 4)
	_, how, err := encode(item.Payload, defaultKey)
	if err != nil {
		t.Fatal(err)
	}
	entry := encodeJSON(t, map[string]any{"data": map[string]any{
		"data":     map[string]any{"value": "eyJ.same.sig"},
		"metadata": map[string]any{"version": 9, "custom_metadata": describe(item.Meta, 9, how)},
	}})
	s, url := scripted(t, map[string]answer{"GET kv/data/x": {200, nil, entry}})
	b := opened(t, withToken(t, url, "kv", scriptToken))
	v := mustPut(t, b, refOf("x"), item, "3")
	if v != "9" || s.count("PUT kv/data/x") != 0 || s.count("PATCH kv/metadata/x") != 0 {
		t.Errorf("version %s after requests %v, want 9 and no write", v, s.seen)
	}
}

// TestNothingFromTheEnvironment: the declaration alone decides.
func TestNothingFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR":       "http://127.0.0.1:1",
		"VAULT_AGENT_ADDR": "http://127.0.0.1:1",
		"VAULT_TOKEN":      "from-the-environment",
		"VAULT_NAMESPACE":  "from-the-environment",
		"VAULT_HEADERS":    `{"X-Other":"from-the-environment"}`,
		"VAULT_WRAP_TTL":   "60s",
	} {
		t.Setenv(name, value)
	}
	s, url := scripted(t, nil)
	o := withToken(t, url, "kv", scriptToken)
	o.Namespace = "team"
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrNotFound)
	want := map[string]string{"X-Vault-Token": scriptToken, "X-Vault-Namespace": "team", "X-Vault-Request": "true", "X-Other": "", "X-Vault-Wrap-Ttl": ""}
	for name, value := range want {
		if got := s.last.Get(name); got != value {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
}

func TestBoundedAnswer(t *testing.T) {
	huge := `{"data":{"data":{"a":"` + strings.Repeat("x", maxBody) + `"}}}`
	_, url := scripted(t, map[string]answer{"GET kv/data/x": {200, nil, huge}})
	b := opened(t, withToken(t, url, "kv", scriptToken))
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrUnavailable, "larger than", "")
}

// TestUnsentWriteIsNotUnknown: where no connection stood, nothing can have been
// written.
func TestUnsentWriteIsNotUnknown(t *testing.T) {
	b := opened(t, withToken(t, nobody(t), "kv", scriptToken))
	_, err := b.exchange(t.Context(), &session{token: secret.New(scriptToken)}, request{method: "PUT", path: "kv/data/x", changes: true})
	if !errors.Is(backendKind(err), backends.ErrUnavailable) {
		t.Errorf("error %v, want %v", err, backends.ErrUnavailable)
	}
}

func TestReadCredentialAgain(t *testing.T) {
	s, url := scripted(t, nil)
	o := withToken(t, url, "kv", scriptToken)
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrNotFound)

	s.set("GET kv/data/x", answer{403, nil, errorBody("permission denied")})
	s.set("GET auth/token/lookup-self", answer{403, nil, errorBody("permission denied")})
	_, _, err = b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrDenied)
	if n := s.count("GET kv/data/x"); n != 2 {
		t.Errorf("a spent token was used %d times, want 2: the source holds no other", n)
	}

	write(t, o.Auth.Token.File, "hvs.the-next-token")
	_, _, err = b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrDenied)
	if got := s.last.Get("X-Vault-Token"); got != "hvs.the-next-token" {
		t.Error("the new token in the source was not tried")
	}
	if n := s.count("GET kv/data/x"); n != 3 {
		t.Errorf("%d reads, want 3: the spent token is not tried again once another stands there", n)
	}
}

func TestMissingCredential(t *testing.T) {
	s, url := scripted(t, nil)
	o := withToken(t, url, "kv", scriptToken)
	o.Auth.Token = secret.Source{File: "/nonexistent/token"}
	b := opened(t, o)
	_, err := b.Put(t.Context(), refOf("x"), itemOf("p", 1), backends.Absent)
	wantError(t, err, backends.ErrUnavailable, "/nonexistent/token", "")
	if len(s.seen) != 0 {
		t.Errorf("requests %v were sent without a credential", s.seen)
	}
}

func TestClosedBackend(t *testing.T) {
	_, url := scripted(t, nil)
	b := opened(t, withToken(t, url, "kv", scriptToken))
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrUnavailable, "closed", "")
}
