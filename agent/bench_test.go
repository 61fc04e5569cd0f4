package agent

import (
	"context"
	"testing"
)

// BenchmarkStartToReady starts an agent of a thousand accounts, one slot each,
// on the journal of an earlier run, until its passes begin and health, metrics,
// page and control socket are served. "read" has the declaration read too.
func BenchmarkStartToReady(b *testing.B) {
	w := newWorld(b, oneStore, manySlots(1000, 1))
	fill(b, w)
	b.Run("declaration=given", func(b *testing.B) {
		opt := w.options()
		for b.Loop() {
			untilReady(b, opt)
		}
	})
	b.Run("declaration=read", func(b *testing.B) {
		for b.Loop() {
			untilReady(b, w.options())
		}
	})
}

// untilReady starts an agent, and ends it again while the clock stands still.
func untilReady(b *testing.B, opt Options) {
	b.Helper()
	ready, ended := make(chan struct{}), make(chan error, 1)
	opt.OnReady = func() { close(ready) }
	a, err := New(b.Context(), opt)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { ended <- a.Run(ctx) }()
	<-ready
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// fill brings the world to rest, so that there is a journal to start on.
func fill(b *testing.B, w *world) {
	b.Helper()
	a := w.agent()
	sum, err := a.Once(b.Context())
	if err != nil || sum.Settled != sum.Slots {
		b.Fatalf("%+v, %v", sum, err)
	}
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
}
