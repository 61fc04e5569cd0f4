package wire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestRate: a second's worth at once, then one after the other.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := NewLimit(100, 10), time.Now()
		for range 30 {
			leave, err := l.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leave()
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("30 calls at 10 a second took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := l.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that would come too late: %v", err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := l.Enter(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("a call whose context is over: %v", err)
		}
	})
}

// TestMaxInFlight: the next call waits until one has ended, or its own time.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit(2, 1000)
		first, err := l.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third call beside two: %v", err)
		}
		first()
		if _, err := l.Enter(t.Context()); err != nil {
			t.Errorf("a third call after one: %v", err)
		}
	})
}
