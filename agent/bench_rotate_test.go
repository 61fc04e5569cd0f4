package agent

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics"
	"github.com/handover-agent/handover/rotation"
)

// The calls of a rotation, as a site counts them.
const (
	listTokens   = "GET /api/user-tokens/service"
	listAccounts = "GET /api/users"
	issueToken   = "POST /api/user-tokens"
	proveToken   = "GET /api/users/me"
)

// BenchmarkRotateAll rotates every slot of a site at once, on the journal as it
// is released, and tells how much longer that takes than a bare loop in the same
// run: the same calls of the same client, as many at a time, under the same
// limit, and nothing else. "latency" is of each call to the API; stores answer
// at once. "rate" is calls a second, below 0 without a limit; the first two take
// seven minutes each.
func BenchmarkRotateAll(b *testing.B) {
	const latency = 20 * time.Millisecond
	for _, bb := range []struct {
		slots   int
		latency time.Duration
		rate    float64
	}{
		{1_000, latency, 10}, // the default limit
		{10_000, latency, 100},
		{1_000, latency, -1},
		{10_000, latency, -1},
		{1_000, 0, -1},
		{10_000, 0, -1},
	} {
		name := fmt.Sprintf("slots=%d/latency=%s/rate=%g", bb.slots, bb.latency, bb.rate)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				ours, bare := newSite(b, bb.slots), newSite(b, bb.slots)
				for _, s := range []*site{ours, bare} {
					s.latency, s.rate = bb.latency, bb.rate
				}
				b.StartTimer()
				rotateAll(b, ours, bare)
			}
		})
	}
}

// rotateAll measures the agent on one site, and the bare loop on the other.
func rotateAll(b *testing.B, ours, bare *site) {
	b.Helper()
	rotated := &ledger{}
	p := ours.agent(b, func(o *Options) { o.OnEvent = rotated.tell })
	ours.calls.take()
	rotated.take()
	agent := measure(b, func() {
		if _, err := p.Submit(b.Context(), everySlot(p)); err != nil {
			b.Fatal(err)
		}
		p.pass(b.Context())
	})
	made := ours.calls.take()
	if made[issueToken] != ours.slots || made["put"] != ours.slots {
		b.Fatalf("not every slot was rotated: %v", made)
	}
	commits := rotated.take() + ours.slots + 1 // each request is closed; all are stored together
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	l := newBareLoop(b, bare, made)
	loop := measure(b, func() { l.run(b) })
	if did := bare.calls.take(); fmt.Sprint(did) != fmt.Sprint(made) {
		b.Fatalf("the bare loop made the calls %v, the agent %v", did, made)
	}
	n := float64(ours.slots)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(agent.took.Seconds(), "s")
	b.ReportMetric(agent.took.Seconds()/loop.took.Seconds(), "ratio")
	b.ReportMetric(float64(commits)/n, "commits/rotation")
	b.ReportMetric(milli(agent.cpu-loop.cpu)/n, "own-cpu-ms/rotation")
	b.ReportMetric((agent.objects-loop.objects)/n, "own-allocs/rotation")
	b.ReportMetric((agent.bytes-loop.bytes)/1024/n, "own-KiB/rotation")
	b.ReportMetric((agent.held-loop.held)/1024/n, "own-KiB-kept/slot")
	b.ReportMetric(agent.resident, "MiB-grown")
	b.ReportMetric(loop.resident, "MiB-grown-bare")
}

func everySlot(p *passing) []rotation.Request {
	var all []rotation.Request
	for _, policy := range p.current().policies {
		all = append(all, rotation.Request{Kind: rotation.RequestRotate, Slot: policy.Slot, Actor: "uid 0"})
	}
	return all
}

// ledger counts the commits that an engine told of.
type ledger struct {
	mu sync.Mutex
	n  int
}

func (l *ledger) tell(rotation.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
}

func (l *ledger) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.n
	l.n = 0
	return n
}

// cost is what an act took.
type cost struct {
	took, cpu      time.Duration
	objects, bytes float64 // allocated
	held           float64 // bytes that the heap holds more than before
	resident       float64 // MiB that are resident more than before
}

func measure(b *testing.B, act func()) cost {
	b.Helper()
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resident, cpu, began := residentMemory(b), processor(b), time.Now()
	act()
	c := cost{took: time.Since(began), cpu: processor(b) - cpu, resident: residentMemory(b) - resident}
	runtime.ReadMemStats(&after)
	c.objects, c.bytes = float64(after.Mallocs-before.Mallocs), float64(after.TotalAlloc-before.TotalAlloc)
	runtime.GC()
	runtime.ReadMemStats(&after)
	c.held = float64(after.HeapAlloc) - float64(before.HeapAlloc)
	return c
}

// residentMemory is in MiB.
func residentMemory(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("this system has no /proc")
	}
	found := regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		b.Fatal("the process's status has no VmRSS")
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}

// bareLoop makes the calls that an agent made, and keeps nothing.
type bareLoop struct {
	s       *site
	client  *qualytics.Client
	store   backends.Backend
	lists   map[string]int
	each    map[string]int // of each slot
	userIDs map[string]int64
}

func newBareLoop(b *testing.B, s *site, made map[string]int) *bareLoop {
	b.Helper()
	credential := qualytics.OnePlace("its place", func() (secret.Value, error) { return s.api.AdminToken("Handover Admin") })
	client, err := qualytics.New(qualytics.Options{BaseURL: "http://127.0.0.1:9", Credential: credential, Transport: s, Rate: s.rate})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	l := &bareLoop{s: s, client: client, store: s.backend(), lists: map[string]int{}, each: map[string]int{}, userIDs: map[string]int64{}}
	accounts, err := client.Accounts(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range accounts {
		l.userIDs[a.ID] = a.UserID
	}
	s.calls.take()
	for name, n := range made {
		switch {
		case name == listTokens || name == listAccounts:
			l.lists[name] = n
		case n%s.slots == 0:
			l.each[name] = n / s.slots
		default:
			b.Fatalf("%d calls of %s for %d slots", n, name, s.slots)
		}
	}
	return l
}

// run makes the lists, then the calls of each slot one after the other, as many
// slots at a time as the agent.
func (l *bareLoop) run(b *testing.B) {
	b.Helper()
	for range l.lists[listTokens] {
		if _, err := l.client.Tokens(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	var workers sync.WaitGroup
	slots := make(chan int)
	for range defaultConcurrency {
		workers.Go(func() {
			for i := range slots {
				if err := l.slot(b.Context(), i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range l.s.slots {
		slots <- i
	}
	close(slots)
	workers.Wait()
}

func (l *bareLoop) slot(ctx context.Context, i int) error {
	ref := backends.Ref{Backend: "one", Path: fmt.Sprintf("p%d", i)}
	checker, _ := backends.As[backends.Checker](l.store)
	for range l.each["check"] {
		if err := checker.Check(ctx, ref); err != nil {
			return err
		}
	}
	var prev backends.Version
	for range l.each["get"] - 1 {
		var err error
		if _, prev, err = l.store.Get(ctx, ref, backends.Current); err != nil {
			return err
		}
	}
	account := rotation.AccountID(fmt.Sprintf("A%d", i/tokensPerAccount))
	issued, err := l.client.Issue(ctx, rotation.Order{UserID: l.userIDs[account], AccountID: account,
		Label: rotation.Label(fmt.Sprintf("t%d", i), "acme", 2), Days: 30})
	if err != nil {
		return err
	}
	for range l.each[proveToken] {
		if _, err := l.client.Prove(ctx, issued.Value); err != nil {
			return err
		}
	}
	if _, err := l.store.Put(ctx, ref, backends.Item{Payload: issued.Value}, prev); err != nil {
		return err
	}
	_, _, err = l.store.Get(ctx, ref, backends.Current)
	return err
}
