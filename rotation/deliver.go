package rotation

import (
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
)

// targets is the delivering machine, one for each target: behind → current; or
// foreign, or blocked.
func (n *pass) targets() {
	if n.pol.Removed { // the record keeps what is known of them
		return
	}
	for _, key := range n.rec.undeclared(n.pol) {
		n.note(Forget{Target: key})
	}
	current := n.rec.current()
	for _, t := range n.pol.Targets {
		rec, known := n.rec.Targets[t.Key]
		if _, looked := n.obs.Targets[t.Key]; !looked && known && (!n.readingDue(t.Key, rec) || n.glanced(t.Key, rec)) {
			continue
		}
		s, ok := n.serving(t.Key)
		if !ok {
			continue
		}
		if n.disputed(s.Meta) {
			continue
		}
		want := rec.seen(s, n.rec, t, n.now)
		if !known || want.differs(rec) {
			n.note(See{Target: t.Key, Serving: s})
			continue
		}
		if (rec.State == Behind || rec.State == TargetBlocked) && current != nil && n.rec.Lost == "" {
			n.deliver(t.Key, rec, current)
		}
	}
}

// disputed reports whether another target's metadata, to be committed now, gives
// the same number to another token: the first one is believed.
func (n *pass) disputed(m backends.Meta) bool {
	return slices.ContainsFunc(n.notes, func(a Action) bool {
		see, ok := a.(See)
		return ok && !m.IsZero() && see.Serving.Meta.Generation == m.Generation && see.Serving.Meta != m
	})
}

// readingDue reports whether a target has to be read now, and if not, when.
func (n *pass) readingDue(key string, rec TargetRecord) bool {
	if rec.State == Behind {
		if n.rec.current() == nil || n.rec.Lost != "" {
			return false
		}
		if n.now.Before(rec.RetryAt) {
			n.wait(delivering, rec.RetryAt, rec.Reason)
			return false
		}
		return true
	}
	next := n.pol.nextCheck(n.obs.Checked[key])
	switch {
	case !n.now.Before(next):
		return true
	case rec.State == TargetBlocked:
		n.wait(delivering, next, rec.Reason)
	default:
		n.at(next)
	}
	return false
}

// glanced reports whether the store is asked in place of a reading: about a
// target in step alone, for what has to be put right is read before. A gate
// takes nothing but readings.
func (n *pass) glanced(key string, rec TargetRecord) bool {
	if _, known := n.obs.Versions[key]; !known || rec.State != InStep {
		return false
	}
	n.look(Glance{Target: key})
	return true
}

// unmoved reports whether a store's description bears out that the current token
// stands where it was last read. The version alone doesn't: an entry that was
// deleted and made again counts from one.
func (r *Record) unmoved(described backends.Meta, now, last backends.Version) bool {
	g := r.current()
	return g != nil && now == last && now != backends.Absent &&
		described.Slot == r.Slot && described.Generation == g.Number && described.Token == g.Fingerprint
}

// serving says what a target serves, as read in this pass; false when that has
// to be looked at first, or couldn't be.
func (n *pass) serving(key string) (Serving, bool) {
	seen, ok := n.obs.Targets[key]
	if !ok {
		n.look(Read{Target: key})
		return Serving{}, false
	}
	if seen.Failed != "" {
		n.wait(delivering, seen.RetryAt, seen.Failed)
		return Serving{}, false
	}
	return n.identify(key, seen.Reading)
}

// deliver wants the value, and proves it again before it is written.
func (n *pass) deliver(key string, rec TargetRecord, current *Generation) {
	left := n.rec.Emergency != nil && n.rec.Emergency.Generation == current.Number // by an emergency
	if !left && n.stopped(delivering) {
		return
	}
	if n.now.Before(rec.RetryAt) {
		n.wait(delivering, rec.RetryAt, rec.Reason)
		return
	}
	if n.now.Before(current.RetryAt) {
		n.wait(delivering, current.RetryAt, NotValidYet)
		return
	}
	switch found, looked := n.obs.Found[current.Number]; {
	case !looked:
		n.look(Find{Generation: current.Number})
		return
	case found == NotFound:
		n.lose(ValueLost)
		return
	case found == NotKnown:
		n.wait(delivering, n.now.Add(time.Minute), TargetUnreachable)
		return
	}
	switch proof, asked := n.obs.Proofs[current.Number]; {
	case !asked:
		n.look(Prove{Generation: current.Number})
	case proof.Result == ProvedLive:
		n.deed(Deliver{Target: key})
	case proof.Result == ProvedDead:
		n.refused(current, proof.At)
	case n.hurry:
		n.wait(delivering, n.now.Add(longestHurry), APIUnavailable)
	default:
		n.wait(delivering, n.now.Add(missGap), APIUnavailable)
	}
}

// lose notes once that the current token has to be replaced.
func (n *pass) lose(why Reason) {
	for _, a := range n.notes {
		if _, twice := a.(Lose); twice {
			return
		}
	}
	n.note(Lose{Reason: why})
}

// refused finds out why the API refuses the current token. keep sees one that
// is missing, revoked or expired; an account that was taken out of use blocks
// the slot; else the token may not be valid yet. An emergency doesn't wait for the
// lists that tell.
func (n *pass) refused(g *Generation, at time.Time) {
	if !n.replaces() {
		if !n.haveTokens(at) || !n.haveAccount(at) || !n.obs.Account.Ready() {
			return
		}
		if listed := n.tokenByID(g.TokenID); listed == nil || !listed.Live(n.now) {
			return
		}
	}
	switch {
	case g.Attempts >= maxUnproved:
		n.lose(TokenRefused)
	default:
		for _, a := range n.notes {
			if a == (Unprove{Generation: g.Number}) {
				return
			}
		}
		n.note(Unprove{Generation: g.Number})
	}
}

// undeclared lists the targets that have left the declaration.
func (r *Record) undeclared(pol *Policy) []string {
	var left []string
	for key := range r.Targets {
		if !pol.declares(key) {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return left
}

// declares reports whether the target is in the declaration.
func (p *Policy) declares(key string) bool {
	for _, t := range p.Targets {
		if t.Key == key {
			return true
		}
	}
	return false
}

// seen is the target's record after it was seen to serve s.
func (r TargetRecord) seen(s Serving, rec *Record, t TargetPolicy, now time.Time) TargetRecord {
	next := r
	next.Serves = 0
	switch s.Kind {
	case Ours:
		next.Serves = s.Generation
		next.State, next.Reason = Behind, TargetOlder
		switch {
		case s.Reshaped:
			next.Reason = TargetReshaped
		case s.Generation == rec.Current:
			next.State, next.Reason = InStep, TargetServes
		}
	case Nothing:
		next.State, next.Reason = Behind, TargetEmpty
		if r.Serves == 0 && (r.Reason == TargetNew || r.State == "") {
			next.Reason = TargetNew
		}
	case OtherDead:
		next.State, next.Reason = Behind, TargetHoldsOther
	case OtherLive:
		if r.Other == nil || r.Other.Fingerprint != s.Other || !r.Other.Live {
			next.Other = &Other{Fingerprint: s.Other, Live: true, AskedAt: now}
		}
		next.State, next.Reason = Foreign, TargetHoldsOther
		if g := rec.current(); g != nil && !g.IssuedAt.Before(next.Other.AskedAt) {
			next.State = Behind
		}
	case ForeignValue:
		next.State, next.Reason = Foreign, TargetHoldsForeign
		if t.TakeOver {
			next.State = Behind
		}
	}
	if s.Kind == OtherDead && (r.Other == nil || r.Other.Fingerprint != s.Other || r.Other.Live) {
		next.Other = &Other{Fingerprint: s.Other, AskedAt: now}
	}
	if next.State != Behind {
		next.Attempts, next.RetryAt = 0, time.Time{}
	}
	if next.State == Behind && r.Attempts > 0 && (r.State == Behind || r.State == TargetBlocked) {
		next.State, next.Reason = r.State, r.Reason // why the last delivery failed says more
	}
	return next
}

// differs reports whether the two say different things of what is served.
func (r TargetRecord) differs(old TargetRecord) bool {
	return r.State != old.State || r.Reason != old.Reason || r.Serves != old.Serves || r.Other != old.Other
}
