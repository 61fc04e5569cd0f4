package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
)

func TestHangEndsWithTheContext(t *testing.T) {
	for name, c := range map[string]struct {
		effect    sim.Effect
		committed bool
	}{
		"hang":         {sim.Hang(), false},
		"commit, hang": {sim.CommitThen(sim.Hang()), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := start(t, func(o *sim.Options) { o.Now = time.Now })
				u := i.account("API Access", "Member")
				i.Inject(onMint(c.effect))
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				began := time.Now()
				body, err := json.Marshal(map[string]any{"name": "one", "user_id": u.ID, "expires_in_days": 1})
				if err != nil {
					t.Fatal(err)
				}
				r := i.send(ctx, "POST", "/api/user-tokens", i.admin, string(body))
				if !errors.Is(r.err, context.DeadlineExceeded) || time.Since(began) != 30*time.Second {
					t.Errorf("got %v after %v, want the deadline after 30s", r.err, time.Since(began))
				}
				if _, listed := i.listed()["one"]; listed != c.committed {
					t.Errorf("listed %v, want %v", listed, c.committed)
				}
			})
		})
	}
}

func TestHangEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, func(o *sim.Options) { o.Now = time.Now })
		i.Inject(sim.Fault{Effect: sim.Hang()})
		answers := make(chan reply, 1)
		go func() { answers <- i.do("GET", "/api/status", "") }()
		synctest.Wait()
		select {
		case r := <-answers:
			t.Fatalf("it answered %d before Close", r.status)
		default:
		}
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
		if r := <-answers; !errors.Is(r.err, sim.ErrConnectionLost) || !errors.Is(r.err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want a lost connection", r.err)
		}
	})
}

func TestAnHTTPClientTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, func(o *sim.Options) { o.Now = time.Now })
		i.Inject(sim.Fault{Effect: sim.Hang()})
		client := &http.Client{Transport: i.Transport(), Timeout: time.Minute}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://qualytics.test/api/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
			t.Fatalf("got %d, want a time-out", resp.StatusCode)
		}
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("got %v, want a time-out", err)
		}
	})
}

func TestADoneContextDoesNothing(t *testing.T) {
	i := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := i.send(ctx, "POST", "/api/users", i.admin, `{"name": "Late", "role": "Member"}`)
	if !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %v, want canceled", r.err)
	}
	if len(i.Accounts()) != 2 {
		t.Errorf("%d accounts, want the owner and the admin alone", len(i.Accounts()))
	}
}

func TestTheBodyEndsWithTheContextAndClose(t *testing.T) {
	i := start(t)
	for name, end := range map[string]func(context.CancelFunc, io.Closer) error{
		"context": func(cancel context.CancelFunc, _ io.Closer) error { cancel(); return nil },
		"close":   func(_ context.CancelFunc, body io.Closer) error { return body.Close() },
	} {
		i.Inject(sim.Fault{Effect: sim.Flood(-1)})
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://qualytics.test/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := i.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.CopyN(io.Discard, resp.Body, 10<<20); err != nil {
			t.Errorf("%s: the flood ended after %d bytes: %v", name, n, err)
		}
		if err := end(cancel, resp.Body); err != nil {
			t.Error(err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the flood goes on", name)
		}
		cancel()
		_ = resp.Body.Close()
	}
}

func TestTheDateIsTheServersOwn(t *testing.T) {
	i := start(t)
	i.clock.advance(48*time.Hour + 700*time.Millisecond)
	server := httptest.NewServer(i)
	defer server.Close()
	for name, r := range map[string]reply{
		"in-process": i.do("GET", "/api/status", ""),
		"socket":     send(t.Context(), t, http.DefaultTransport, server.URL+"/api/status", "GET", i.admin, ""),
		"refusal":    i.do("GET", "/api/nowhere", ""),
	} {
		if got := r.header.Values("Date"); len(got) != 1 || got[0] != "Tue, 03 Mar 2026 12:00:00 GMT" {
			t.Errorf("%s: Date %q", name, got)
		}
	}
}

// TestSocketAndProcessAnswerTheSame asks both ways the same, faults included.
func TestSocketAndProcessAnswerTheSame(t *testing.T) {
	for name, effect := range map[string]sim.Effect{
		"none":         {},
		"status":       sim.Answer(503, `{"detail":"down"}`),
		"throttle":     sim.Throttle(time.Minute),
		"not JSON":     sim.NotJSON(),
		"drop":         sim.Drop(),
		"commit, drop": sim.CommitThen(sim.Drop()),
		"cut":          sim.CutBody(),
		"flood":        sim.Flood(100_000),
		"cut list":     sim.CutList(0),
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t)
			server := httptest.NewServer(i)
			defer server.Close()
			sockets := &http.Transport{DisableKeepAlives: true} // a lost connection isn't tried again
			defer sockets.CloseIdleConnections()
			path := "/api/users?type=Service"
			i.Inject(sim.Fault{Times: -1, Effect: effect})
			a := i.do("GET", path, "")
			b := send(t.Context(), t, sockets, server.URL+path, "GET", i.admin, "")
			if a.status != b.status || string(a.body) != string(b.body) || (a.err == nil) != (b.err == nil) {
				t.Errorf("in-process: %d, %d bytes, %v\nsocket: %d, %d bytes, %v", a.status, len(a.body), a.err, b.status, len(b.body), b.err)
			}
			for _, key := range []string{"Content-Type", "Retry-After"} {
				if a.header.Get(key) != b.header.Get(key) {
					t.Errorf("%s: %q in-process, %q on the socket", key, a.header.Get(key), b.header.Get(key))
				}
			}
		})
	}
}

func TestHangOnASocketEndsWithItsClient(t *testing.T) {
	i := start(t)
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		i.ServeHTTP(w, r)
	}))
	defer server.Close() // waits for every request: one that hung on would keep it
	i.Inject(sim.Fault{Effect: sim.Hang()})
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan reply, 1)
	go func() {
		answers <- send(ctx, t, http.DefaultTransport, server.URL+"/api/users", "POST", i.admin, `{"name": "Never", "role": "Member"}`)
	}()
	<-arrived
	cancel()
	if r := <-answers; !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %v, want canceled", r.err)
	}
	if len(i.Accounts()) != 2 {
		t.Error("a request that hung took place")
	}
}

func TestUncleanPathsAreRedirected(t *testing.T) {
	i := start(t)
	r := i.do("GET", "/api//users/../status", "")
	if r.status/100 != 3 || !strings.HasSuffix(r.header.Get("Location"), "/status") {
		t.Errorf("got %d to %q, want a redirect to /status", r.status, r.header.Get("Location"))
	}
}

func TestCounts(t *testing.T) {
	i := start(t)
	i.ResetCalls()
	i.account("One", "Member")
	i.do("GET", "/users/101", "")
	i.do("GET", "/api/users/102", "")
	i.do("DELETE", "/api/users", "")
	i.do("GET", "/elsewhere", "")
	want := map[string]int{"POST /users": 1, "GET /users/{id}": 2, "DELETE /users": 1, "ANY /": 1}
	got := i.Calls()
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for call, n := range want {
		if got[call] != n {
			t.Errorf("%s: got %d, want %d", call, got[call], n)
		}
	}
}
