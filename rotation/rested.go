package rotation

import (
	"context"
	"slices"
	"time"
)

// rested is what a slot stands on that has nothing to do: as long as all of it
// stands, Next would say so again, and isn't asked.
type rested struct {
	// tokens and account are the numbers of what the lists told.
	tokens, account uint64
	// seq and edition are those of memory; asked is its count at the start of
	// the pass.
	seq, edition, asked uint64
	// until is when Next is asked again, whatever is listed. A clock that was
	// put back to before from was wrong, and so is until.
	from, until time.Time
	// relist is how old the list of tokens may grow.
	relist time.Duration
	reason Reason
	// settled is Outcome.Settled.
	settled bool
}

// ground is what a pass was told by a list: the number of it, and whether the
// same, told again, asks for nothing.
type ground struct {
	since uint64
	firm  bool
}

// rests asks what a pass would do that began now and found the same listed. It
// returns nil unless that is to wait, by the record and the lists alone. Then
// it holds for every time until the one that is returned, and for lists that
// tell the same later.
func rests(rec *Record, seen *Observation, pol *Policy, now time.Time) *rested {
	if len(seen.Requests) > 0 || seen.Tokens == nil || seen.Account == nil || rec.after(seen.Tokens.At) {
		return nil
	}
	account := *seen.Account
	account.At = time.Time{} // older than anything: its age must not matter
	obs := Observation{Process: seen.Process, Began: now, Account: &account, Tokens: seen.Tokens,
		Posted: seen.Posted, Checked: seen.Checked}
	n := pass{rec: rec, obs: &obs, pol: pol, now: now}
	n.decide()
	actions, reason := n.answer()
	if _, wait := actions[0].(Wait); !wait {
		return nil
	}
	r := &rested{from: now, until: sooner(n.until, now.Add(pol.DriftCheck)), relist: pol.relistAfter(), reason: reason, settled: rec.atPeace(pol)}
	for _, g := range rec.Generations { // the list says otherwise of a token that has expired
		if t := n.tokenByID(g.TokenID); t != nil && t.Expires.After(now) {
			r.until = sooner(r.until, t.Expires)
		}
	}
	return r
}

// after reports whether the record tells of a token's life what happened after
// a list of the given time was asked for: a newer list says more, if only by
// its age.
func (r *Record) after(at time.Time) bool {
	return slices.ContainsFunc(r.Generations, func(g Generation) bool {
		return at.Before(g.IssuedAt) || at.Before(g.RevokedAt) || at.Before(g.GoneAt)
	})
}

// rested is what the next pass over the slot can stand on; nil for nothing.
func (w *work) rested() *rested {
	if !w.tokens.firm || !w.account.firm {
		return nil
	}
	r := rests(&w.rec, &w.obs, w.pol, w.e.issuer.Now())
	if r != nil {
		r.tokens, r.account, r.seq = w.tokens.since, w.account.since, w.mem.seq
		r.edition, r.asked = w.mem.edition, w.asked
	}
	return r
}

// Asked says that a request of an operator was stored: the next step of a pass
// over its slot looks for it. An emergency cuts off what a pass under way waits
// for at a store.
func (e *Engine) Asked(q Request) {
	m := e.memoryOf(q.Slot)
	m.asked.Add(1)
	if cut := m.interrupt.Load(); cut != nil && q.Kind.Urgent() {
		(*cut)()
	}
}

// Still answers for a slot of which nothing has changed since its last pass,
// and looks at nothing for it, also not at the record: nobody but the passes
// over a slot commits it. It is false where a pass has to be made.
func (e *Engine) Still(slot Declared) (Outcome, bool) {
	pol := &slot.Policy
	r, now := e.restOf(&slot), e.issuer.Now()
	if r == nil || now.Before(r.from) || !now.Before(r.until) || now.Before(e.heldUntil()) {
		return Outcome{}, false
	}
	tokens := e.tokens.cached(now.Add(-pol.Sweep), r.seq)
	accounts := e.accounts.cached(now.Add(-pol.DriftCheck), e.accountChange(pol.AccountID))
	if tokens == nil || tokens.since[pol.AccountID] != r.tokens ||
		accounts == nil || accounts.since[pol.AccountID] != r.account {
		return Outcome{}, false
	}
	return Outcome{NextAt: sooner(r.until, tokens.at.Add(r.relist)), Reason: r.reason, Unchanged: true, settled: r.settled}, true
}

// restOf is what the slot rests on, if nobody asked for anything since.
func (e *Engine) restOf(slot *Declared) *rested {
	mem := e.memoryOf(slot.Policy.Slot)
	r := mem.rested.Load()
	if r == nil || r.edition != slot.Edition || r.asked != mem.asked.Load() {
		return nil
	}
	return r
}

// relist brings in a new list of tokens where a rest needs one to go on.
func (e *Engine) relist(ctx context.Context, slot *Declared) {
	r, now := e.restOf(slot), e.issuer.Now()
	if r != nil && !now.Before(e.heldUntil()) {
		_, _ = e.listTokens(ctx, now.Add(-slot.Policy.Sweep), r.seq) // the pass asks again, or waits
	}
}

// sameTokens reports whether two lists tell the same of an account's tokens.
// When they were last used is left out: it is asked for only by passes that
// read targets.
func sameTokens(a, b []Token) bool {
	return slices.EqualFunc(a, b, func(a, b Token) bool {
		a.LastUsed, b.LastUsed = time.Time{}, time.Time{}
		return a == b
	})
}

func sameAccount(a, b *Account) bool {
	return a.UserID == b.UserID && a.ID == b.ID && a.Name == b.Name && a.Role == b.Role &&
		a.Deleted == b.Deleted && a.Deactivated == b.Deactivated && slices.Equal(a.Teams, b.Teams)
}
