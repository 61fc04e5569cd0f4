package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/examples/driver"
)

// shelf is a server as the driver wants it: GET, HEAD and PUT, a strong ETag,
// and the conditions of RFC 9110. It is ours, so what it shows is the driver's
// side alone.
type shelf struct {
	mu     sync.Mutex
	values map[string]string
	tags   map[string]int
	last   int
	silent bool // a PUT's answer has no ETag
}

const bearer = "the-token-of-the-tests-for-the-shelf"

func newShelf() *shelf { return &shelf{values: map[string]string{}, tags: map[string]int{}} }

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	text, there := s.values[r.URL.Path]
	tag := fmt.Sprintf(`"%d"`, s.tags[r.URL.Path])
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case err != nil:
		return
	case r.Header.Get("Authorization") != "Bearer "+bearer:
		w.WriteHeader(http.StatusForbidden)
	case r.Method == http.MethodPut && (match != "" && (!there || match != tag) || noneMatch == "*" && there):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPut:
		s.set(r.URL.Path, string(body))
		if !s.silent {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, s.last))
		}
		w.WriteHeader(http.StatusNoContent)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", tag)
		_, _ = io.WriteString(w, text)
	}
}

// set is what another hand does too; the caller may hold the lock.
func (s *shelf) set(path, text string) {
	s.last++
	s.values[path], s.tags[path] = text, s.last
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func openAt(t *testing.T, url, token string) backends.Backend {
	t.Helper()
	return openLogging(t, url, token, io.Discard)
}

func openLogging(t *testing.T, url, token string, log io.Writer) backends.Backend {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := driver.Driver().Open(t.Context(), backends.Env{Name: "shelf", Log: slog.New(slog.NewJSONHandler(log, nil))},
		&driver.Options{URL: url, Token: secret.Source{File: file}, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConformance is the whole of a driver's proof: a harness and one call.
func TestConformance(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%v", silent), func(t *testing.T) {
			s := newShelf()
			s.silent = silent
			backendtest.Run(t, harness(t, s))
		})
	}
}

func harness(t *testing.T, s *shelf) backendtest.Harness {
	url := serve(t, s)
	var places atomic.Int64
	byHand := func(do func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	}
	log := &backendtest.Log{}
	open := func(t *testing.T, url, token string) backends.Backend { return openLogging(t, url, token, log) }
	return backendtest.Harness{
		Open: func(t *testing.T) backends.Backend { return open(t, url, bearer) },
		Ref: func(*testing.T) backends.Ref {
			return backends.Ref{Backend: "shelf", Path: fmt.Sprintf("tokens/%d", places.Add(1))}
		},
		Overwrite: func(_ *testing.T, ref backends.Ref, payload secret.Value) {
			byHand(func() { s.set("/"+ref.Path, payload.Reveal()) })
		},
		Delete: func(_ *testing.T, ref backends.Ref) { byHand(func() { delete(s.values, "/"+ref.Path) }) },
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			return open(t, url, "wrong-token-of-the-tests"), backends.Ref{Backend: "shelf", Path: "tokens/denied"}
		},
		Unreachable: func(t *testing.T) backends.Backend {
			gone := httptest.NewServer(s)
			gone.Close()
			return open(t, gone.URL, bearer)
		},
		AnswerLost: func(t *testing.T) backends.Backend {
			return open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.ServeHTTP(w, r)
				if r.Method == http.MethodPut {
					panic(http.ErrAbortHandler)
				}
			})), bearer)
		},
		Hanging: func(t *testing.T) backends.Backend {
			over := make(chan struct{})
			url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
			t.Cleanup(func() { close(over) })
			return open(t, url, bearer)
		},
		Throttled: func(t *testing.T) backends.Backend {
			return open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
			})), bearer)
		},
		Names: func(*testing.T) []string {
			return []string{"a", "A0_/-z.", strings.Repeat("n", 512)}
		},
		RetryAfter: 7 * time.Second,
		Log:        log,
		Escapes:    []string{"", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a/.b", "a?b", "a#b", "a%2fb", "a b", "a\nb", strings.Repeat("a", 513)},
		Secrets:    []secret.Value{secret.New(bearer)},
	}
}

// TestVerdicts has one row for each answer that the driver tells apart.
func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		status      int
		header      http.Header
		read, write error
		says        string
	}{
		{307, nil, backends.ErrInvalid, backends.ErrInvalid, "redirects"},
		{400, nil, backends.ErrInvalid, backends.ErrInvalid, "does not accept"},
		{401, nil, backends.ErrDenied, backends.ErrDenied, "look at token"},
		{403, nil, backends.ErrDenied, backends.ErrDenied, "may not"},
		{412, nil, backends.ErrConflict, backends.ErrConflict, "412"},
		{429, http.Header{"Retry-After": {"7"}}, backends.ErrThrottled, backends.ErrThrottled, "429"},
		{500, nil, backends.ErrUnavailable, backends.ErrUnknownOutcome, "failed"},
		{200, http.Header{"Etag": {`W/"1"`}}, backends.ErrInvalid, backends.ErrInvalid, "no strong ETag"},
		{200, nil, backends.ErrInvalid, backends.ErrInvalid, "no strong ETag"},
	} {
		write := false
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if write && r.Method == http.MethodGet { // before the write
				w.WriteHeader(http.StatusNotFound)
				return
			}
			for name, values := range test.header {
				w.Header()[name] = values
			}
			w.WriteHeader(test.status)
		}))
		b, ref := openAt(t, url, bearer), backends.Ref{Backend: "shelf", Path: "a"}
		_, _, read := b.Get(t.Context(), ref, backends.Current)
		write = true
		_, written := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
		for _, got := range []struct{ err, kind error }{{read, test.read}, {written, test.write}} {
			if !errors.Is(got.err, got.kind) || !strings.Contains(got.err.Error(), test.says) {
				t.Errorf("%d %v: %v, want %v with %q", test.status, test.header, got.err, got.kind, test.says)
			}
			if test.status == 429 && backends.RetryAfter(got.err) != 7*time.Second {
				t.Errorf("429: come back in %s", backends.RetryAfter(got.err))
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://store.example/tokens": true, "http://127.0.0.1:1/x": true, "http://[::1]:1": true, "http://localhost": true,
		"": false, "store.example": false, "http://store.example": false, "https://u:p@store.example": false,
		"https://store.example?x": false, "ftp://store.example": false,
	} {
		_, err := driver.Driver().Open(context.Background(), backends.Env{Name: "shelf"}, &driver.Options{URL: url})
		if (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestHugeIsNotOurs: no more of it is read than could be the agent's.
func TestHugeIsNotOurs(t *testing.T) {
	s := newShelf()
	s.set("/a", strings.Repeat("x", 1<<20+1))
	b := openAt(t, serve(t, s), bearer)
	_, _, err := b.Get(t.Context(), backends.Ref{Backend: "shelf", Path: "a"}, backends.Current)
	if !errors.Is(err, backends.ErrInvalid) {
		t.Error(err)
	}
}

// TestEmptyIsNothing: and its version is what a Put has to expect.
func TestEmptyIsNothing(t *testing.T) {
	s := newShelf()
	s.set("/a", "")
	b, ref := openAt(t, serve(t, s), bearer), backends.Ref{Backend: "shelf", Path: "a"}
	_, v, err := b.Get(t.Context(), ref, backends.Current)
	if !errors.Is(err, backends.ErrNotFound) || v != `"1"` {
		t.Fatalf("version %q, %v", v, err)
	}
	if _, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, v); err != nil {
		t.Error(err)
	}
}

// TestDeclared: the declaration knows the driver by its tags alone.
func TestDeclared(t *testing.T) {
	const declaration = `
agent: {id: acme}
qualytics: {url: https://acme.qualytics.io, credential: {env: ADMIN}}
backends: {shelf: {type: http-etag, url: URL, token: {file: /run/shelf}}}
accounts:
  - name: Loader
    role: Member
    owner: data
    purpose: loads
    tokens: [{name: loader, deliver: [{backend: shelf, path: PATH, format: token}]}]
`
	registry, err := backends.NewRegistry(driver.Driver())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ url, path, want string }{
		{"https://store.example/tokens/", "loader/token", ""},
		{"http://store.example/tokens", "loader/token", "agent.yaml:4:42: url is plain http to another machine"},
		{"https://store.example/tokens", "../token", "agent.yaml:10:62: the path \"../token\" is not allowed"},
	} {
		text := strings.NewReplacer("URL", test.url, "PATH", test.path).Replace(declaration)
		_, err := config.Parse("agent.yaml", []byte(text), registry, nil)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %s", test.url, test.path, err, test.want)
		}
	}
}
