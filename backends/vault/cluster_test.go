package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

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
	arrived, proceed := make(chan struct{}, 2), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/kv/metadata/x" {
			arrived <- struct{}{}
			<-proceed
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o := withToken(t, server.URL, "kv", scriptToken)
	o.MaxInFlight = 1
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current) // logs in
	wantKind(t, err, backends.ErrNotFound)
	describe := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := b.Describe(ctx, refOf("x"))
			done <- err
		}()
		return done
	}
	first := describe(t.Context())
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	wantKind(t, <-describe(ctx), backends.ErrUnavailable)
	if len(arrived) > 0 {
		t.Error("a second call was made before the first had ended")
	}
	close(proceed)
	wantKind(t, <-first, backends.ErrNotFound)
}
