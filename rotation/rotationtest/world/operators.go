package world

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// What operators ask for, and what has to come of it.

// operator is every operator's name.
const operator = "operator"

// request is an operator's word, put into an agent's journal.
func (w *World) request(a *agent, q rotation.Request) rotation.Request {
	if q.Kind != rotation.RequestRotate {
		w.check.calls.resumed = w.moment()
	}
	q.Actor, q.At = operator, time.Now()
	q, err := a.journal.AddRequest(context.Background(), q)
	if err != nil {
		w.check.breach("a request was not taken: %v", err)
	}
	w.wake(a, q)
	return q
}

// wake tells an agent of a request.
func (w *World) wake(a *agent, q rotation.Request) {
	for _, d := range w.slots {
		w.check.wanted[d.Policy.Slot] = true
		if q.Slot = d.Policy.Slot; a.current != nil {
			a.current.engine.Asked(q)
		}
	}
	if a.current != nil {
		select {
		case a.current.woken <- struct{}{}:
		default:
		}
	}
}

// deadlines are those that an operator gives an emergency.
var deadlines = []time.Duration{0, 5 * time.Minute, time.Hour}

// emergency says that the tokens of a slot leaked.
func (w *World) emergency(a *agent, slot string, first bool, r *rand.Rand) {
	joins := w.alarmed(a, slot)
	q := w.request(a, rotation.Request{Kind: rotation.RequestEmergency, Slot: slot, RevokeFirst: first,
		Deadline: deadlines[r.IntN(len(deadlines))]})
	if joins { // nothing is older that wasn't before
		return
	}
	w.check.emergencies = append(w.check.emergencies, emergency{agent: a, slot: slot, at: q.At, deadline: max(q.Deadline, 30*time.Second)})
}

// alarmed reports whether an emergency of the slot is open.
func (w *World) alarmed(a *agent, slot string) bool {
	open, err := a.journal.Requests(context.Background(), slot)
	if err != nil {
		w.check.breach("the journal can't be read: %v", err)
	}
	return slices.ContainsFunc(open, func(q rotation.Request) bool { return q.Kind == rotation.RequestEmergency })
}

// pause pauses a slot, its account or all, for a while.
func (w *World) pause(a *agent, d rotation.Declared, r *rand.Rand) {
	scope := rotation.Scopes(d.Policy.Slot)[r.IntN(3)]
	q := w.request(a, rotation.Request{Kind: rotation.RequestPause, Slot: scope})
	w.check.pauses = append(w.check.pauses, q)
	long := spell(r, 2*rotation.Day)
	w.check.hindered += long
	w.check.paused++
	w.spawn(func(ctx context.Context) {
		sleep(ctx, long+time.Millisecond)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.calmed {
			w.endPauses(a, scope)
			w.check.paused--
			w.note("pause %d of %s is over", q.ID, scope)
		}
	})
}

// endPauses ends the pauses of a scope. A journal that was lost knows of none.
func (w *World) endPauses(a *agent, scope string) {
	if _, err := rotation.EndPauses(context.Background(), a.journal, scope, operator); err != nil {
		w.check.breach("a pause doesn't end: %v", err)
	}
	w.wake(a, rotation.Request{Kind: rotation.RequestResume})
}

// scopes are all that can be paused.
func (w *World) scopes() []string {
	var all []string
	for _, d := range w.slots {
		of := rotation.Scopes(d.Policy.Slot)
		all = append(all, of[:]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// emergency is one that an operator asked for.
type emergency struct {
	agent    *agent
	slot     string
	at       time.Time
	deadline time.Duration
}

// leakBound is how long after its deadline an emergency may leave a token alive
// while nothing troubles the world: a restart, and what the world's own loop waits
// after a pass that failed.
const leakBound = 30 * time.Minute

// leaks checks that no token lives that an emergency should have killed.
func (c *checker) leaks() {
	for i, e := range c.emergencies {
		if e.agent == nil || e.agent.current == nil || e.agent.current.dead.Load() {
			continue
		}
		since := later(later(e.at.Add(e.deadline), c.w.troubled), e.agent.current.began)
		if time.Since(since) < leakBound {
			continue
		}
		c.emergencies[i].agent = nil // told once
		d, _ := c.declared(e.slot)
		for _, t := range c.w.tokensOf(d) {
			if t.Created.Before(e.at) && c.works(t) && c.calls.restored[t.ID].tick == 0 {
				c.breach("emergency: %s lives %s after the deadline", t.Label, time.Since(e.at.Add(e.deadline)))
			}
		}
	}
}

// forgetEmergencies is called when an agent's journal is lost or set back: so may
// be what was asked for.
func (c *checker) forgetEmergencies(a *agent) {
	for i := range c.emergencies {
		if c.emergencies[i].agent == a {
			c.emergencies[i].agent = nil
		}
	}
}

// condemned reports whether an agent's journal says that the token may not live,
// and an operator said so.
func (c *checker) condemned(a *agent, slot string, victim rotation.Token) bool {
	asked := false
	for _, e := range c.emergencies {
		asked = asked || e.slot == slot
	}
	for _, g := range a.record(slot).Generations {
		if g.TokenID == victim.ID && g.Condemned {
			return asked
		}
	}
	return false
}

// killing checks an emergency's revocation of a live token: before the deadline in
// the journal nobody is served it.
func (c *checker) killing(by *life, d rotation.Declared, victim rotation.Token) {
	e := by.agent.record(d.Policy.Slot).Emergency
	c.killed[victim.ID] = true
	if !c.intents[by.agent][victim.Label] { // another agent may be about to write it
		c.died[victim.ID] = c.w.moment()
	}
	if e == nil {
		c.breach("promise 2: %s is revoked in an emergency that the journal doesn't know", victim.Label)
		return
	}
	if e.RevokeFirst || !by.now().Before(e.Deadline) || !e.DoneAt.IsZero() || by.late {
		return
	}
	for _, t := range d.Targets {
		key := t.Key()
		serves, ok := c.w.api.Within(c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path))
		switch {
		case !ok, serves.ID != victim.ID && c.works(serves):
		case c.redeclared[d.Policy.Slot].after(by.loaded), c.byHand[key].after(by.looked[key]), c.died[serves.ID].after(by.looked[key]):
			c.window(changedSinceLook)
		case c.landed[key].after(by.looked[key]):
			c.window(lateInEmergency)
		default:
			c.breach("promise 2: %s is revoked before the deadline while %s serves no other live token", victim.Label, key)
		}
	}
}

// restoring checks that the journal has an operator's word for it.
func (c *checker) restoring(by *life, id int64) {
	c.calls.restored[id] = c.w.moment()
	for _, d := range c.w.slots {
		for _, g := range by.agent.record(d.Policy.Slot).Generations {
			if g.TokenID == id && g.Restore == 0 && !by.landing {
				c.breach("commit before act: g%d of %s is restored, which the journal of %s doesn't intend", g.Number, d.Policy.Slot, by.agent.name)
			}
		}
	}
}

// pauseHeard is how long after a pause, or after it stood still, a process may go on
// with what it had begun.
const pauseHeard = 10 * time.Minute

// stopped checks that a process does nothing to a slot that was paused, but for
// what an operator's other words ask for.
func (c *checker) stopped(by *life, slot, what string) {
	if c.paused == 0 || by.late || by.landing || time.Since(by.stood) < pauseHeard {
		return
	}
	rec := by.agent.record(slot)
	if rec.Emergency != nil || slices.ContainsFunc(rec.Generations, func(g rotation.Generation) bool { return g.Restore != 0 }) {
		return
	}
	scopes := rotation.Scopes(slot)
	for _, q := range c.pauses {
		if !slices.Contains(scopes[:], q.Slot) || time.Since(q.At) < pauseHeard {
			continue
		}
		stored, err := by.agent.journal.Request(context.Background(), q.ID)
		if err == nil && stored.Kind == q.Kind && stored.At.Equal(q.At) && stored.ClosedAt.IsZero() {
			c.breach("paused: %s does %s to %s", by.agent.name, what, slot)
		}
	}
}
