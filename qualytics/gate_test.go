package qualytics

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An urgent call goes ahead of all that wait but one, and counts against the rate.
func TestUrgentGoesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Options{Rate: 1, Burst: 1}.limit())
		if err := g.wait(t.Context(), false); err != nil { // the burst
			t.Fatal(err)
		}
		began := time.Now()
		var mu sync.Mutex
		common, urgent := []time.Duration{}, []time.Duration{}
		var all sync.WaitGroup
		call := func(hurry bool, to *[]time.Duration) {
			all.Go(func() {
				if err := g.wait(t.Context(), hurry); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				*to = append(*to, time.Since(began))
			})
		}
		for range 20 {
			call(false, &common)
		}
		synctest.Wait()
		for range 3 {
			call(true, &urgent)
		}
		all.Wait()
		for i, at := range urgent { // the first common call has the first place
			if want := time.Duration(i+2) * time.Second; at != want {
				t.Errorf("urgent call %d started after %s, want %s", i+1, at, want)
			}
		}
		if last := common[len(common)-1]; last != 23*time.Second {
			t.Errorf("the last of 23 calls started after %s", last)
		}
	})
}

// A common call that waits for its turn ends with its context, and takes no place.
func TestGateEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Options{Rate: 1.0 / 60, Burst: 1}.limit())
		_ = g.wait(t.Context(), false)
		go func() { _ = g.wait(t.Context(), false) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.wait(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait = %v", err)
		}
		time.Sleep(time.Minute)
	})
}

// The urgent client is the same one: credential, clock and rate are shared.
func TestUrgentIsTheSameClient(t *testing.T) {
	s := &script{answers: []answer{say(200, `[]`, "Date: Thu, 05 Nov 2026 12:00:00 GMT"), say(200, `[]`)}}
	c := client(t, Options{Transport: s})
	if _, err := c.Urgent().Tokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := c.Now(); now.Year() != 2026 || now.Month() != time.November {
		t.Errorf("the clock of the client stands at %s", now)
	}
	if c.gate != c.Urgent().gate || c.credential != c.Urgent().credential || c.urgent || !c.Urgent().urgent {
		t.Error("they aren't the same")
	}
}
