package pace_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/pace"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func scaled(t *testing.T, day time.Duration) *pace.Scaled {
	t.Helper()
	s, err := pace.NewScaled(start, day)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestADayTakesAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scaled(t, time.Second)
		began := time.Now()
		s.Run(t.Context(), start.Add(10*24*time.Hour))
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("ten days took %s, 10 s was asked for", took)
		}
	})
}

func TestStandsStillWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scaled(t, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx, time.Time{}) })
		done := s.Busy()
		at := s.Now()
		time.Sleep(time.Hour)
		if moved := s.Now().Sub(at); moved != 0 {
			t.Errorf("the clock moved by %s while somebody was busy", moved)
		}
		done()
		time.Sleep(time.Second)
		if moved := s.Now().Sub(at); moved < 23*time.Hour {
			t.Errorf("the clock moved by %s in a second, a day was asked for", moved)
		}
		cancel()
		running.Wait()
	})
}

// A waiter sees exactly the instant that it waited for, however coarse the
// ticks are, and the clock goes on only when the waiter waits again.
func TestStopsAtEachAwaitedInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scaled(t, time.Millisecond) // one tick is a day
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer s.Busy()()
		all.Go(func() { s.Run(ctx, time.Time{}) })
		next := s.Now()
		for range 100 {
			next = next.Add(time.Hour)
			s.Wait(ctx, next, nil)
			if now := s.Now(); !now.Equal(next) {
				t.Fatalf("woken at %s, waited for %s", now, next)
			}
		}
		cancel()
		all.Wait()
	})
}

func TestWakeAndContextEndAWait(t *testing.T) {
	for name, p := range map[string]pace.Pace{"real": pace.Real{}, "scaled": scaled(t, time.Hour)} {
		t.Run(name, func(t *testing.T) {
			defer p.Busy()()
			wake := make(chan struct{}, 1)
			wake <- struct{}{}
			p.Wait(t.Context(), time.Time{}, wake)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.Wait(ctx, p.Now().Add(time.Hour), nil)
			p.Wait(t.Context(), p.Now(), nil) // has come
		})
	}
}

func TestADayMustTakeTime(t *testing.T) {
	if _, err := pace.NewScaled(start, 0); err == nil {
		t.Error("a day of no time was accepted")
	}
}
