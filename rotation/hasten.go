package rotation

import "time"

// The road of an emergency: issue, prove, deliver, revoke, and nothing else until
// what leaked is dead. What the road leaves out (lists, preflights, a second look
// at each target) is named in docs/decisions/emergency.md, with the reason.

// alarm takes an emergency up before anything is looked at. Another one waits
// until the one that is open has ended, unless it asks for the same.
func (n *pass) alarm(q Request, rotate bool) {
	if e := n.rec.Emergency; e.open() && !e.same(q) {
		return
	}
	if len(n.first) == 0 {
		n.first = n.notes // an emergency before it is told of first
	}
	if len(n.first) == 0 {
		n.first = []Action{Alarm{Request: q, Rotate: rotate, Posted: n.mayComeToBe(n.rec.Intent), Removed: n.pol.Removed}}
	}
}

// clockSlack is how far ahead a clock may have been when an emergency was taken up
// before its deadline is reckoned anew.
const clockSlack = time.Minute

// mayComeToBe reports whether a token may be under the intent's label now or
// later: it was posted, or an earlier process may have.
func (n *pass) mayComeToBe(intent *Intent) bool {
	return intent != nil && (intent.Process != n.obs.Process || !n.obs.Posted[intent.Generation].IsZero())
}

// hasten goes the road of an emergency a step further. It returns true while
// nothing else is to be done beside.
func (n *pass) hasten() bool {
	n.hurry = n.rec.Emergency.open() || n.rec.leaking(n.now)
	if !n.hurry {
		return false
	}
	if e := n.rec.Emergency; e.open() && n.now.Add(clockSlack).Before(e.At) {
		n.first = []Action{Reckon{}}
		return true
	}
	open := n.gateOpen()
	if open {
		n.revokeCondemned()
	}
	if len(n.deeds) > 0 {
		return true
	}
	if n.replaces() && (n.rec.Lost != "" || n.rec.Intent != nil || n.rec.current() == nil) {
		if n.issue(); len(n.deeds) > 0 {
			n.readBeside()
		}
	} else {
		n.targets()
	}
	if len(n.looks)+len(n.notes)+len(n.deeds) > 0 || n.tokensAfter != nil || n.accountAfter != nil {
		return true
	}
	if open || !n.rec.leaking(n.now) {
		return false
	}
	n.wait(retiring, n.rec.Emergency.Deadline, EmergencyRunning)
	return true
}

// replaces reports whether an emergency wants a new token at once.
func (n *pass) replaces() bool {
	e := n.rec.Emergency
	return e.open() && !e.Only && !n.pol.Removed && (e.TokenID == 0 || n.rec.Lost == Leaked)
}

// readBeside reads the targets while a token is issued: their versions are
// needed to deliver it.
func (n *pass) readBeside() {
	for _, t := range n.pol.Targets {
		if _, looked := n.obs.Targets[t.Key]; !looked {
			n.beside = append(n.beside, Read{Target: t.Key})
		}
	}
}

// gateOpen reports whether what leaked may be revoked: every target serves the
// new token, as read back when it was delivered, or the deadline is over.
// A target that holds what isn't ours, or that won't take the token, doesn't
// get it sooner by waiting.
func (n *pass) gateOpen() bool {
	switch e := n.rec.Emergency; {
	case n.pol.Removed: // nobody gets a new one by waiting
		return true
	case !e.open(), e.RevokeFirst, e.Only, e.Foreign, !n.now.Before(e.Deadline):
		return true
	case n.rec.Lost != "", n.rec.current() == nil:
		return false
	}
	for _, t := range n.pol.Targets {
		if rec, known := n.rec.Targets[t.Key]; !known || rec.State == Behind {
			return false
		}
	}
	return true
}

// revokeCondemned revokes all that may not live, by what the record knows. What
// a list at hand calls revoked is retired by the common road.
func (n *pass) revokeCondemned() {
	for i := range n.rec.Generations {
		g := &n.rec.Generations[i]
		if !g.condemned(n.now) || g.TokenID == 0 {
			continue
		}
		switch {
		case n.othersOrDead(g):
		case n.now.Before(g.RetryAt):
			n.wait(retiring, g.RetryAt, BackOff)
		case !n.needless(g.Number, longestHurry):
		default:
			n.deed(Revoke{Generation: g.Number, Condemned: true})
		}
	}
	n.revokeForeign()
}

// othersOrDead reports whether a list at hand tells that the token lost our
// label, or is revoked: then the common road goes on with it.
func (n *pass) othersOrDead(g *Generation) bool {
	if n.obs.Tokens == nil || g.State == Live {
		return false
	}
	listed := n.tokenByID(g.TokenID)
	return listed != nil && (n.tokenOf(g) == nil || !listed.Active)
}

// revokeForeign revokes the named token that isn't one of the slot's, once a
// list from after the word has it on the slot's account.
func (n *pass) revokeForeign() {
	e := n.rec.Emergency
	if !e.open() || !e.Foreign || len(e.Revoked) > 0 || !n.haveList(e.At) {
		return
	}
	t := n.tokenByID(e.TokenID)
	switch {
	case t == nil:
		n.note(Finish{Outcome: NoSuchToken})
	case !t.Active:
		n.note(Finish{Outcome: "the token was revoked before"})
	case n.now.Before(e.RetryAt):
		n.wait(retiring, e.RetryAt, BackOff)
	case !n.needless(0, longestHurry):
	default:
		n.deed(RevokeForeign{})
	}
}

// haveList is haveTokens for a list that was read, not brought up to date.
func (n *pass) haveList(after time.Time) bool {
	if n.obs.Tokens != nil && n.obs.Tokens.Patched {
		if !n.listsHeld() {
			n.tokensAfter = new(after)
		}
		return false
	}
	return n.haveTokens(after)
}

// finish ends an emergency: a list from after its last act has nothing that may
// not live, and every target was delivered or had its time.
func (n *pass) finish() {
	e := n.rec.Emergency
	if !e.open() || n.rec.leaking(n.now) || !n.haveList(earlier(e.lastAct(), n.now)) || len(n.notes) > 0 {
		return
	}
	left := n.left()
	if left > 0 && !e.Only && n.now.Before(e.Deadline) {
		n.wait(issuing, e.Deadline, EmergencyRunning)
		return
	}
	n.note(Finish{Left: left})
}

// left counts the targets that don't serve what is to be served.
func (n *pass) left() int {
	left := 0
	for _, t := range n.pol.Targets {
		if n.rec.Targets[t.Key].State != InStep || n.rec.Lost != "" {
			left++
		}
	}
	return left
}
