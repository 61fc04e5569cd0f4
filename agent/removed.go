package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/rotation"
)

// A slot that left the declaration keeps its record, and its tokens may live. An
// operator's orders that end or bring back a token are taken for it, and it is
// passed over until they are carried out (docs/decisions/removed.md).

// ofRemoved are the orders that a slot takes which isn't declared any more.
func ofRemoved(kind rotation.RequestKind) bool {
	switch kind {
	case rotation.RequestEmergency, rotation.RequestRevoke, rotation.RequestRestore, rotation.RequestDeactivate:
		return true
	}
	return false
}

// removed is what the engine needs of a slot that isn't declared any more.
func (w *declared) removed(slot string) rotation.Declared {
	account, token, _ := strings.Cut(slot, "/")
	p := rotation.Policy{Slot: slot, AgentID: w.process.agent.ID, AccountID: account, Token: token, URL: w.process.qualytics.URL,
		DriftCheck: w.process.agent.DriftCheck, Sweep: w.process.agent.Sweep, Removed: true, Heirs: w.heirs}
	return rotation.Declared{Policy: p, Edition: w.edition}
}

// known is a slot as it is declared, or as one that was.
func (w *declared) known(slot string) rotation.Declared {
	if found, ok := w.slot(slot); ok {
		return found
	}
	return w.removed(slot)
}

// takes fails with control.ErrNotFound for a slot that takes no order of the kind:
// it isn't declared, and the journal has no record of it.
func (a *Agent) takes(ctx context.Context, d *declared, kind rotation.RequestKind, slot string) error {
	err := d.declares(slot)
	if err == nil || !ofRemoved(kind) {
		return err
	}
	var bad *rotation.BadRow
	switch _, unread := a.journal.Slot(ctx, slot); {
	case unread == nil, errors.As(unread, &bad): // its pass tells what can't be read
		return nil
	case errors.Is(unread, rotation.ErrNoRecord):
		return err
	default:
		return fmt.Errorf("slot %s: %w", slot, unread)
	}
}

// works fails with control.ErrNotFound for a slot that nothing is to be done at.
func (a *Agent) works(slot string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.atWork(slot) {
		return nil
	}
	return a.declared.declares(slot)
}

// atWork reports whether something is to be done at a slot that isn't declared any
// more. The caller holds mu.
func (a *Agent) atWork(slot string) bool { return a.leaving[slot] > 0 || a.parting[slot] }

// leavingSlots are the slots that aren't declared any more and at which something
// is to be done.
func (a *Agent) leavingSlots() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := maps.Clone(a.parting)
	for slot := range a.leaving {
		all[slot] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// leave notes that an order was stored for a slot, if it isn't declared any more.
func (a *Agent) leave(slot string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, declared := a.declared.slots[slot]; !declared {
		a.leaving[slot]++
	}
}

// findLeaving brings leaving in line with the declaration in force and with what
// the journal has open, at a start and after a reload.
func (a *Agent) findLeaving(ctx context.Context) error {
	open, err := a.journal.OpenRequests(ctx)
	if err != nil && !errors.Is(err, rotation.ErrBadRow) {
		return err
	}
	d := a.current()
	a.mu.Lock()
	for slot := range a.leaving {
		if _, declared := d.slots[slot]; declared {
			delete(a.leaving, slot)
		}
	}
	a.mu.Unlock()
	for _, r := range open {
		if !ofRemoved(r.Kind) {
			continue
		}
		err := a.takes(ctx, d, r.Kind, r.Slot)
		switch {
		case err == nil:
			a.leave(r.Slot)
		case !errors.Is(err, control.ErrNotFound):
			return err
		}
	}
	return nil
}

// findParting finds the slots that left the declaration, at a start and after a
// reload: those that are to be retired are worked at, the others are told of while
// a token of theirs may live.
func (a *Agent) findParting(ctx context.Context) error { return a.findPartingFrom(ctx, a.current()) }

// findPartingFrom is findParting for those that a declaration lacks. When another
// one has come into force meanwhile, who brought that in finds them.
func (a *Agent) findPartingFrom(ctx context.Context, d *declared) error {
	parting := map[string]bool{}
	for rec, err := range a.journal.Slots(ctx) {
		_, declared := d.slots[rec.Slot]
		switch {
		case errors.Is(err, rotation.ErrBadRow) || declared:
		case err != nil:
			return err
		case rec.Leaving():
			a.log.Info("retiring a slot that left the declaration", "slot", rec.Slot)
			parting[rec.Slot] = true
		case rec.MayLive():
			a.log.Warn("a slot left the declaration, and its tokens live on: nobody rotates them; declare it again, or revoke them",
				"slot", rec.Slot, "command", "handover revoke "+rec.Slot)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.declared == d {
		a.parting = parting
	}
	return nil
}

// left reports whether a slot isn't declared any more and nothing is left to be
// done at it: all orders for it are carried out, and its tokens ended if they are
// to be.
func (a *Agent) left(ctx context.Context, slot string) bool {
	a.mu.Lock()
	asked, parting := a.leaving[slot], a.parting[slot]
	a.mu.Unlock()
	if asked == 0 && !parting || asked > 0 && a.hasOrders(ctx, slot) {
		return false
	}
	if parting {
		if rec, err := a.journal.Slot(ctx, slot); err != nil || rec.Leaving() {
			return false
		}
		a.log.Info("slot retired: it left the declaration, and none of its tokens is left", "slot", slot)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving[slot] != asked { // another order came meanwhile
		return false
	}
	delete(a.leaving, slot)
	delete(a.parting, slot)
	return true
}

// hasOrders reports whether a slot that isn't declared any more has orders open, or
// nobody can tell.
func (a *Agent) hasOrders(ctx context.Context, slot string) bool {
	open, err := a.journal.Requests(ctx, slot)
	return err != nil || slices.ContainsFunc(open, func(r rotation.Request) bool { return ofRemoved(r.Kind) })
}
