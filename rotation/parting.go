package rotation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// A slot that leaves the declaration takes its settings along. So what is to
// become of its tokens then (on_remove) is journaled while it is declared: the
// record of a slot that is to be retired has a Parting, and goes by that once
// nothing is declared any more (docs/decisions/on-remove.md).

// Parting is how a slot's tokens end when it leaves the declaration: the part of
// its [Schedule] that speaks of old tokens, as it was last declared.
type Parting struct {
	Grace           time.Duration `json:"grace"`
	Hold            time.Duration `json:"hold"`
	HoldUntilUnused bool          `json:"hold_until_unused,omitempty"`
	Quiet           time.Duration `json:"quiet"`
	Observe         time.Duration `json:"observe"`
}

// parting is what the record of a declared slot is to say; nil leaves its tokens
// as they are. The agent's own credential is never taken from it.
func (p *Policy) parting() *Parting {
	if !p.RetireRemoved || p.Own {
		return nil
	}
	s := p.Schedule
	return &Parting{Grace: s.Grace, Hold: s.Hold, HoldUntilUnused: s.HoldUntilUnused, Quiet: s.Quiet, Observe: s.Observe}
}

func (p Parting) schedule() Schedule {
	return Schedule{Grace: p.Grace, Hold: p.Hold, HoldUntilUnused: p.HoldUntilUnused, Quiet: p.Quiet, Observe: p.Observe}
}

// check looks for what no declaration says.
func (p *Parting) check() (field string, err error) {
	for name, d := range map[string]time.Duration{"grace": p.Grace, "hold": p.Hold, "quiet": p.Quiet, "observe": p.Observe} {
		if d < 0 {
			return name, negative(int64(d))
		}
	}
	return "", nil
}

// Leaving reports whether the slot has tokens that are to be ended when it isn't
// declared. Those that nobody claimed aren't among them.
func (r *Record) Leaving() bool {
	return r.Parting != nil && (r.Intent != nil || slices.ContainsFunc(r.Generations, func(g Generation) bool {
		return g.State != Gone && g.State != Unclaimed
	}))
}

// parts reports whether the slot left the declaration to be retired.
func (n *pass) parts() bool { return n.pol.Removed && n.rec.Parting != nil }

// part notes what is declared for the time after, and, once that has come, that
// the current token is an old one like all others.
func (n *pass) part() {
	switch want := n.pol.parting(); {
	case len(n.notes) > 0:
	case n.parts() && (n.rec.Current != 0 || n.rec.Intent != nil):
		n.note(Part{Posted: n.mayComeToBe(n.rec.Intent)})
	case !n.pol.Removed && !same(n.rec.Parting, want):
		n.note(Remember{Parting: want})
	}
}

func same(a, b *Parting) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// unhanded finds a place of a slot that left the declaration which is another
// slot's now, and doesn't serve that one's token yet: whoever reads there may still
// get the old one.
func (e *Engine) unhanded(ctx context.Context, rec *Record, pol *Policy) (string, error) {
	if !pol.Removed || rec.Parting == nil {
		return "", nil
	}
	for _, key := range slices.Sorted(maps.Keys(rec.Targets)) {
		heir := pol.Heirs[key]
		if heir == "" {
			continue
		}
		now, err := e.journal.Slot(ctx, heir)
		switch {
		case errors.Is(err, ErrNoRecord), errors.Is(err, ErrBadRow):
			return key, nil
		case err != nil:
			return "", err
		case now.Targets[key].State != InStep:
			return key, nil
		}
	}
	return "", nil
}

// remember takes in what is declared for the time after.
func (r *Record) remember(a Remember) Event {
	r.Parting = a.Parting
	event := Event{Act: ActOnRemove, Detail: "keep"}
	if a.Parting != nil {
		event.Detail = "retire"
	}
	return event
}

// part retires the current token, and gives up the will to issue another.
func (r *Record) part(a Part) Event {
	event := Event{Act: ActParted, Reason: NotDeclared, Generation: r.Current}
	if g := r.current(); g != nil {
		event.TokenID = g.TokenID
		g.State, g.Reason, g.Attempts, g.RetryAt = Waiting, NotDeclared, 0, time.Time{}
	}
	r.giveUpIntent(a.Posted)
	r.Current, r.Lost, r.Again = 0, "", ""
	return event
}
