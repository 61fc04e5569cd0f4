package agent

import (
	"testing"
	"time"
)

// restingSlots is how many slots the benchmark of a site at rest has.
const restingSlots = 10_000

const (
	// restingDrift is how often each target of a site is looked at.
	restingDrift = 15 * 24 * time.Hour
	// sweep is longer than the declared one.
	sweep = 6 * time.Minute
)

// BenchmarkRest passes over 10,000 slots that have nothing to do, by the
// agent's own loop and queue, 16 at a time.
//
// "at-hand": all are woken, and the list of tokens is new enough. "due": a sweep
// begins, and the first pass asks for the list; passes-ms is the time from when
// that was read and decoded.
func BenchmarkRest(b *testing.B) {
	s := newSite(b, restingSlots)
	p := s.agent(b)
	defer func() { _ = p.Close() }()
	s.calls.take()
	b.Run("list=at-hand", func(b *testing.B) {
		b.ReportAllocs()
		used := processor(b)
		for b.Loop() {
			p.wakeAll()
			p.pass(b.Context())
		}
		b.ReportMetric(milli(processor(b)-used)/float64(b.N), "cpu-ms/op")
	})
	if calls := s.calls.take(); len(calls) > 0 {
		b.Errorf("it wasn't at rest: %v", calls)
	}
	b.Run("list=due", func(b *testing.B) {
		b.ReportAllocs()
		used, passes, sweeps := processor(b), time.Duration(0), 0
		for b.Loop() {
			s.clock.move(sweep)
			p.pass(b.Context())
			passes += time.Since(s.listed.Load().(time.Time))
			sweeps++
		}
		b.ReportMetric(milli(processor(b)-used)/float64(b.N), "cpu-ms/op")
		b.ReportMetric(milli(passes)/float64(b.N), "passes-ms/op")
		// Drift checks are spread: some slots have their turn in each sweep.
		turns := float64(restingSlots*sweeps) * float64(sweep) / float64(restingDrift)
		calls := s.calls.take()
		if calls[listTokens] != sweeps || float64(calls["get"]) > 2*turns+20 || len(calls) > 2 {
			b.Errorf("it wasn't at rest: %v in %d sweeps", calls, sweeps)
		}
	})
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
