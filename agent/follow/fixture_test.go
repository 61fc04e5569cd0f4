package follow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/handover-agent/handover/agent/follow"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	every     = 30 * time.Second
	account   = "Pipeline Automation"
	accountID = "pipeline_automation@service"
	from      = "connections/qualytics"
	to        = "dbt.env"
)

// jwtOf is a token as Qualytics signs them, the n-th of an account.
func jwtOf(t testing.TB, id string, n int) secret.Value {
	t.Helper()
	claims := jwt.MapClaims{"sub": id, "name": "x", "jti": n, "exp": time.Date(2100, 1, n, 0, 0, 0, 0, time.UTC).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(signed)
}

func format(t testing.TB, spec payload.Spec) backends.Format {
	t.Helper()
	f, err := payload.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// counted is a store that counts calls and can refuse one kind of them.
type counted struct {
	backends.Backend
	mu     sync.Mutex
	calls  map[string]int
	refuse map[string]error
}

func (c *counted) Unwrap() backends.Backend { return c.Backend }

func (c *counted) enter(op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[op]++
	return c.refuse[op]
}

func (c *counted) failing(op string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse[op] = err
}

func (c *counted) count(op string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[op]
}

func (c *counted) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	if err := c.enter("get"); err != nil {
		return backends.Item{}, "", err
	}
	return c.Backend.Get(ctx, ref, at)
}

func (c *counted) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	if err := c.enter("put"); err != nil {
		return "", err
	}
	return c.Backend.Put(ctx, ref, item, prev)
}

func (c *counted) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	if err := c.enter("describe"); err != nil {
		return backends.Meta{}, "", err
	}
	d, _ := backends.As[backends.Describer](c.Backend)
	return d.Describe(ctx, ref)
}

func fail(op string, kind error) error {
	return &backends.Error{Op: op, Ref: backends.Ref{Backend: "vault", Path: from}, Kind: kind, Err: errors.New("as the test wants it")}
}

// scene is one entry from a store to a file.
type scene struct {
	t        *testing.T
	store    *mem.Store
	file     *mem.Store
	from, to *counted
	entry    follow.Entry
	log      bytes.Buffer
	*follow.Follower
	end func()
}

type choice func(*scene)

func storeLike(o mem.Options) choice { return func(s *scene) { s.store = mem.New(o) } }

func shaped(spec payload.Spec) choice {
	return func(s *scene) { s.entry.To.Format = format(s.t, spec) }
}

// inScene plays with fake time. The follower isn't running yet.
func inScene(t *testing.T, play func(t *testing.T, s *scene), choices ...choice) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, choices...)
		play(t, s)
		if s.end != nil {
			s.stop()
		}
		noTrace(t, s)
	})
}

func newScene(t *testing.T, choices ...choice) *scene {
	t.Helper()
	s := &scene{t: t, store: mem.New(mem.LikeVault()), file: mem.New(mem.LikeFile()), entry: follow.Entry{Account: account,
		AccountID: accountID, URL: "https://acme.qualytics.io",
		From: &backends.Target{Ref: backends.Ref{Backend: "vault", Path: from}, Format: format(t, payload.Spec{Format: "json"})},
		To:   &backends.Target{Ref: backends.Ref{Backend: "pod", Path: to}, Format: format(t, payload.Spec{Format: "dotenv"})}}}
	for _, choose := range choices {
		choose(s)
	}
	return s
}

// start is a new process.
func (s *scene) start() {
	s.from = &counted{Backend: s.store.Backend(), calls: map[string]int{}, refuse: map[string]error{}}
	s.to = &counted{Backend: s.file.Backend(), calls: map[string]int{}, refuse: map[string]error{}}
	s.entry.From.Backend, s.entry.To.Backend = s.from, s.to
	s.Follower = follow.New(follow.Options{Entries: []follow.Entry{s.entry}, Every: every, Version: "test",
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(&s.log, s.t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	s.end = func() {
		cancel()
		<-done
	}
	synctest.Wait()
}

func (s *scene) stop() {
	s.end()
	s.end = nil
}

// deliver is what an agent does.
func (s *scene) deliver(token secret.Value, meta backends.Meta) {
	s.t.Helper()
	s.put(s.store, s.entry.From, token, meta)
}

func (s *scene) put(store *mem.Store, target *backends.Target, token secret.Value, meta backends.Meta) {
	s.t.Helper()
	rendered, err := target.Format.Render(backends.Token{Value: token, URL: "https://acme.qualytics.io"})
	if err != nil {
		s.t.Fatal(err)
	}
	b := store.Backend()
	_, v, err := b.Get(s.t.Context(), target.Ref, backends.Current)
	if err != nil && !errors.Is(err, backends.ErrNotFound) {
		s.t.Fatal(err)
	}
	if _, err := b.Put(s.t.Context(), target.Ref, backends.Item{Payload: rendered, Meta: meta}, v); err != nil {
		s.t.Fatal(err)
	}
}

func metaOf(id string, token secret.Value, n int) backends.Meta {
	return backends.Meta{Slot: id + "/pipeline", Generation: uint64(n), TokenID: int64(100 + n), Token: token.Fingerprint()}
}

// wait lets time pass, and all that is due happen.
func (s *scene) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantFile compares what the file's consumer reads.
func (s *scene) wantFile(token secret.Value) {
	s.t.Helper()
	stands := s.file.Peek(to)
	if token.IsZero() {
		if !stands.IsZero() {
			s.t.Errorf("the file holds %d bytes", stands.Len())
		}
		return
	}
	want, err := s.entry.To.Format.Render(backends.Token{Value: token, URL: "https://acme.qualytics.io"})
	if err != nil {
		s.t.Fatal(err)
	}
	if stands.Fingerprint() != want.Fingerprint() {
		s.t.Errorf("the file doesn't hold the token that is wanted, but %d bytes", stands.Len())
	}
}

// wantState compares how the entry stands, and what readiness says of it.
func (s *scene) wantState(state follow.State, reason follow.Reason) {
	s.t.Helper()
	got := s.Status().Entries[0]
	if got.State != state || got.Reason != reason {
		s.t.Errorf("the entry is %s (%s) %s, want %s (%s)", got.State, got.Reason, got.Error, state, reason)
	}
	ready := s.Ready() == nil
	if ready != (state != follow.Waiting) || ready != s.Status().Ready {
		s.t.Errorf("%s, and ready is %v", state, ready)
	}
	if doubts := len(s.Doubts()); (doubts > 0) != (state == follow.Behind) && got.HookError == "" {
		s.t.Errorf("%s, with %d doubts", state, doubts)
	}
}

// hookRuns is how many hooks have ended, by the metrics.
func (s *scene) hookRuns() int {
	s.t.Helper()
	answer := httptest.NewRecorder()
	s.Metrics().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	runs := 0
	for line := range strings.Lines(answer.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "handover_follow_hooks_total{") {
			n, err := strconv.Atoi(value)
			if err != nil {
				s.t.Fatal(err)
			}
			runs += n
		}
	}
	return runs
}
