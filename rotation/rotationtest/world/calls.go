package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// What calls for a token. Each issue has a reason, and the reason has to be
// true: a rule that keeps an agent from issuing for nothing is missed here.

// mostUnproved is how often a token that is listed as live may be refused before
// it is replaced (docs/decisions/issuing.md).
const mostUnproved = 10

// calls is what is known of what agents made and why. It is used with the world
// locked.
type calls struct {
	tokens map[int64]*made
	labels map[string]*made // the last token under each label
	// intended is the process that wrote the intent of a label.
	intended map[label]string
	// asked counts an operator's requests to rotate, by slot; answered what
	// each agent issued for them.
	asked    map[string]int
	answered map[journalOf]int
	// first: a journal's first token of a slot was made.
	first map[journalOf]bool
	// again: the next intent repeats the reason of the one before it.
	again map[journalOf]bool
	// restored and used are when a person last restored a token, and when a
	// consumer last used one.
	restored map[int64]moment
	used     map[int64]moment
	// accountGone is when a person last deleted the account, resumed when one
	// last said that something may go on.
	accountGone, resumed moment
	passes               int
}

// made is one token that an agent made.
type made struct {
	by      *life
	label   string
	at      moment
	written bool   // it reached a target
	revoked moment // when an agent revoked it
}

// label is one as one agent's journal has it, journalOf a slot in one journal.
type (
	label struct {
		agent *agent
		text  string
	}
	journalOf struct {
		agent *agent
		slot  string
	}
)

func (c *calls) init() {
	c.tokens, c.labels, c.intended = map[int64]*made{}, map[string]*made{}, map[label]string{}
	c.asked, c.answered, c.first, c.again = map[string]int{}, map[journalOf]int{}, map[journalOf]bool{}, map[journalOf]bool{}
	c.restored, c.used = map[int64]moment{}, map[int64]moment{}
}

// forget is called when an agent's journal is lost or set back.
func (c *calls) forget(a *agent) {
	for of := range c.first {
		if of.agent == a {
			delete(c.first, of)
		}
	}
}

// minted checks an issue at the instant at which the API makes the token.
func (c *checker) minted(by *life, d rotation.Declared, issued rotation.Issued, text string) {
	a, now := by.agent, c.w.moment()
	if !c.intents[a][text] {
		c.breach("promise 4: %s posts %s, which its journal doesn't intend", a.name, text)
	}
	if last := c.calls.labels[text]; last != nil && last.by.agent == a && last.at.at.After(c.forgot) && !c.killedByHand(last) {
		c.breach("promise 4: %s made %s twice", a.name, text)
	}
	m := &made{by: by, label: text, at: now}
	c.calls.tokens[issued.ID], c.calls.labels[text] = m, m
	rec := a.record(d.Policy.Slot)
	if e := rec.Emergency; e != nil && e.DoneAt.IsZero() {
		return
	}
	// The record may say more by now than when it was intended or posted.
	if by.landing || rec.Intent != nil && rec.Intent.Process != a.process() {
		return
	}
	if live, most := c.live(rec, issued.ID), c.mostLive(by, rec, d); live >= most {
		c.breach("runaway: %s is issued beside %d live ones", text, live)
	}
}

// killedByHand reports whether a person did away with the token: a list that
// lacks it says that its label is free.
func (c *checker) killedByHand(m *made) bool {
	for id, made := range c.calls.tokens {
		if made == m {
			return c.died[id].tick != 0
		}
	}
	return false
}

// placeless checks that one target at least could take a new token.
func (c *checker) placeless(a *agent, d rotation.Declared) {
	if c.redeclared[d.Policy.Slot].after(a.current.loaded) {
		return // it knows other targets than those that are declared now
	}
	rec := a.record(d.Policy.Slot)
	if e := rec.Emergency; e != nil && e.DoneAt.IsZero() {
		return // an operator wants another token, wherever it can stand
	}
	targets := rec.Targets
	for _, t := range d.Policy.Targets {
		if targets[t.Key].Reason != rotation.TargetHoldsForeign {
			return
		}
	}
	c.breach("needless: %s wants a token for %s, whose targets all hold what isn't ours", a.name, d.Policy.Slot)
}

// live counts the live tokens that a record knows, beside the new one. Those
// that a person restored it may not know of.
func (c *checker) live(rec rotation.Record, issued int64) int {
	works := map[int64]bool{}
	for _, t := range c.w.current() {
		works[t.ID] = t.ID != issued && t.Live(time.Now()) && c.calls.restored[t.ID].tick == 0
	}
	live := 0
	for _, g := range rec.Generations {
		switch g.State {
		case rotation.Observing, rotation.Deleting, rotation.Gone:
		default:
			if works[g.TokenID] {
				live++
			}
		}
	}
	return live
}

// mostLive is how many a slot may have (docs/decisions/runaway.md): five, or ten
// when what a target serves has spent half of the time that is left after its
// planned rotation.
func (c *checker) mostLive(by *life, rec rotation.Record, d rotation.Declared) int {
	now, s := later(time.Now(), by.now()), d.Policy.Schedule
	for _, t := range d.Policy.Targets {
		for _, g := range rec.Generations {
			if g.Number == rec.Targets[t.Key].Serves && !now.Before(g.Expires.Add(-(s.Lifetime-s.Every)/2)) {
				return 10
			}
		}
	}
	return 5
}

// told checks what an agent's journal took in, as far as it tells why a token is
// made.
func (c *checker) told(a *agent, e rotation.Event) {
	if e.Act == rotation.ActAccountResumed && e.Actor == operator { // asked for earlier, and heard now
		c.calls.resumed = c.w.moment()
	}
	d, known := c.declared(e.Slot)
	if !known {
		return
	}
	of := journalOf{a, e.Slot}
	switch e.Act {
	case rotation.ActLost:
		c.lost(a, d, e)
	case rotation.ActIntended:
		if e.Reason != rotation.Leaked { // nobody asks a target in an emergency
			c.placeless(a, d)
		}
		if !c.calls.again[of] {
			c.due(a, d, e.Reason)
		}
		delete(c.calls.again, of)
	case rotation.ActIssueFailed:
		c.calls.again[of] = e.Reason == rotation.IssueRefused
	case rotation.ActBurnt:
		c.calls.again[of] = true
		c.burnt(a, d, e)
	case rotation.ActIssued:
		c.issued(of, e)
	case rotation.ActNotProved:
		if n := a.generation(e.Slot, e.Generation).Attempts; n > mostUnproved {
			c.breach("promise 3: %s was refused g%d of %s %d times, and doesn't replace it", a.name, e.Generation, e.Slot, n)
		}
	case rotation.ActSeen:
		c.whose(a, d, e)
	case rotation.ActRebuilt:
		c.rebuilt(a, d, e)
	}
}

func (c *checker) declared(slot string) (rotation.Declared, bool) {
	for _, d := range c.w.slots {
		if d.Policy.Slot == slot {
			return d, true
		}
	}
	return rotation.Declared{}, false
}

// lost checks that the current token has to be replaced, for the reason given.
func (c *checker) lost(a *agent, d rotation.Declared, e rotation.Event) {
	g := a.generation(d.Policy.Slot, e.Generation)
	m := c.calls.tokens[g.TokenID]
	var listed *rotation.Token
	for _, t := range c.w.tokensOf(d) {
		if t.ID == g.TokenID {
			listed = &t
		}
	}
	says := func(why string) {
		c.breach("needless: g%d of %s is called %s by %s, but %s", e.Generation, e.Slot, e.Reason, a.name, why)
	}
	switch e.Reason {
	case rotation.TokenGone:
		if listed != nil && c.works(*listed) {
			says("it is there and works")
		}
	case rotation.RevokedByOthers:
		if listed != nil && listed.Active && c.died[g.TokenID].tick == 0 && (m == nil || m.revoked.tick == 0) {
			says("nobody revoked it")
		}
	case rotation.TokenExpired:
		if listed != nil && !listed.Expired(later(time.Now(), a.current.now())) {
			says("it has not run out")
		}
	case rotation.TokenRefused:
		if listed != nil && c.w.notYet[g.TokenID].Sub(listed.Created) < rotation.Day && c.died[g.TokenID].tick == 0 {
			says("it works, or will within minutes")
		}
	case rotation.ValueLost:
		c.valueLost(a, d, g, m, says)
	}
}

// valueLost checks that no target holds the token, and that the process that
// got it had the time to deliver it.
func (c *checker) valueLost(a *agent, d rotation.Declared, g rotation.Generation, m *made, says func(string)) {
	if c.redeclared[d.Policy.Slot].after(a.current.loaded) {
		return // it knows other targets than those that are declared now
	}
	for _, t := range d.Targets {
		looked := a.current.looked[t.Key()]
		if t.Format.Lossy() || c.byHand[t.Key()].after(looked) || c.landed[t.Key()].after(looked) {
			continue
		}
		for _, at := range []backends.Stage{backends.Current, backends.Previous} {
			item, _, err := c.w.shop(t.Ref.Backend).store.Backend().Get(context.Background(), t.Ref, at)
			token, within := c.w.api.Within(item.Payload)
			if _, err2 := t.Format.Extract(item.Payload); err == nil && err2 == nil && within && token.ID == g.TokenID {
				says(fmt.Sprintf("%s holds it (%s)", t.Key(), at))
				return
			}
		}
	}
	if m != nil && m.by == a.current && !m.written {
		says("the process that has it lives")
	}
}

// due checks the reasons that a clock or a person gives.
func (c *checker) due(a *agent, d rotation.Declared, why rotation.Reason) {
	rec, s := a.record(d.Policy.Slot), d.Policy.Schedule
	now := later(time.Now(), a.current.now())
	var current rotation.Generation
	for _, g := range rec.Generations {
		if g.Number == rec.Current {
			current = g
		}
	}
	early := false
	switch why {
	case rotation.Age:
		early = now.Before(current.IssuedAt.Add(s.Every - s.Every/50))
		c.shaped(d)
	case rotation.Expiring:
		left := current.Expires.Sub(current.IssuedAt.Add(s.Every - s.Every/50))
		early = now.Before(current.Expires.Add(-left / 2))
	case rotation.DeclarationChanged:
		early = c.redeclared[d.Policy.Slot].tick == 0
	}
	if early {
		c.breach("needless: %s issues for %s (%s), which was issued at %s and runs out at %s", a.name, d.Policy.Slot, why,
			current.IssuedAt.UTC().Format("02 15:04"), current.Expires.UTC().Format("02 15:04"))
	}
}

// shaped checks that targets hold the shapes that were declared some time ago:
// a rotation would give them those anyway.
func (c *checker) shaped(d rotation.Declared) {
	since := later(c.redeclared[d.Policy.Slot].at, c.w.troubled)
	if c.waitsForPeople(d) || time.Since(since) < healIn {
		return
	}
	for _, t := range d.Targets {
		value := c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path)
		if _, err := t.Format.Extract(value); err != nil && !t.Format.Lossy() && !value.IsZero() {
			c.breach("promise 3: %s holds a shape that wasn't declared for %s", t.Key(), healIn)
		}
	}
}

// issued counts what may be asked for once.
func (c *checker) issued(of journalOf, e rotation.Event) {
	switch e.Reason {
	case rotation.Requested:
		if c.calls.answered[of]++; c.calls.answered[of] > c.calls.asked[e.Slot] {
			c.breach("needless: %s rotated %s %d times by request, of %d", of.agent.name, e.Slot, c.calls.answered[of], c.calls.asked[e.Slot])
		}
	case rotation.NeverIssued:
		if c.calls.first[of] {
			c.breach("needless: %s issued the first token of %s twice", of.agent.name, e.Slot)
		}
		c.calls.first[of] = true
	}
}

// burnt checks that a label was given up because it was taken, and that a token
// under it is this journal's exactly if this journal made it.
func (c *checker) burnt(a *agent, d rotation.Declared, e rotation.Event) {
	text := rotation.Label(d.Policy.Token, agentID, e.Generation)
	m := c.calls.labels[text]
	if m == nil {
		c.breach("needless: %s gave %s up, which nobody has made", a.name, text)
		return
	}
	g := a.generation(d.Policy.Slot, e.Generation)
	own := m.by.agent == a && m.at.at.After(c.forgot)
	switch {
	case own && !g.Claimed && (m.by != a.current || a.current.unsure[text]):
		c.breach("promise 4: %s made %s and doesn't claim it", a.name, text)
	case m.by.agent != a && g.Claimed && !a.current.unsure[text] && c.calls.intended[label{a, text}] == a.process():
		c.breach("promise 6: %s claims %s, which %s made", a.name, text, m.by.agent.name)
	}
}

// whose checks whose value an agent takes what it has just read for.
func (c *checker) whose(a *agent, d rotation.Declared, e rotation.Event) {
	i := slices.IndexFunc(d.Targets, func(t *backends.Target) bool { return t.Key() == e.Target })
	looked := a.current.looked[e.Target]
	if i < 0 || !looked.at.Equal(time.Now()) || c.byHand[e.Target].after(looked) {
		return
	}
	t := d.Targets[i]
	item, _, err := c.w.shop(t.Ref.Backend).store.Backend().Get(context.Background(), t.Ref, backends.Current)
	if err != nil {
		return
	}
	token, made := c.w.api.Within(item.Payload)
	value, hidden := t.Format.Extract(item.Payload)
	switch {
	case e.Generation != 0:
		if g := a.generation(e.Slot, e.Generation); hidden == nil && (!made || token.ID != g.TokenID) {
			c.breach("promise 5: %s takes what stands at %s for g%d", a.name, t.Key(), e.Generation)
		}
	case e.Reason == rotation.TargetHoldsForeign || e.Reason == rotation.TargetHoldsOther:
		if hidden != nil {
			value = secret.Value{}
		}
		if made && c.knows(a, e, token, value.Fingerprint(), item) {
			c.breach("promise 8: %s takes %s at %s for another's", a.name, token.Label, t.Key())
		}
	}
}

// knows reports whether an agent can tell that a token is of its slot: its
// journal has issued it, has its fingerprint or that of the payload, or the
// store's metadata says so, and the journal nothing else. value is zero where
// the format doesn't give the token back.
func (c *checker) knows(a *agent, e rotation.Event, token rotation.Token, value secret.Fingerprint, item backends.Item) bool {
	rec, m := a.record(e.Slot), c.calls.tokens[token.ID]
	disputed := len(c.w.agents) > 1 // a number may be two tokens'
	for _, g := range rec.Generations {
		if value != "" && g.Fingerprint == value {
			return true
		}
		disputed = disputed || g.Number == item.Meta.Generation && g.TokenID != token.ID
	}
	for _, p := range rec.Targets[e.Target].Payloads {
		if p.Fingerprint == item.Payload.Fingerprint() {
			return true
		}
	}
	if m == nil {
		return false
	}
	return value != "" && m.by.agent == a && m.at.at.After(c.forgot) ||
		!disputed && item.Meta.Slot == e.Slot && item.Meta.TokenID == token.ID
}

// rebuilt checks that what a store's metadata proves was adopted.
func (c *checker) rebuilt(a *agent, d rotation.Declared, e rotation.Event) {
	l := a.current
	if e.Generation != 0 || len(c.w.agents) > 1 || l.listed.tick == 0 {
		return
	}
	for _, t := range d.Targets {
		item, _, err := c.w.shop(t.Ref.Backend).store.Backend().Get(context.Background(), t.Ref, backends.Current)
		token, within := c.w.api.Within(item.Payload)
		if err != nil || !within || !c.works(token) || item.Meta.Slot != e.Slot || item.Meta.TokenID != token.ID {
			continue
		}
		looked := l.looked[t.Key()]
		if looked.tick != 0 && !l.unread[t.Key()] && !c.byHand[t.Key()].after(looked) && !c.calls.restored[token.ID].after(l.listed) {
			c.breach("promise 8: %s serves %s, and its metadata says so; %s doesn't take it in", t.Key(), token.Label, a.name)
		}
	}
}

// generation is one of a slot as the journal has it; zero for none.
func (a *agent) generation(slot string, number uint64) rotation.Generation {
	for _, g := range a.record(slot).Generations {
		if g.Number == number {
			return g
		}
	}
	return rotation.Generation{}
}

// callsForNone are the faults after which no token is needed that wasn't before.
var callsForNone = map[Fault]bool{LostBefore: true, Throttled: true, Slow: true, CutShort: true, PagedTwice: true, Lagging: true,
	OperatorPauses: true, Refused: true, APIOutage: true, StoreOutage: true, StoreDenied: true, TokenRestored: true, OperatorResumes: true,
	OperatorAdopts: true, SecondAgent: true, GraceShrinks: true, ConsumerHoldsOld: true, LastUsedLate: true, NamesReserved: true}

// callsForAll are those that may call for one in each slot: a process dies with
// the values that it remembers, or all slots are struck at once.
var callsForAll = map[Fault]bool{CrashBefore: true, CrashAfter: true, AgentDown: true, ClockWrong: true, ClockSteps: true,
	JournalLost: true, JournalOld: true, DiskFull: true, AccountOff: true, AccountDeleted: true, StoreEmptied: true}

// runaway checks that no more tokens were made than a clock, faults and people
// called for: each agent makes one for each slot at the start and whenever the
// last one is as old as declared, and each fault calls for one at most, in one
// slot or in all. Two agents with one name answer each other, once in each sweep.
func (c *checker) runaway() {
	planned, called := 0, 0
	for _, d := range c.w.slots {
		earliest := d.Policy.Schedule.Every * 49 / 50
		planned += len(c.w.agents) * (1 + int(time.Since(c.w.began)/earliest))
		planned += 2 * (len(c.w.agents) - 1) * int(stormy/d.Policy.Sweep)
	}
	for _, s := range c.w.Result.Struck {
		switch {
		case callsForAll[s.Fault]:
			called += len(c.w.slots)
		case !callsForNone[s.Fault]:
			called++
		}
	}
	if made := len(c.calls.tokens); made > planned+called {
		c.breach("runaway: %d tokens were made; %d were due by the clock, and faults called for %d at most", made, planned, called)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
