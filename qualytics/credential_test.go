package qualytics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// ring is what may be the agent's own token, as a test changes it, and an API
// that takes some tokens.
type ring struct {
	mu    sync.Mutex
	all   []Candidate
	errs  map[string]error // by From
	live  map[string]bool
	role  string
	away  bool
	tried []string // the bearers of GET /users/me
	calls []string // the bearers of all else
}

func (r *ring) candidates(context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		r.mu.Lock()
		all := r.all
		r.mu.Unlock()
		for _, c := range all {
			if !yield(c, r.errs[c.From]) {
				return
			}
		}
	}
}

func (r *ring) set(all ...Candidate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = all
}

func (r *ring) answer(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	me := strings.HasSuffix(req.URL.Path, "/me")
	if me {
		r.tried = append(r.tried, token)
	} else {
		r.calls = append(r.calls, token)
	}
	switch {
	case me && r.away:
		return say(503, "", "Retry-After: 99")(req)
	case !r.live[token]:
		return say(401, `{"detail": "no"}`)(req)
	case me:
		return say(200, fmt.Sprintf(`{"id": 7, "user_id": "pipeline@service", "role": %q}`, r.role))(req)
	}
	return say(200, `[]`)(req)
}

func place(from, token string) Candidate { return Candidate{Value: secret.New(token), From: from} }

func spare(from, token string) Candidate {
	return Candidate{Value: secret.New(token), From: from, Spare: true}
}

// newRing makes a client whose token stands at "a" and is live.
func newRing(t *testing.T) (*ring, *Client, *bytes.Buffer) {
	r := &ring{all: []Candidate{place("a", adminToken)}, live: map[string]bool{adminToken: true}, errs: map[string]error{}}
	var log bytes.Buffer
	c := client(t, Options{Transport: &script{answers: []answer{r.answer}}, Credential: r.candidates,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	return r, c, &log
}

func (r *ring) works(t *testing.T, c *Client, from, token string) {
	t.Helper()
	if _, err := c.Tokens(t.Context()); err != nil {
		t.Fatalf("a call: %v", err)
	}
	if got := c.Credential(); got.From != from || got.Working != secret.New(token).Fingerprint() {
		t.Errorf("it works with what stands at %q, %q; want %q", got.From, got.Working.Short(), from)
	}
}

// TestRenewCredentialTriesFirst: what stands at the place anew is taken into use
// when it works, and else what is in use stays, which is told.
func TestRenewCredentialTriesFirst(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ring)
		from   string
		token  string
		tried  int
		says   string // of the trouble; "": none
	}{
		"nothing new":     {func(*ring) {}, "a", adminToken, 0, ""},
		"a new one":       {func(r *ring) { r.all = []Candidate{place("b", otherToken)}; r.live[otherToken] = true }, "b", otherToken, 1, ""},
		"refused":         {func(r *ring) { r.all = []Candidate{place("b", otherToken)} }, "a", adminToken, 1, "doesn't work: GET /users/me: 401"},
		"not to be tried": {func(r *ring) { r.all = []Candidate{place("b", otherToken)}; r.away = true }, "a", adminToken, 1, "503"},
		"of another role": {func(r *ring) {
			r.all = []Candidate{place("b", otherToken)}
			r.live[otherToken], r.role = true, "Editor"
		}, "a", adminToken, 1, "role Editor"},
		"no bearer":     {func(r *ring) { r.all = []Candidate{place("b", "two\nlines")} }, "a", adminToken, 0, "b: it holds white space"},
		"can't be read": {func(r *ring) { r.errs["a"] = errors.New("no such file") }, "a", adminToken, 0, "no such file"},
		"the second place": {func(r *ring) {
			r.errs["a"] = errors.New("away")
			r.all = append(r.all, place("b", otherToken))
			r.live[otherToken] = true
		}, "b", otherToken, 1, "away"},
		"not for a spare":   {func(r *ring) { r.all = []Candidate{spare("b", otherToken)}; r.live[otherToken] = true }, "a", adminToken, 0, ""},
		"not behind in use": {func(r *ring) { r.all = append(r.all, place("b", otherToken)); r.live[otherToken] = true }, "a", adminToken, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, c, log := newRing(t)
			r.works(t, c, "a", adminToken)
			test.change(r)
			for range 2 { // the second time it says nothing new
				_ = c.RenewCredential(t.Context())
			}
			r.works(t, c, test.from, test.token)
			if got := len(r.tried); got < test.tried || got > 2*test.tried {
				t.Errorf("tried %d tokens, want %d each time", got, test.tried)
			}
			trouble := c.Credential().Trouble
			if (trouble != nil) != (test.says != "") || trouble != nil && !strings.Contains(trouble.Error(), test.says) {
				t.Errorf("the trouble is %v, want %q", trouble, test.says)
			}
			if got := strings.Count(log.String(), "is not in use"); got != min(len(test.says), 1) {
				t.Errorf("warned %d times:\n%s", got, log)
			}
			noSecret(t, log.String())
			if trouble != nil {
				noSecret(t, trouble.Error())
			}
		})
	}
}

// TestTroubleEnds: once the place is mended, nothing is told any more.
func TestTroubleEnds(t *testing.T) {
	r, c, log := newRing(t)
	r.works(t, c, "a", adminToken)
	r.set(place("b", otherToken))
	if err := c.RenewCredential(t.Context()); err == nil {
		t.Fatal("a refused token is no error")
	}
	r.set(place("a", adminToken))
	if err := c.RenewCredential(t.Context()); err != nil || c.Credential().Trouble != nil {
		t.Errorf("err %v, trouble %v", err, c.Credential().Trouble)
	}
	if !strings.Contains(log.String(), "works with what stands at its credential's place") {
		t.Errorf("the log doesn't tell the end:\n%s", log)
	}
}

// TestRefusedCredentialFallsBack: when the token in use is refused, any other
// that works takes its place: of the places, else what worked before, else a
// spare one.
func TestRefusedCredentialFallsBack(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ring)
		from   string // "": the call fails
		token  string
	}{
		"a place has another":  {func(r *ring) { r.all = []Candidate{place("b", mintedToken)}; r.live[mintedToken] = true }, "b", mintedToken},
		"the second place has": {func(r *ring) { r.all = append(r.all, place("b", mintedToken)); r.live[mintedToken] = true }, "b", mintedToken},
		"what worked before":   {func(r *ring) { r.live[adminToken] = true }, "a", adminToken},
		"before ahead of spare": {func(r *ring) {
			r.all = append(r.all, spare("c", mintedToken))
			r.live[adminToken], r.live[mintedToken] = true, true
		}, "a", adminToken},
		"a spare one":     {func(r *ring) { r.all = append(r.all, spare("c", mintedToken)); r.live[mintedToken] = true }, "c", mintedToken},
		"a place is away": {func(r *ring) { r.errs["b"] = errors.New("away"); r.live[adminToken] = true }, "a", adminToken},
		"none works":      {func(*ring) {}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, c, _ := newRing(t)
			r.works(t, c, "a", adminToken)
			r.set(place("b", otherToken))
			r.live[otherToken] = true
			if err := c.RenewCredential(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.works(t, c, "b", otherToken)
			r.live = map[string]bool{} // all that lived is dead
			test.change(r)
			if test.from != "" {
				r.works(t, c, test.from, test.token)
				told := c.Credential().Trouble
				if stands := r.errs[r.all[0].From] == nil && r.all[0].Value.Equal(secret.New(test.token)); stands != (told == nil) {
					t.Errorf("it works with %s; the trouble is %v", test.from, told)
				}
				return
			}
			if _, err := c.Tokens(t.Context()); !errors.Is(err, rotation.ErrUnauthorized) {
				t.Errorf("err = %v", err)
			}
			if got := c.Credential(); got.Working != "" || got.From != "b" {
				t.Errorf("it says that it works with %q of %q", got.Working, got.From)
			}
		})
	}
}

// TestRefusedTogetherLooksOnce: calls that were under way together look once.
func TestRefusedTogetherLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, _ := newRing(t)
		r.works(t, c, "a", adminToken)
		r.live = map[string]bool{}
		r.set(place("b", otherToken))
		looking := make(chan struct{})
		look := r.answer
		c.repeats.Transport = &script{answers: []answer{func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/me") {
				<-looking
			}
			return look(req)
		}}}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { _, _ = c.Tokens(t.Context()) })
		}
		synctest.Wait() // one looks, the others wait for it
		close(looking)
		all.Wait()
		if len(r.tried) != 1 {
			t.Errorf("tried %d times for calls that were refused together", len(r.tried))
		}
	})
}

// TestFirstCredentialIsTheFirstThatCanBeRead: it is used untried.
func TestFirstCredentialIsTheFirstThatCanBeRead(t *testing.T) {
	r, c, _ := newRing(t)
	r.set(place("x", ""), place("y", "two lines"), spare("a", adminToken))
	r.errs["x"] = errors.New("no such file")
	r.works(t, c, "a", adminToken)
	if len(r.tried) != 0 {
		t.Errorf("tried %d", len(r.tried))
	}
	if trouble := c.Credential().Trouble; trouble == nil || !strings.Contains(trouble.Error(), "no such file; y: it holds") {
		t.Errorf("what couldn't be read isn't told: %v", trouble)
	}
}

// TestRenewCredentialEndsWithItsContext: also while another call looks.
func TestRenewCredentialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := newRing(t)
		end, err := c.credential.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.RenewCredential(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if _, err := c.Tokens(ctx); err == nil {
			t.Error("a call that waits for the credential doesn't end")
		}
	})
}
