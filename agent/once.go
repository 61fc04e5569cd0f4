package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/handover-agent/handover/rotation"
)

// Summary is how Once ended.
type Summary struct {
	// Slots is how many were looked at, Settled how many of them are served
	// as declared, with nothing due that couldn't be done.
	Slots, Settled int
	// Waiting says of each other slot what it waits for; one whose pass
	// failed is in the error instead.
	Waiting map[string]rotation.Reason
}

// soon bounds the wait for what settles by itself, such as a token that isn't
// valid yet or a store that asks to come back; patience bounds all such waits
// of a slot.
const (
	soon     = 30 * time.Second
	patience = 5 * time.Minute
)

// Once brings the named slots, or all, to rest: it repeats the pass of a slot
// that says it can go on within half a minute, for five minutes at most. Hooks
// that run are waited for. It
// fails when ctx is done, and when a pass fails; the other slots go on, as long
// as there is a journal. A name that isn't declared is control.ErrNotFound, and
// then nothing is done.
func (a *Agent) Once(ctx context.Context, slots ...string) (Summary, error) {
	d := a.current()
	for _, slot := range slots {
		if err := d.declares(slot); err != nil {
			return Summary{}, err
		}
	}
	all := len(slots) == 0
	if all {
		for _, p := range d.policies {
			slots = append(slots, p.Slot)
		}
		if err := a.findParting(ctx); err != nil {
			return Summary{}, err
		}
	}
	sum := Summary{Slots: len(slots), Waiting: map[string]rotation.Reason{}}
	if all {
		slots = append(slots, a.leavingSlots()...)
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var failed []error
	var passes errgroup.Group
	passes.SetLimit(a.opt.Concurrency)
	for _, slot := range slots {
		passes.Go(func() error {
			outcome, err := a.toRest(inner, slot)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case fatal(err):
				stop() // without a journal nothing can be done
				failed = append(failed[:0], err)
			case err != nil && inner.Err() == nil:
				failed = append(failed, fmt.Errorf("slot %s: %w", slot, err))
			case err != nil: // it was told to end
			case d.declares(slot) != nil: // it only comes to its end
			case settled(outcome):
				sum.Settled++
			default:
				sum.Waiting[slot] = outcome.Reason
			}
			return nil
		})
	}
	_ = passes.Wait() // each outcome is in sum or in failed
	if err := ctx.Err(); err != nil {
		failed = append(failed, fmt.Errorf("ended before every slot was at rest: %w", err))
	}
	return sum, errors.Join(failed...)
}

// settled reports whether the slot is served as declared, and nothing is due
// that couldn't be done.
func settled(o rotation.Outcome) bool { return o.Settled() && !hinders(o.Reason) }

// toRest repeats a slot's pass until it is settled or has to wait for long.
func (a *Agent) toRest(ctx context.Context, name string) (rotation.Outcome, error) {
	slot, release, ok := a.borrow(name)
	if !ok {
		return rotation.Outcome{}, fmt.Errorf("slot %s left the declaration", name)
	}
	defer release()
	defer a.pace.Busy()()
	end := a.pace.Now().Add(patience)
	for {
		outcome, err := a.engine.Pass(ctx, slot)
		if err != nil {
			return outcome, err
		}
		if a.engine.AwaitHooks(ctx, name) {
			continue // how they ended is noted
		}
		if settled(outcome) {
			return outcome, nil
		}
		wait := outcome.NextAt.Sub(a.client.Now())
		until := a.pace.Now().Add(wait)
		if outcome.NextAt.IsZero() || wait > soon || until.After(end) {
			return outcome, nil
		}
		a.pace.Wait(ctx, until, nil)
	}
}
