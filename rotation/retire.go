package rotation

import (
	"maps"
	"slices"
	"time"
)

// retire is the retiring machine, one for each token that isn't current:
// waiting → grace → (hold) → revoking → observing → deleting → gone.
func (n *pass) retire() {
	for i := range n.rec.Generations {
		g := &n.rec.Generations[i]
		if g.State == Live || g.State == Gone || !n.haveTokens(time.Time{}) {
			continue
		}
		listed := n.tokenOf(g)
		switch {
		case g.TokenID == 0 && n.tokenByLabel(g.Label) != nil: // discovered first
		case listed == nil:
			n.retireMissing(g)
		case !g.MissingAt.IsZero():
			n.note(Miss{Generation: g.Number})
		case g.condemned(n.now) && listed.Live(n.now): // hasten's
		case n.now.Before(g.RetryAt):
			n.wait(retiring, g.RetryAt, BackOff)
		case listed.Expired(n.now) && listed.Active:
			if !n.stopped(retiring) && n.haveTokens(listed.Expires) { // by the API's time, which the list's is
				n.deed(Revoke{Generation: g.Number, Expired: true})
			}
		default:
			n.retireListed(g, listed)
		}
	}
}

// tokenOf finds g in the list, under its id and its label both: a token that
// lost our label isn't ours to touch.
func (n *pass) tokenOf(g *Generation) *Token {
	label := g.Label
	if label == "" { // known by metadata alone
		label = Label(n.pol.Token, n.pol.AgentID, g.Number)
	}
	if t := n.tokenByID(g.TokenID); t != nil && t.Label == label {
		return t
	}
	return nil
}

func (n *pass) retireListed(g *Generation, listed *Token) {
	switch g.State {
	case Unclaimed:
		if g.Condemned && !listed.Active {
			n.note(Move{Generation: g.Number, To: Observing, Reason: DeadAlready})
			return
		}
		if listed.Expired(n.now) {
			n.note(Move{Generation: g.Number, To: Observing, Reason: TokenExpired})
			return
		}
		n.wait(retiring, listed.Expires, FoundUnclaimed)
	case Waiting, Grace, Hold, Revoking:
		if !listed.Active {
			n.note(Move{Generation: g.Number, To: Observing, Reason: DeadAlready})
			return
		}
		n.retireLive(g, listed)
	case Observing, Deleting:
		n.retireRevoked(g)
	}
}

// retireMissing calls a token gone that two complete lists lacked. Nothing is
// done to it, so no proof is asked for.
func (n *pass) retireMissing(g *Generation) {
	if n.missedTwice(g, retiring) && n.tokenOf(g) == nil {
		why := DeletedByOthers
		if g.TokenID == 0 {
			why = NeverListed
		}
		n.note(Move{Generation: g.Number, To: Gone, Reason: why})
	}
}

// retireLive brings a live token of ours to its end, and not a step further
// than its targets allow.
func (n *pass) retireLive(g *Generation, listed *Token) {
	n.at(listed.Expires)
	if n.stillServed(g) {
		if g.State != Waiting {
			n.note(Move{Generation: g.Number, To: Waiting, Reason: StillServed})
			return
		}
		n.wait(retiring, time.Time{}, StillServed)
		return
	}
	if g.State == Waiting {
		if !n.needless(g.Number, n.pol.Sweep) {
			return
		}
		end := n.now.Add(n.pol.Schedule.Grace)
		if g.RevokeAfter.After(end) {
			end = g.RevokeAfter
		}
		n.note(Move{Generation: g.Number, To: Grace, Reason: GraceRunning, RevokeAfter: end})
		return
	}
	if n.now.Before(g.RevokeAfter) {
		n.wait(retiring, g.RevokeAfter, GraceRunning)
		return
	}
	if len(n.notes) > 0 || n.stopped(retiring) || n.untold() || !n.mayRevoke(g) { // the gate asks a record that is up to date
		return
	}
	if yes, asked := n.takenUp(g.Number); !yes {
		if asked { // it went back to the older one: the grace begins again
			n.note(Move{Generation: g.Number, To: Waiting, Reason: NotTakenUp})
		}
		return
	}
	if n.haveTokens(n.obs.Began) && !n.stillUsed(g, listed) { // last_used and the state, as of now
		n.deed(Revoke{Generation: g.Number})
	}
}

// stillServed reports, by what was last committed, whether a target may serve
// g: one that serves it, one that wasn't seen yet, one that holds what isn't
// ours, one that isn't declared any more. Of a slot that left to be retired it is
// only asked whether its places have come to serve another slot's token.
func (n *pass) stillServed(g *Generation) bool {
	if n.pol.Removed {
		return !n.parts() || n.obs.Unhanded != ""
	}
	for _, t := range n.pol.Targets {
		rec, known := n.rec.Targets[t.Key]
		if !known || rec.Serves == 0 || rec.Serves == g.Number {
			return true
		}
	}
	return false
}

// mayRevoke is the gate: every target was re-read just now and serves another
// token of ours that proves live.
func (n *pass) mayRevoke(g *Generation) bool {
	open, served := g.Claimed, map[uint64]bool{}
	for _, t := range n.pol.Targets {
		if seen, ok := n.obs.Targets[t.Key]; ok && seen.Failed == "" && n.now.Sub(seen.At) > lookValid {
			n.look(Read{Target: t.Key})
			open = false
			continue
		}
		switch s, ok := n.serving(t.Key); {
		case !ok:
			open = false
		case s.Kind != Ours || s.Generation == g.Number:
			n.wait(retiring, n.now.Add(n.pol.Sweep), StillServed)
			open = false
		default:
			served[s.Generation] = true
		}
	}
	for _, number := range slices.Sorted(maps.Keys(served)) {
		if open && !n.proved(number) { // nothing is asked of the API while a target says no
			n.wait(retiring, n.now.Add(n.pol.Sweep), StillServed)
			open = false
		}
	}
	return open
}

// proved reports whether a generation proves live now. Where nobody has its
// value, the list tells.
func (n *pass) proved(number uint64) bool {
	proof, asked := n.obs.Proofs[number]
	if !asked || n.now.Sub(proof.At) > lookValid {
		n.look(Prove{Generation: number})
		return false
	}
	if proof.Result == NoValue {
		g := n.rec.generation(number)
		if g == nil || g.Fingerprint == "" { // what stands there may be another token of that number
			return false
		}
		listed := n.tokenOf(g)
		return listed != nil && listed.Live(n.now)
	}
	return proof.Result == ProvedLive
}

// stillUsed reports whether the token is kept beyond its grace, because
// somebody but us still uses it.
func (n *pass) stillUsed(g *Generation, listed *Token) bool {
	s := n.pol.Schedule
	byOthers := listed.LastUsed.After(g.ProvedAt.Add(ownUse))
	quietAt := listed.LastUsed.Add(s.Quiet)
	until := g.RevokeAfter.Add(s.Hold)
	if s.HoldUntilUnused {
		until = g.Expires
		if until.IsZero() {
			until = quietAt
		}
	}
	if !byOthers || !n.now.Before(quietAt) || !n.now.Before(until) {
		return false
	}
	if g.State != Hold {
		n.note(Move{Generation: g.Number, To: Hold, Reason: StillUsed, HoldUntil: until})
		return true
	}
	if quietAt.Before(until) {
		until = quietAt
	}
	n.wait(retiring, until, StillUsed)
	return true
}

// retireRevoked observes a revoked token, and deletes it when nobody restored
// it.
func (n *pass) retireRevoked(g *Generation) {
	end := g.RevokedAt.Add(n.pol.Schedule.Observe)
	listed := n.tokenOf(g)
	switch {
	case g.Restore != 0:
		n.deed(Restore{Generation: g.Number})
	case listed.Active && !n.obs.Tokens.At.Before(g.RevokedAt):
		n.note(Move{Generation: g.Number, To: Grace, Reason: RestoredByHand,
			RevokeAfter: n.now.Add(n.pol.Schedule.Grace)})
	case n.now.Before(end):
		n.wait(retiring, end, ObserveRunning)
	case n.stopped(retiring):
	case n.haveTokens(n.obs.Began):
		n.deed(Delete{Generation: g.Number})
	}
}
