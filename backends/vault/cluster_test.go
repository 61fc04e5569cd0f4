package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// TestReadYourWrites: what the server said of its state at a write is asked of
// whichever node answers next, after another login too; a node that is behind is
// asked again.
func TestReadYourWrites(t *testing.T) {
	s, _ := scripted(t, map[string]answer{
		"PUT kv/data/x": {200, map[string]string{"X-Vault-Index": "djE6YTpiOjE6MQ=="}, `{"data":{"version":1}}`},
	})
	var behind atomic.Int32
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if behind.Add(-1) >= 0 {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(cluster.Close)
	o := withToken(t, cluster.URL, "kv", scriptToken)
	b := opened(t, o)
	mustPut(t, b, refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
	write(t, o.Auth.Token.File, "hvs.the-next-token")
	behind.Store(2)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrNotFound)
	if got := s.last.Get("X-Vault-Index"); got != "djE6YTpiOjE6MQ==" {
		t.Errorf("after the write the header X-Vault-Index is %q", got)
	}
	if got := s.last.Get("X-Vault-Token"); got != "hvs.the-next-token" {
		t.Error("the next login is not used")
	}
}

// TestCallsAtTheSameTime: max_in_flight holds for all callers together.
func TestCallsAtTheSameTime(t *testing.T) {
	s, _ := scripted(t, nil)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/kv/metadata/x" {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			arrived <- struct{}{}
			<-proceed
			now.Add(-1)
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o := withToken(t, server.URL, "kv", scriptToken)
	o.MaxInFlight = 2
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current) // logs in
	wantKind(t, err, backends.ErrNotFound)
	const callers = 6
	done := make(chan error, callers)
	for range callers {
		go func() {
			_, _, err := b.Describe(context.WithoutCancel(t.Context()), refOf("x"))
			done <- err
		}()
	}
	for range callers {
		<-arrived
		proceed <- struct{}{}
	}
	for range callers {
		wantKind(t, <-done, backends.ErrNotFound)
	}
	if most.Load() > 2 {
		t.Errorf("%d calls at the same time, want 2 at most", most.Load())
	}
}
