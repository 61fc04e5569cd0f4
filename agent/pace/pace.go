// Package pace is how an agent tells time and waits: by the machine's clock,
// or, for development, by one on which a day takes as long as one likes.
package pace

import (
	"context"
	"time"
)

// Pace tells time and waits. Implementations are safe for concurrent use.
type Pace interface {
	// Now is the local time, carried on monotonically.
	Now() time.Time
	// Wait returns when until has come by Now, wake is signalled, or ctx is
	// done. A zero until never comes. The caller is Busy, and isn't while it
	// waits.
	Wait(ctx context.Context, until time.Time, wake <-chan struct{})
	// Busy says that an act is under way, until done is called once.
	Busy() (done func())
}

// Real is the machine's clock.
type Real struct{}

// Now is time.Now.
func (Real) Now() time.Time { return time.Now() }

// Busy has no effect: the machine's clock stands still for nobody.
func (Real) Busy() func() { return func() {} }

// Wait waits on a timer.
func (r Real) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) {
	var come <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(until.Sub(r.Now()))
		defer timer.Stop()
		come = timer.C
	}
	select {
	case <-come:
	case <-wake:
	case <-ctx.Done():
	}
}
