package agent

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/pace"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// tokensPerAccount is how many slots of a site share an account.
const tokensPerAccount = 10

// site is a world of many slots, one target each, that are served as declared.
// Its parts count the calls that they get.
type site struct {
	*world
	slots   int
	clock   *hand
	store   *mem.Store
	calls   *tally
	latency time.Duration // of each call to the API
	rate    float64       // calls a second; below 0 is no limit
	listed  atomic.Value  // time.Time: when a list of tokens was last read to its end
}

// newSite makes a site. The journal is written past its own commits: one by
// one, each synced, ten thousand would take long.
func newSite(b *testing.B, slots int) *site {
	b.Helper()
	clock := &hand{}
	api, err := sim.New(sim.Options{Now: clock.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = api.Close() })
	s := &site{world: &world{t: b, api: api, folder: b.TempDir()}, slots: slots, clock: clock,
		store: mem.New(mem.LikeVault()), calls: &tally{counts: map[string]int{}}, rate: -1}
	admin, err := api.AdminToken("Handover Admin")
	if err != nil {
		b.Fatal(err)
	}
	s.put("admin.token", admin.Reveal())
	s.put("agent.yaml", strings.Replace(head, often, "drift_check: 15d, sweep: 5m", 1)+oneStore+manySlots(slots, tokensPerAccount))
	s.serve(b)
	return s
}

// serve gives each slot a token, at the API, at its target and in the journal.
func (s *site) serve(b *testing.B) {
	b.Helper()
	path := filepath.Join(s.folder, "state.db")
	made, err := journal.Open(b.Context(), path, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := made.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range s.slots {
		account := fmt.Sprintf("A%d", i/tokensPerAccount)
		if i%tokensPerAccount == 0 {
			if _, err := s.api.CreateAccount(account, "Member"); err != nil {
				b.Fatal(err)
			}
		}
		rec := s.record(b, account, i)
		body, err := json.Marshal(rec)
		if err != nil {
			b.Fatal(err)
		}
		const insert = "INSERT INTO slots (slot, revision, fence, body) VALUES ($1, 1, 1, $2)"
		if _, err := rows.ExecContext(b.Context(), insert, rec.Slot, string(body)); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Commit(); err != nil {
		b.Fatal(err)
	}
}

func (s *site) record(b *testing.B, account string, i int) rotation.Record {
	b.Helper()
	token, id, now := fmt.Sprintf("t%d", i), rotation.AccountID(account), s.clock.Now().UTC()
	label := rotation.Label(token, "acme", 1)
	number, value, err := s.api.CreateToken(id, label, 30)
	if err != nil {
		b.Fatal(err)
	}
	s.store.Overwrite(fmt.Sprintf("p%d", i), value)
	days := 30
	return rotation.Record{Slot: rotation.Slot(id, token), High: 1, Current: 1, DueAt: now.Add(20 * rotation.Day),
		Generations: []rotation.Generation{{Number: 1, Label: label, TokenID: number, Fingerprint: value.Fingerprint(),
			State: rotation.Live, Claimed: true, Reason: rotation.NeverIssued, IssuedAt: now, Days: &days,
			Expires: now.Add(30 * rotation.Day), ProvedAt: now}},
		Targets: map[string]rotation.TargetRecord{fmt.Sprintf("one/p%d", i): {State: rotation.InStep,
			Reason: rotation.TargetServes, Since: now, Serves: 1, SeenAt: now,
			Payloads: []rotation.Payload{{Fingerprint: value.Fingerprint(), Generation: 1}}}}}
}

// RoundTrip takes a call to the API, after its latency.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.count(r.Method + " " + r.URL.Path)
	if s.latency > 0 {
		select {
		case <-time.After(s.latency):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	answer, err := s.api.Transport().RoundTrip(r)
	if err == nil && r.Method+" "+r.URL.Path == listTokens {
		answer.Body = &readBody{answer.Body, s}
	}
	return answer, err
}

// readBody notes when it was read.
type readBody struct {
	io.ReadCloser
	s *site
}

// Close takes the time.
func (b *readBody) Close() error {
	b.s.listed.Store(time.Now())
	return b.ReadCloser.Close()
}

// agent starts an agent on the site, and lets it look at every slot until
// nothing is to be done.
func (s *site) agent(b *testing.B, changes ...func(*Options)) *passing {
	b.Helper()
	driver := mem.Driver()
	driver.Open = func(context.Context, backends.Env, any) (backends.Backend, error) { return s.backend(), nil }
	registry, err := backends.NewRegistry(driver)
	if err != nil {
		b.Fatal(err)
	}
	d, err := config.Load(filepath.Join(s.folder, "agent.yaml"), registry, nil)
	if err != nil {
		b.Fatal(err)
	}
	d.Qualytics.Rate = s.rate
	opt := Options{Declaration: d, Version: "v0.0.0-test", Transport: s, Pace: s.clock}
	for _, change := range changes {
		change(&opt)
	}
	a, err := New(b.Context(), opt)
	if err != nil {
		b.Fatal(err)
	}
	p := &passing{a, newLoop(a)}
	p.loop.adopt()
	p.pass(b.Context())
	p.wakeAll() // what was read is known from here on
	p.pass(b.Context())
	return p
}

// backend is the store, counted.
func (s *site) backend() backends.Backend {
	return countedStore{s.store.Backend(), s.calls}
}

type countedStore struct {
	backends.Backend
	calls *tally
}

// Unwrap lets the store's own capabilities through.
func (c countedStore) Unwrap() backends.Backend { return c.Backend }

// Get counts.
func (c countedStore) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	c.calls.count("get")
	return c.Backend.Get(ctx, ref, at)
}

// Put counts.
func (c countedStore) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	c.calls.count("put")
	return c.Backend.Put(ctx, ref, item, prev)
}

// Check counts.
func (c countedStore) Check(ctx context.Context, ref backends.Ref) error {
	c.calls.count("check")
	checker, _ := backends.As[backends.Checker](c.Backend)
	return checker.Check(ctx, ref)
}

// tally counts by name.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name]++
}

// take returns the counts, and begins anew.
func (t *tally) take() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := maps.Clone(t.counts)
	clear(t.counts)
	return counts
}

// passing is an agent whose loop a benchmark runs, as [Agent.drive] does.
type passing struct {
	*Agent
	loop *loop
}

// pass runs the passes that are due, and those that are due when they end.
func (p *passing) pass(ctx context.Context) {
	l := p.loop
	for {
		l.take()
		l.start(ctx)
		if l.collect(ctx) {
			continue
		}
		if next := l.queue.next(); l.running+l.hurried == 0 && l.urgent.next().IsZero() && (next.IsZero() || next.After(p.client.Now())) {
			return
		}
		<-p.wakeup
	}
}

// wakeAll asks for a pass over every slot.
func (p *passing) wakeAll() {
	for slot := range p.current().slots {
		p.wake(slot)
	}
}

// hand is the machine's clock, moved ahead.
type hand struct {
	pace.Real
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the time that it shows.
func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// processor is the processor time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
