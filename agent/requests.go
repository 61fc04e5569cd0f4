package agent

import (
	"context"

	"github.com/handover-agent/handover/rotation"
)

// Submit stores an operator's requests and wakes their slots. A slot that isn't
// declared is control.ErrNotFound, and then nothing is stored.
func (a *Agent) Submit(ctx context.Context, requests []rotation.Request) ([]rotation.Request, error) {
	declared := a.current()
	for _, r := range requests {
		if err := declared.declares(r.Slot); err != nil {
			return nil, err
		}
	}
	stored := make([]rotation.Request, 0, len(requests))
	for _, r := range requests {
		added, err := a.journal.AddRequest(ctx, r)
		if err != nil {
			return stored, err
		}
		stored = append(stored, added)
		a.wake(added.Slot)
	}
	return stored, nil
}

// Request returns a stored request, or rotation.ErrNoRecord.
func (a *Agent) Request(ctx context.Context, id int64) (rotation.Request, error) {
	return a.journal.Request(ctx, id)
}

// wake asks the loop to look at slots now.
func (a *Agent) wake(slots ...string) {
	a.mu.Lock()
	a.wanted = append(a.wanted, slots...)
	a.mu.Unlock()
	select {
	case a.wakeup <- struct{}{}:
	default: // a signal is waiting already
	}
}
