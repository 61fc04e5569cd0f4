package agent

import (
	"context"
	"slices"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// Submit stores an operator's requests, all or none, and wakes their slots. A
// slot that isn't declared is control.ErrNotFound, unless it was and the order is
// about its tokens; and so is a pause that concerns none.
func (a *Agent) Submit(ctx context.Context, requests []rotation.Request) ([]rotation.Request, error) {
	declared := a.current()
	for _, r := range requests {
		if r.Kind == rotation.RequestPause && len(declared.under(r.Slot)) > 0 {
			continue
		}
		if err := a.takes(ctx, declared, r.Kind, r.Slot); err != nil {
			return nil, err
		}
	}
	requests = slices.Clone(requests)
	for i := range requests {
		requests[i].At = a.client.Now() // the clock that tells when it was carried out
	}
	stored, err := a.journal.AddRequests(ctx, requests)
	if err != nil {
		return nil, err
	}
	for _, r := range stored {
		slots := declared.under(r.Slot)
		if len(slots) == 0 {
			slots = []string{r.Slot}
		}
		if ofRemoved(r.Kind) { // a reload may have taken it away just now
			a.leave(r.Slot)
		}
		a.asked(r, slots)
		if r.Kind == rotation.RequestPause {
			a.logPause(r)
		}
	}
	return stored, nil
}

// Tokens lists what Qualytics has of an account now, whoever issued it. No list
// at hand is used: what an attacker made a moment ago is to be seen.
func (a *Agent) Tokens(ctx context.Context, account string) (report.Tokens, error) {
	list, err := a.client.Urgent().Tokens(ctx)
	if err != nil {
		return report.Tokens{}, err
	}
	return report.TokensOf(list, account, a.current().process.agent.ID, a.client.Now()), nil
}

// asked tells the engine and the loop of a request that concerns these slots.
func (a *Agent) asked(r rotation.Request, slots []string) {
	for _, slot := range slots {
		r.Slot = slot
		a.engine.Asked(r)
	}
	a.wakeFor(r.Kind, slots...)
}

// EndPauses ends the pauses of just that scope (rotation.EndPauses), and wakes the
// slots that were paused by them.
func (a *Agent) EndPauses(ctx context.Context, scope, actor string) ([]rotation.Request, error) {
	ended, err := rotation.EndPauses(ctx, a.journal, scope, actor)
	for _, r := range ended {
		a.log.Info("pause ended", "scope", scope, "request", r.ID, "actor", actor)
	}
	if len(ended) > 0 {
		a.asked(ended[0], a.current().under(scope))
	}
	return ended, err
}

// logPause tells of a pause when it begins, and at each start.
func (a *Agent) logPause(r rotation.Request) {
	a.log.Warn("paused", "scope", r.Slot, "request", r.ID, "since", r.At, "actor", r.Actor, "detail", r.Reason)
}

// logPauses tells of the pauses that are in force. What can't be read of them
// stops its slots, and their passes say so.
func (a *Agent) logPauses(ctx context.Context) {
	open, _ := a.journal.OpenRequests(ctx)
	for _, r := range open {
		if r.Kind == rotation.RequestPause {
			a.logPause(r)
		}
	}
}

// Request returns a stored request, or rotation.ErrNoRecord.
func (a *Agent) Request(ctx context.Context, id int64) (rotation.Request, error) {
	return a.journal.Request(ctx, id)
}

// Emergencies tells how the last emergency of each of the slots stands, as far
// as the journal knows them.
func (a *Agent) Emergencies(ctx context.Context, slots []string) (report.Emergencies, error) {
	declared := a.current()
	var policies []rotation.Policy
	for _, name := range slots {
		policies = append(policies, declared.known(name).Policy)
	}
	found, err := report.BuildEmergencies(ctx, a.journal, policies, a.client.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range found.Emergencies {
		explainTargets(e.Targets, a.unread[e.Slot])
	}
	return found, err
}

// Prune does one step of a pruning of the history.
func (a *Agent) Prune(ctx context.Context, p rotation.Pruning) (rotation.Pruned, error) {
	return a.journal.Prune(ctx, p)
}

// wake asks the loop to look at slots now.
func (a *Agent) wake(slots ...string) { a.wakeFor("", slots...) }

// wakeFor is wake for a request: an urgent one goes ahead of all others.
func (a *Agent) wakeFor(kind rotation.RequestKind, slots ...string) {
	a.mu.Lock()
	if kind.Urgent() {
		a.urgent = append(a.urgent, slots...)
	} else {
		a.wanted = append(a.wanted, slots...)
	}
	a.mu.Unlock()
	select {
	case a.wakeup <- struct{}{}:
	default: // a signal is waiting already
	}
}
