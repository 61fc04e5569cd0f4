package agent

import (
	"testing"
	"time"
)

// restingSlots is how many slots the benchmarks of a site at rest have.
const restingSlots = 10_000

// BenchmarkRest passes over 10,000 slots that have nothing to do, by the
// agent's own loop and queue, 16 at a time. "at-hand": all are woken, and the
// list of tokens is new enough. "due": a sweep begins, so that the first pass
// asks for the list; "alone" is that call by itself, of a simulator that makes it.
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
		used, rounds := processor(b), 0
		for b.Loop() {
			s.clock.move(6 * time.Minute)
			p.pass(b.Context())
			rounds++
		}
		b.ReportMetric(milli(processor(b)-used)/float64(b.N), "cpu-ms/op")
		if calls := s.calls.take(); len(calls) != 1 || calls[listTokens] != rounds {
			b.Errorf("it wasn't at rest: %v in %d sweeps", calls, rounds)
		}
	})
	b.Run("list=alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.client.Tokens(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
