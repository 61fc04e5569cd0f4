package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// The windows that no rule closes. Each is recognised by what happened, and
// counted apart.
const (
	// changedSinceLook: a person changed the store after the agent's last
	// look at it and before its act.
	changedSinceLook = "store changed between look and act"
	// diedSinceProof: a person killed the token after its proof and before
	// it was written.
	diedSinceProof = "token died between proof and write"
	// servedUnseen: a target served the token for a while between two looks.
	servedUnseen = "served between two looks"
	// longOutage: something was away for so long that a token ran out.
	longOutage = "away for longer than the margin before the expiry"
	// changedBeforeExpiry: a person put an old token back, which ran out
	// before the next look.
	changedBeforeExpiry = "old token put back shortly before its expiry"
	// nobodyKnows: a value of ours that neither journal nor metadata knows.
	nobodyKnows = "a value of ours that nobody remembers"
	// heldUp: the process or its machine stood still between its last look
	// and its act.
	heldUp = "process stood still between look and act"
	// waitsForPerson: the declaration says that a revocation by others blocks
	// the slot, and nobody said that it may go on before its token ran out.
	waitsForPerson = "blocked as declared until a person looks"
	// deadInEmergency: an operator's emergency didn't wait for the target any
	// longer, or for none.
	deadInEmergency = "dead in an operator's emergency until delivered"
	// lateInEmergency: a write of a token that an emergency killed landed
	// late, when no grace covered it.
	lateInEmergency = "late write after an emergency"
	// deadByHand: a person killed a token, or put a dead one back.
	deadByHand = "dead by a person's hand until healed"
)

// cause says which act a check follows.
type cause struct {
	// life is the process that acted; nil for a person.
	life *life
	what string
	// target is the key of the target that was written; "" for none.
	target string
	api    bool
	// late: the write landed after its caller had given up. held: the process
	// stood still before it.
	late, held bool
}

// checker holds what is known of the world beside the world itself. The world
// is locked whenever it is used.
type checker struct {
	w      *World
	broken []string
	story  []string
	count  int

	dead    map[string]bool      // by target key: it serves a dead token
	bare    map[string]time.Time // since when a target has served no live token
	served  map[int64]time.Time  // when a token was last served at all
	seen    map[sight]time.Time  // when an agent last read or wrote it somewhere
	byHand  map[string]moment    // when a person last changed a target
	retired map[sight]time.Time  // when an agent last gave a token its grace
	died    map[int64]moment     // when a person last killed a token
	killed  map[int64]bool       // by an emergency
	landed  map[string]moment    // when a write last landed late at a target
	// emergencies are those that operators asked for; paused counts the pauses
	// in force.
	emergencies []emergency
	paused      int
	pauses      []rotation.Request
	intents     map[*agent]map[string]bool
	adopted     map[*agent]bool
	// redeclared is when a person last changed a slot's declaration.
	redeclared map[string]moment
	forgot     time.Time // when the journal was last lost or set back
	hindered   time.Duration
	lastTick   time.Time
	graces     []graceChange
	wanted     map[string]bool
	calls      calls
}

// moment tells what came first, also of what happened at one time.
type moment struct {
	at   time.Time
	tick int
}

func (m moment) after(other moment) bool { return m.tick > other.tick }

// moment is now. The world is locked.
func (w *World) moment() moment {
	w.tick++
	return moment{time.Now(), w.tick}
}

// sight is one agent's sight of one token.
type sight struct {
	agent *agent
	token int64
}

type graceChange struct {
	at    time.Time
	grace time.Duration
}

func (c *checker) init(w *World) {
	c.w = w
	c.dead, c.served, c.seen = map[string]bool{}, map[int64]time.Time{}, map[sight]time.Time{}
	c.bare = map[string]time.Time{}
	c.retired = map[sight]time.Time{}
	c.killed, c.landed = map[int64]bool{}, map[string]moment{}
	c.byHand, c.died, c.wanted = map[string]moment{}, map[int64]moment{}, map[string]bool{}
	c.intents, c.adopted, c.redeclared = map[*agent]map[string]bool{}, map[*agent]bool{}, map[string]moment{}
	c.graces = []graceChange{{grace: schedule.Grace}}
	c.lastTick = time.Now()
	c.calls.init()
}

func (w *World) note(format string, args ...any) {
	line := time.Now().UTC().AppendFormat(nil, "02 15:04:05 ")
	w.check.story = append(w.check.story, string(fmt.Appendf(line, format, args...)))
}

func (c *checker) breach(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	c.broken = append(c.broken, line)
	c.w.note("BREACH %s", line)
}

func (c *checker) window(name string) { c.w.Result.Windows[name]++ }

// event takes an agent's committed events into the story.
func (c *checker) event(by *life, e rotation.Event) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.note("%s: %s %s %s g%d token %d %s %s", by.agent.name, e.Slot+e.Account, e.Act, e.Reason, e.Generation, e.TokenID, e.Target, e.Detail)
	if e.Act == rotation.ActMoved && e.Reason == rotation.GraceRunning {
		c.retired[sight{by.agent, e.TokenID}] = time.Now()
	}
	if !by.dead.Load() { // else its journal may be another's by now
		c.told(by.agent, e)
	}
}

func (c *checker) intended(a *agent, intent rotation.Intent) {
	if c.intents[a] == nil {
		c.intents[a] = map[string]bool{}
	}
	c.intents[a][intent.Label] = true
	c.calls.intended[label{a, intent.Label}] = intent.Process
}

// sawServed notes what an agent reads at a target.
func (c *checker) sawServed(a *agent, ref backends.Ref) {
	if token, ok := c.w.api.Within(c.w.shop(ref.Backend).store.Peek(ref.Path)); ok {
		c.seen[sight{a, token.ID}] = time.Now()
	}
}

// works reports whether a reader gets through with the token.
func (c *checker) works(t rotation.Token) bool {
	return c.w.api.WorksByID(t.ID) && !time.Now().Before(c.w.notYet[t.ID])
}

func (w *World) current() []rotation.Token {
	list, _ := w.api.Tokens(context.Background())
	return list
}

// after checks promise 1 after an act or a hand: a target that has come to
// serve a dead token must have come to it in a way that the agent could not
// have prevented.
func (c *checker) after(by cause) {
	now := time.Now()
	if by.life == nil && by.target != "" {
		c.byHand[by.target] = c.w.moment()
	}
	if by.late && by.target != "" {
		c.landed[by.target] = c.w.moment()
	}
	c.leaks()
	for _, d := range c.w.slots {
		for i, t := range d.Targets {
			c.count++
			key := d.Policy.Targets[i].Key
			token, ok := c.w.api.Within(c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path))
			works := ok && c.works(token)
			c.healing(d, key, works)
			if !ok {
				c.dead[key] = false
				continue
			}
			c.served[token.ID] = now
			if by.target == key && by.life != nil && !by.late {
				c.seen[sight{by.life.agent, token.ID}] = now
			}
			if !works && !c.dead[key] {
				c.blame(by, d, i, token)
			}
			c.dead[key] = !works
		}
	}
}

// healIn is how long a target may serve no live token while nothing troubles
// the world: until the next drift check and the next list, and back-offs.
const healIn = rotation.Day + 12*time.Hour + 4*time.Hour

// healing checks that a target without a live token gets one, once trouble is
// over, unless the slot waits for a person.
func (c *checker) healing(d rotation.Declared, key string, well bool) {
	since, bare := c.bare[key]
	switch {
	case well:
		delete(c.bare, key)
		return
	case !bare || c.waitsForPeople(d):
		c.bare[key] = time.Now()
		return
	}
	if since.Before(c.w.troubled) {
		since = c.w.troubled
	}
	if time.Since(since) >= healIn {
		c.bare[key] = time.Now() // told once
		c.breach("promise 3: %s serves no live token, %s after the last trouble", key, healIn)
	}
}

// waitsForPeople reports whether the slot can't go on without one: it or its
// account is blocked, a target holds what isn't ours, or it has as many live
// tokens as it may have.
func (c *checker) waitsForPeople(d rotation.Declared) bool {
	first := c.w.agents[0]
	rec := first.record(d.Policy.Slot)
	if c.paused > 0 || rec.Blocked != "" || first.stateOf(d.Policy.Slot) == rotation.SlotBlocked {
		return true
	}
	for _, t := range rec.Targets {
		if t.State == rotation.Foreign {
			return true
		}
	}
	live := 0
	for _, t := range c.w.tokensOf(d) {
		if t.Live(time.Now()) {
			live++
		}
	}
	return live >= 5
}

// blame decides who made a target serve a dead token.
func (c *checker) blame(by cause, d rotation.Declared, i int, token rotation.Token) {
	key := d.Targets[i].Key()
	switch {
	case by.life == nil:
		c.window(deadByHand)
	case by.target == key:
		c.blameWrite(by, key, token)
	case c.killed[token.ID]:
		c.window(deadInEmergency)
	case token.Expired(time.Now()):
		c.blameExpiry(d, key, token)
	case c.byHand[key].after(by.life.looked[key]):
		c.window(changedSinceLook)
	default:
		c.breach("promise 1: %s serves %s, dead by %s", key, token.Label, by.what)
	}
}

// blameWrite is blame for an agent that wrote a dead token.
func (c *checker) blameWrite(by cause, key string, token rotation.Token) {
	switch {
	case by.held:
		c.window(heldUp)
	case c.died[token.ID].after(by.life.proved[token.ID]):
		c.window(diedSinceProof)
	case by.late && c.killed[token.ID]:
		c.window(lateInEmergency)
	case by.late:
		c.breach("promise 1: a late write made %s serve the dead %s", key, token.Label)
	default:
		c.breach("promise 1: %s was written with the dead %s", key, token.Label)
	}
}

// blameExpiry is blame for a token that ran out where it is served.
func (c *checker) blameExpiry(d rotation.Declared, key string, token rotation.Token) {
	rec := c.w.agents[0].record(d.Policy.Slot)
	switch {
	case time.Since(c.byHand[key].at) < 2*rotation.Day:
		c.window(changedBeforeExpiry)
	case rec.Targets[key].State == rotation.Foreign:
		c.window(nobodyKnows)
	case rec.Blocked == rotation.RevokedByOthers:
		c.window(waitsForPerson)
	case c.hindered > rotation.Day:
		c.window(longOutage)
	default:
		c.breach("promise 1: %s serves %s, which ran out, after %s of hindrance", key, token.Label, c.hindered)
	}
}

// revoking checks promises 2, 5 and 6 at the instant of a revocation of a live
// token.
func (c *checker) revoking(by *life, victim rotation.Token) {
	d, ours := c.owner(victim.Label)
	if !ours {
		c.breach("promise 5: %s isn't ours and is revoked", victim.Label)
		return
	}
	a := by.agent
	if c.condemned(a, d.Policy.Slot, victim) {
		c.killing(by, d, victim)
		return
	}
	if !c.intents[a][victim.Label] && !c.adopted[a] {
		c.breach("promise 6: %s revokes %s, which its journal didn't issue", a.name, victim.Label)
	}
	c.gate(by, d, victim)
	now := time.Now()
	if seen, ok := c.seen[sight{a, victim.ID}]; ok && seen.After(c.forgot) && now.Sub(seen) < c.grace(seen, c.retired[sight{a, victim.ID}]) {
		c.breach("promise 2: %s is revoked %s after it was seen served", victim.Label, now.Sub(seen))
	} else if served, ok := c.served[victim.ID]; ok && now.Sub(served) < c.grace(served, c.retired[sight{a, victim.ID}]) {
		c.window(servedUnseen)
	}
	for _, t := range d.Targets {
		serves, ok := c.w.api.Within(c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path))
		if ok && serves.ID != victim.ID && c.works(serves) {
			continue
		}
		switch {
		case by.late:
			c.window(heldUp)
		case c.redeclared[d.Policy.Slot].after(by.loaded), c.byHand[t.Key()].after(by.looked[t.Key()]),
			c.died[serves.ID].after(by.looked[t.Key()]):
			c.window(changedSinceLook)
		default:
			c.breach("promise 2: %s is revoked while %s serves no other live token", victim.Label, t.Key())
		}
	}
}

// grace is the shortest grace that was declared around t, or until its end was
// journaled.
func (c *checker) grace(t, journaled time.Time) time.Duration {
	shortest := time.Duration(0)
	for _, g := range c.graces {
		if g.at.Before(t.Add(2*time.Hour)) || !g.at.After(journaled) {
			shortest = g.grace
		}
	}
	return shortest
}

// deleting checks promise 5 for deletions.
func (c *checker) deleting(id int64) {
	for _, t := range c.w.current() {
		if _, ours := c.owner(t.Label); t.ID == id && !ours {
			c.breach("promise 5: %s isn't ours and is deleted", t.Label)
		}
	}
}

// owner finds the slot whose label this is.
func (c *checker) owner(label string) (rotation.Declared, bool) {
	for _, d := range c.w.slots {
		if _, ours := rotation.ParseLabel(label, d.Policy.Token, agentID); ours {
			return d, true
		}
	}
	return rotation.Declared{}, false
}

// stateOf is the slot's state as an agent's journal has it.
func (c *checker) stateOf(a *agent, pol rotation.Policy) rotation.SlotState {
	s := rotation.Describe(a.record(pol.Slot), a.accountRecord(), pol)
	if s.State == rotation.SlotCurrent && len(s.Retired) > 0 {
		return retiring
	}
	return s.State
}

// quiet reports whether every slot has come to rest.
func (c *checker) quiet() bool {
	ours := 0
	for _, t := range c.w.current() {
		if _, ok := c.owner(t.Label); ok {
			ours++
		}
	}
	return ours == len(c.w.slots)
}

// end checks promises 3, 4, 7 and 8 when the world is over, and that there was
// no runaway.
func (c *checker) end(first *agent) {
	for _, d := range c.w.slots {
		c.settled(d)
	}
	c.tracked(first)
	c.silent(first)
	c.runaway()
}

func (c *checker) settled(d rotation.Declared) {
	var ours []rotation.Token
	for _, t := range c.w.current() {
		if _, ok := rotation.ParseLabel(t.Label, d.Policy.Token, agentID); ok {
			ours = append(ours, t)
		}
	}
	if len(ours) != 1 || !ours[0].Live(time.Now()) {
		c.breach("promise 3: %s has %d tokens at the end: %v", d.Policy.Slot, len(ours), ours)
		return
	}
	for _, t := range d.Targets {
		value := c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path)
		serves, ok := c.w.api.Within(value)
		if !ok || serves.ID != ours[0].ID {
			c.breach("promise 3: %s doesn't serve %s at the end", t.Key(), ours[0].Label)
		} else if _, err := t.Format.Extract(value); err != nil && !t.Format.Lossy() {
			c.breach("promise 3: %s serves %s at the end in a shape that isn't declared", t.Key(), ours[0].Label)
		}
	}
}

// tracked: every token that is left is in the journal, as it is read now.
func (c *checker) tracked(a *agent) {
	clear(a.records)
	for _, t := range c.w.current() {
		d, ours := c.owner(t.Label)
		if !ours {
			continue
		}
		found := false
		for _, g := range a.record(d.Policy.Slot).Generations {
			found = found || g.TokenID == t.ID
		}
		if !found {
			c.breach("promise 4: %s is lost track of", t.Label)
		}
	}
}

// silent: no part of a token stands in anything that was written.
func (c *checker) silent(a *agent) {
	written, err := a.disk.Dump()
	if err != nil {
		c.breach("the journal can't be searched: %v", err)
	}
	size := len(written)
	for _, line := range c.story {
		size += len(line) + 1
	}
	written = slices.Grow(written, size-len(written))
	for _, line := range c.story {
		written = append(append(written, line...), '\n')
	}
	if c.w.log != nil {
		written = append(written, c.w.log.bytes()...)
	}
	if label, found := c.w.api.Trace(written); found {
		c.breach("promise 7: a part of %s was written", label)
	}
}
