package rotation

import (
	"fmt"
	"slices"
	"time"
)

// Emergency is an operator's word that tokens of a slot are in wrong hands. It is
// journaled before anything is done about it, and stays in the record until the
// next one (docs/decisions/emergency.md).
type Emergency struct {
	// Requests are the ids of those that it carries out: the first, and those
	// that came while it was open and asked for the same.
	Requests []int64 `json:"requests"`
	// Asked is when the first of them was given, At when it was taken up.
	Asked time.Time `json:"asked,omitzero"`
	At    time.Time `json:"at"`
	// Deadline is until when what leaked is kept alive for targets that don't
	// serve the new token yet.
	Deadline time.Time `json:"deadline"`
	// RevokeFirst: nothing is kept alive for anybody.
	RevokeFirst bool `json:"revoke_first,omitempty"`
	// Only: nothing is issued in the place of what is revoked, and nobody is
	// waited for.
	Only bool `json:"only,omitempty"`
	// TokenID names the one token that leaked; 0 is all of the slot.
	TokenID int64 `json:"token_id,omitempty"`
	// Foreign: that token isn't one of the slot's. Attempts and RetryAt are
	// the back-off of revoking it.
	Foreign  bool      `json:"foreign,omitempty"`
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	// Generation is what was issued in the place of what leaked; 0 is nothing
	// yet, or that nothing had to be.
	Generation uint64 `json:"generation,omitempty"`
	// Revoked are the tokens that were revoked for it.
	Revoked []RevokedToken `json:"revoked,omitempty"`
	// Outcome is how it ended, at DoneAt; both are zero while it is open.
	Outcome string    `json:"outcome,omitempty"`
	DoneAt  time.Time `json:"done_at,omitzero"`
}

// RevokedToken is a token that an emergency revoked.
type RevokedToken struct {
	TokenID int64 `json:"token_id"`
	// Generation is 0 for a token that isn't one of the slot's.
	Generation uint64    `json:"generation,omitempty"`
	At         time.Time `json:"at"`
	// Missing: Qualytics didn't know it any more.
	Missing bool `json:"missing,omitempty"`
}

// open reports whether there is an emergency that isn't over.
func (e *Emergency) open() bool { return e != nil && e.DoneAt.IsZero() }

// carries reports whether e carries out the request of that id.
func (e *Emergency) carries(request int64) bool {
	return e != nil && slices.Contains(e.Requests, request)
}

// same reports whether a request asks for what e does.
func (e *Emergency) same(q Request) bool {
	return e.TokenID == q.TokenID && e.Only == (q.Kind == RequestRevoke)
}

// lastAct is when the last of its acts at the API was, at the earliest.
func (e *Emergency) lastAct() time.Time {
	last := e.At
	for _, t := range e.Revoked {
		if t.At.After(last) {
			last = t.At
		}
	}
	return last
}

// longestHurry is the longest back-off of an act that an emergency waits for.
const longestHurry = 5 * time.Second

// backOff is backOff, shorter while there is an emergency.
func (r *Record) backOff(attempts int, key string) time.Duration {
	d := backOff(attempts, key)
	if r.Emergency.open() {
		d = min(d, longestHurry)
	}
	return d
}

// condemned reports whether the token may not live any more, and may live still.
func (g *Generation) condemned(now time.Time) bool { return g.Condemned && g.counts(now) }

// leaking reports whether a token that may not live any more may live still.
func (r *Record) leaking(now time.Time) bool {
	for i := range r.Generations {
		if r.Generations[i].condemned(now) {
			return true
		}
	}
	return r.Emergency.open() && r.Emergency.Foreign && len(r.Emergency.Revoked) == 0
}

// handle notes that a request was applied. rotate: an earlier one to rotate is
// still to be carried out.
func (r *Record) handle(request int64, rotate bool) {
	r.Handled = max(r.Handled, request)
	if rotate && r.Again == "" {
		r.Again = Requested
	}
}

// alarm takes an emergency up: what may not live any more is condemned in the
// same commit, and no back-off from before holds what comes.
func (r *Record) alarm(a Alarm, now time.Time) Event {
	q := a.Request
	revoke := q.Kind == RequestRevoke
	event := Event{Act: ActEmergency, Reason: Leaked, TokenID: q.TokenID}
	if revoke {
		event.Reason = RevokedOnRequest
	}
	r.handle(q.ID, a.Rotate && q.TokenID != 0)
	deadline := q.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	if r.Emergency.open() { // the same was asked for again
		next := *r.Emergency
		next.Requests = append(slices.Clone(next.Requests), q.ID)
		next.RevokeFirst = next.RevokeFirst || q.RevokeFirst
		if sooner := now.Add(deadline); sooner.Before(next.Deadline) {
			next.Deadline = sooner
		}
		r.Emergency = &next
		return event
	}
	r.Emergency = &Emergency{Requests: []int64{q.ID}, Asked: q.At, At: now, Deadline: now.Add(deadline),
		RevokeFirst: q.RevokeFirst, Only: revoke || a.Removed, TokenID: q.TokenID}
	if q.TokenID == 0 {
		r.giveUpIntent(a.Posted)
		for i := range r.Generations {
			r.condemn(&r.Generations[i])
		}
	} else {
		r.condemnNamed(q.TokenID)
	}
	r.hasten()
	switch { // a person has looked at what blocked the slot
	case q.TokenID != 0 && r.Lost != Leaked:
	case revoke:
		r.Blocked = RevokedOnRequest
	default:
		r.Blocked = ""
	}
	return event
}

// condemn marks a token that may live, whatever the clock says of its end: it may
// be wrong.
func (r *Record) condemn(g *Generation) {
	if !g.counts(time.Time{}) {
		return
	}
	g.Condemned = true
	g.Attempts, g.RetryAt = 0, time.Time{}
	if g.Number == r.Current {
		r.Lost = Leaked
	}
}

// condemnNamed marks the one token of that number.
func (r *Record) condemnNamed(tokenID int64) {
	for i := range r.Generations {
		if g := &r.Generations[i]; g.TokenID == tokenID && g.State != Gone {
			r.condemn(g)
			return
		}
	}
	r.Emergency.Foreign = true
}

// giveUpIntent drops the will to issue under a label from before: a token that
// comes to be under it is condemned. posted: one may come.
func (r *Record) giveUpIntent(posted bool) {
	intent := r.Intent
	if intent != nil && posted {
		r.add(Generation{Number: intent.Generation, Label: intent.Label, State: Waiting, Claimed: true,
			Reason: Ghost, IssuedAt: intent.At})
	}
	r.Intent = nil
}

// hasten ends the back-offs from before.
func (r *Record) hasten() {
	r.Attempts, r.RetryAt = 0, time.Time{}
	if r.Intent != nil {
		intent := *r.Intent
		intent.Attempts, intent.RetryAt = 0, time.Time{}
		r.Intent = &intent
	}
	for key, t := range r.Targets {
		if t.State == TargetBlocked {
			t.State = Behind
		}
		t.Attempts, t.RetryAt = 0, time.Time{}
		r.Targets[key] = t
	}
}

// condemnFound marks a token of the slot that is listed only now, and was made
// before the last emergency of all of the slot.
func (r *Record) condemnFound(g *Generation, created time.Time) {
	e := r.Emergency
	if e != nil && e.TokenID == 0 && !created.IsZero() && created.Before(e.At) && g.Number != r.Current {
		g.Condemned = true
	}
}

// replaced notes what was issued in the place of what leaked.
func (r *Record) replaced(before uint64, number uint64) {
	e := r.Emergency
	if e != nil && r.Lost == Leaked || e.open() && (e.TokenID == 0 && e.Generation == 0 || before != 0 && e.Generation == before) {
		next := *e
		next.Generation = number
		r.Emergency = &next
	}
}

// tellRevoked adds a token to those that the emergency revoked.
func (r *Record) tellRevoked(t RevokedToken) {
	if r.Emergency == nil {
		return
	}
	next := *r.Emergency
	next.Revoked = append(slices.Clone(next.Revoked), t)
	next.Attempts, next.RetryAt = 0, time.Time{}
	r.Emergency = &next
}

// revokedForeign tells that the named token, not one of the slot's, is dead.
func (r *Record) revokedForeign(missing bool, now time.Time) Event {
	id := r.Emergency.TokenID
	r.tellRevoked(RevokedToken{TokenID: id, At: now, Missing: missing})
	return Event{Act: ActRevoked, Reason: Leaked, TokenID: id}
}

// foreignFailed sets the back-off of that.
func (r *Record) foreignFailed(why Reason, now time.Time) Event {
	next := *r.Emergency
	next.Attempts++
	next.RetryAt = now.Add(r.backOff(next.Attempts, r.Slot))
	r.Emergency = &next
	return Event{Act: ActRevokeFailed, Reason: why, TokenID: next.TokenID}
}

// reckon lets the deadline run from now on.
func (r *Record) reckon(now time.Time) Event {
	next := *r.Emergency
	next.Deadline, next.At = now.Add(next.Deadline.Sub(next.At)), now
	r.Emergency = &next
	return Event{Act: ActEmergency, Reason: Leaked, TokenID: next.TokenID, Detail: "the API's time is earlier than was thought"}
}

// finish ends an emergency.
func (r *Record) finish(a Finish, now time.Time) Event {
	next := *r.Emergency
	next.DoneAt, next.Outcome = now, a.Outcome
	if next.Outcome == "" {
		next.Outcome = r.outcome(&next, a.Left)
	}
	r.Emergency = &next
	return Event{Act: ActEmergencyOver, Reason: Leaked, Generation: next.Generation, Detail: next.Outcome}
}

// outcome tells in a line how an emergency went.
func (r *Record) outcome(e *Emergency, left int) string {
	text := fmt.Sprintf("revoked %d tokens", len(e.Revoked))
	switch {
	case e.Generation != 0:
		text += fmt.Sprintf(", issued generation %d", e.Generation)
	case r.Lost == Leaked && !e.Only:
		text += ", issued none yet"
	}
	if left > 0 && !e.Only {
		text += fmt.Sprintf(", %d targets left", left)
	}
	return text
}

// MayLive reports whether a token of the slot may live.
func (r *Record) MayLive() bool {
	return slices.ContainsFunc(r.Generations, func(g Generation) bool { return g.counts(time.Time{}) })
}
