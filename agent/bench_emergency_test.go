package agent

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// BenchmarkEmergency measures from the command to the death of the leaked token,
// against an API and stores that take 50 ms for each call, on the journal as it is
// released. "ratio" is to the sum of the calls on the critical path: issue, prove,
// put and read back, revoke. The goal is 1.2 at most. In "busy" three hundred
// planned rotations wait before it, under the default limit of the rate.
func BenchmarkEmergency(b *testing.B) {
	for _, bb := range []struct {
		targets, slots int
		rate           float64
	}{{targets: 1, slots: 1, rate: -1}, {targets: 3, slots: 1, rate: -1}, {targets: 1, slots: 300, rate: 10}} {
		b.Run(fmt.Sprintf("targets=%d/busy=%t", bb.targets, bb.slots > 1), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				b.StopTimer()
				took += untilRevoked(b, bb.targets, bb.slots, bb.rate)
				b.StartTimer()
			}
			each := took.Seconds() / float64(b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(each*1000, "ms")
			b.ReportMetric(each/(5*latency.Seconds()), "ratio")
		})
	}
}

// latency is of each call, to the API and to the stores.
const latency = 50 * time.Millisecond

// untilRevoked lets an agent serve its slots, calls an emergency for the last one, and
// returns how long the leaked token lived.
func untilRevoked(b *testing.B, targets, slots int, rate float64) time.Duration {
	b.Helper()
	w := &world{t: b, folder: b.TempDir()}
	var err error
	if w.api, err = sim.New(sim.Options{}); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = w.api.Close() }()
	admin, err := w.api.AdminToken("Handover Admin")
	if err != nil {
		b.Fatal(err)
	}
	w.put("admin.token", admin.Reveal())
	stores, deliver := "backends:\n", ""
	for i := range targets {
		stores += fmt.Sprintf("  s%d: {type: mem}\n", i)
		deliver += fmt.Sprintf("{backend: s%d, path: p%%[1]d, format: token}, ", i)
	}
	accounts := "accounts:\n"
	for i := range slots {
		accounts += fmt.Sprintf("  - {name: A%[1]d, role: Member, owner: data@acme.example, purpose: reads, tokens: [{name: t, deliver: ["+deliver+"]}]}\n", i)
	}
	w.put("agent.yaml", head+stores+accounts)
	d := w.slowDeclaration(b)
	d.Qualytics.Rate = -1
	first := startBench(b, Options{Declaration: d, Transport: w.api.Transport()})
	if sum, err := first.Once(b.Context()); err != nil || sum.Settled != slots {
		b.Fatalf("%+v, %v", sum, err)
	}
	if err := first.Close(); err != nil {
		b.Fatal(err)
	}
	return w.calledOff(b, slots, rate)
}

// calledOff starts an agent that works, and calls the emergency.
func (w *world) calledOff(b *testing.B, slots int, rate float64) time.Duration {
	b.Helper()
	d := w.slowDeclaration(b)
	d.Qualytics.Rate = rate
	slot := fmt.Sprintf("a%d@service/t", slots-1)
	revoked, ready := make(chan time.Time, 1), make(chan struct{})
	a := startBench(b, Options{Declaration: d, Transport: late{w.api.Transport()}, OnReady: func() { close(ready) },
		OnEvent: func(e rotation.Event) {
			if e.Slot == slot && e.Act == rotation.ActRevoked {
				revoked <- time.Now()
			}
		}})
	if sum, err := a.Once(b.Context()); err != nil || sum.Settled != slots { // its lists are at hand
		b.Fatalf("%+v, %v", sum, err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.drive(ctx, nil) }()
	<-ready
	for i := range slots - 1 {
		if _, err := a.Submit(b.Context(), rotate(fmt.Sprintf("a%d@service/t", i))); err != nil {
			b.Fatal(err)
		}
	}
	asked := time.Now()
	if _, err := a.Submit(b.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: slot, Actor: "uid 0"}}); err != nil {
		b.Fatal(err)
	}
	took := (<-revoked).Sub(asked)
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}

func startBench(b *testing.B, o Options) *Agent {
	b.Helper()
	o.Version = "v0.0.0-test"
	a, err := New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// slowDeclaration reads the declaration; its stores are slow, and outlive it.
func (w *world) slowDeclaration(b *testing.B) *config.Declaration {
	b.Helper()
	driver := mem.Driver()
	driver.Open = func(_ context.Context, env backends.Env, _ any) (backends.Backend, error) {
		if w.stores == nil {
			w.stores = map[string]*mem.Store{}
		}
		if w.stores[env.Name] == nil {
			w.stores[env.Name] = mem.New(mem.LikeVault())
		}
		return slowStore{w.stores[env.Name].Backend()}, nil
	}
	registry, err := backends.NewRegistry(driver)
	if err != nil {
		b.Fatal(err)
	}
	d, err := config.Load(filepath.Join(w.folder, "agent.yaml"), registry, nil)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// late lets each call to the API take its latency.
type late struct{ next http.RoundTripper }

// RoundTrip waits, then asks.
func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := away(r.Context()); err != nil {
		return nil, err
	}
	return l.next.RoundTrip(r)
}

// slowStore does the same for a store.
type slowStore struct{ backends.Backend }

// Get waits, then reads.
func (s slowStore) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	if err := away(ctx); err != nil {
		return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrUnavailable, Err: err}
	}
	return s.Backend.Get(ctx, ref, at)
}

// Put waits, then writes.
func (s slowStore) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	if err := away(ctx); err != nil {
		return "", &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrUnavailable, Err: err}
	}
	return s.Backend.Put(ctx, ref, item, prev)
}

// away waits for the latency.
func away(ctx context.Context) error {
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
