package rotation

import "slices"

// What Next promises of an operator's words.

// checkPause: while the slot is paused, only what an operator said is done.
func (w *world) checkPause(actions []Action) {
	e := w.rec.Emergency
	if e.open() || w.rec.leaking(w.now) || !slices.ContainsFunc(w.obs.Requests, func(q Request) bool { return q.Kind == RequestPause }) {
		return
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Intend, Issue, Revoke, Delete:
			w.t.Fatalf("%T of a paused slot", a)
		case Deliver:
			if e == nil || e.Generation != w.rec.Current {
				w.t.Fatalf("Deliver of a paused slot")
			}
		case EnsureAccount:
			if !a.Look {
				w.t.Fatal("the account of a paused slot is made or updated")
			}
		}
	}
}

// beside: in an emergency the targets are read while the token is issued.
func (w *world) beside(first, a Action) bool {
	_, issues := first.(Issue)
	_, reads := a.(Read)
	return issues && reads && w.rec.Emergency.open()
}

// checkCondemned is the guard of an emergency, written a second time: a token from
// before it, and either a deadline that is over, or targets that were delivered.
func (w *world) checkCondemned(g *Generation) {
	e := w.rec.Emergency
	older := e != nil && !g.IssuedAt.After(e.At)
	if t := w.token(g.TokenID); t != nil && e != nil { // a number may be burnt after its token was made
		older = older || t.Created.Before(e.At)
	}
	if e == nil || !g.Condemned || g.TokenID != e.TokenID && !older {
		w.t.Fatalf("Revoke of g%d in an emergency that isn't its: %+v", g.Number, e)
	}
	if e.RevokeFirst || e.Only || !w.now.Before(e.Deadline) || !e.DoneAt.IsZero() || e.Foreign {
		return
	}
	for _, t := range w.pol.Targets {
		switch rec := w.rec.Targets[t.Key]; {
		case rec.State == Foreign || rec.State == TargetBlocked:
		case rec.State == InStep && rec.Serves == w.rec.Current && rec.Serves != g.Number:
		default:
			w.t.Fatalf("Revoke of g%d before the deadline, and %s is %s and serves g%d", g.Number, t.Key, rec.State, rec.Serves)
		}
	}
}

// checkForeign: the named token is listed on the account, and isn't the slot's.
func (w *world) checkForeign() {
	e := w.rec.Emergency
	named := slices.ContainsFunc(w.obs.Tokens.Mine, func(t Token) bool { return t.ID == e.TokenID })
	ours := slices.ContainsFunc(w.rec.Generations, func(g Generation) bool { return g.TokenID == e.TokenID && g.counts(e.At) })
	if e.TokenID == 0 || !named || w.obs.Tokens.At.Before(e.At) || ours {
		w.t.Fatalf("RevokeForeign of %d: listed %v, the slot's %v", e.TokenID, named, ours)
	}
}
