package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// hand is one thing that other people or bad luck will do: to a slot, when it is
// in some state.
type hand struct {
	strike Strike
	slot   string
	state  rotation.SlotState
	r      *rand.Rand
}

// storm holds hands out, at times drawn beforehand. Each strikes as soon as its
// slot is in its state, after whichever act that is; at the end at the latest.
func (w *World) storm(ctx context.Context) {
	r := w.dice.next("schedule")
	times := []time.Duration{0}
	for range 1 + r.IntN(5) {
		times = append(times, between(r, 0, stormy-2*rotation.Day))
	}
	slices.Sort(times)
	for _, at := range times[r.IntN(2):] {
		sleep(ctx, time.Until(w.began.Add(at)))
		w.mu.Lock()
		w.hold()
		w.mu.Unlock()
	}
	sleep(ctx, time.Until(w.began.Add(stormy-rotation.Day/2)))
	w.mu.Lock()
	for len(w.hands) > 0 {
		w.strikeHand(0)
	}
	w.mu.Unlock()
	sleep(ctx, time.Until(w.began.Add(stormy)))
}

// hold draws a hand and holds it out: for each state as often, but for the last
// one, which many slots never come to. What brings a slot into a state that it
// seldom is in goes before. The world is locked.
func (w *World) hold() {
	r, n := w.dice.draw("hand")
	from := byHand
	if w.operated {
		from = slices.Concat(byHand, byOperator)
	}
	states := States()
	h := hand{strike: Strike{ID: id("hand", n), Fault: pick(r, from)}, state: states[min(r.IntN(len(states)+2), len(states)-1)], r: r,
		slot: w.slots[r.IntN(len(w.slots))].Policy.Slot}
	h.strike.On = h.slot
	before := map[rotation.SlotState]Fault{rotation.SlotNew: JournalLost, rotation.SlotBlocked: AccountOff, rotation.SlotDelivering: ValueDeleted}
	if f, now := before[h.state], w.agents[0].stateOf(h.slot); f != "" && now != h.state {
		w.hands = append(w.hands, hand{strike: Strike{ID: id("before hand", n), Fault: f, On: h.slot}, state: now, r: r, slot: h.slot})
		w.reach()
	}
	w.hands = append(w.hands, h)
	w.reach()
}

// reach lets each hand strike whose slot has come to its state. The world is
// locked.
func (w *World) reach() {
	for i := 0; i < len(w.hands); i++ {
		if w.agents[0].stateOf(w.hands[i].slot) == w.hands[i].state {
			w.strikeHand(i)
			i--
		}
	}
}

// strikeHand lets a hand do its work, if there is something to change. The
// world is locked.
func (w *World) strikeHand(i int) {
	h := w.hands[i]
	w.hands = slices.Delete(w.hands, i, i+1)
	at := slices.IndexFunc(w.slots, func(d rotation.Declared) bool { return d.Policy.Slot == h.slot })
	d := w.slots[at]
	target := h.r.IntN(len(d.Targets))
	if !w.able(h.strike.Fault, d, target) {
		return
	}
	state := w.agents[0].stateOf(h.slot)
	w.Result.Exposed.add(h.strike.Fault, state, 1)
	if w.strike(h.strike, state) {
		w.do(h.strike.Fault, d, target, h.r)
		w.agents[0].look("")
	}
}

// able reports whether there is something for a hand to change. The world is
// locked.
func (w *World) able(f Fault, d rotation.Declared, i int) bool {
	switch f {
	case TokenRevoked, TokenRestored, TokenDeleted, ConsumerHoldsOld:
		return len(w.tokensOf(d)) > 0
	case ValueDeleted, ValueSlipped, ValueRolledBack:
		t := d.Targets[i]
		return !w.shop(t.Ref.Backend).store.Peek(t.Ref.Path).IsZero()
	case ValueOther, AccountOff, AccountDeleted:
		return w.account()
	case StoreEmptied:
		return slices.ContainsFunc(w.shops, func(s *shop) bool { return s.kind.Volatile })
	case SecondAgent:
		return len(w.agents) == 1
	case TargetLeaves:
		return len(d.Targets) > 1
	case TargetComes:
		return len(d.Targets) < len(w.shops)
	}
	return true
}

// do is one fault by hand. The world is locked.
func (w *World) do(f Fault, d rotation.Declared, i int, r *rand.Rand) {
	first := w.agents[0]
	by := cause{what: string(f), api: true}
	switch f {
	case APIOutage:
		w.outage = w.hinder(spell(r, 3*rotation.Day))
	case StoreOutage:
		w.shops[r.IntN(len(w.shops))].down = w.hinder(spell(r, 3*rotation.Day))
	case StoreDenied:
		w.shops[r.IntN(len(w.shops))].denied = w.hinder(spell(r, 3*rotation.Day))
	case DiskFull:
		first.full = w.hinder(spell(r, 2*rotation.Day))
	case AgentDown:
		first.down = w.hinder(rotation.Day + between(r, 0, 12*rotation.Day))
		w.kill(first)
	case ClockWrong:
		first.wrong = between(r, -2*rotation.Day, 2*rotation.Day)
		w.kill(first)
	case ClockSteps:
		if first.current != nil { // a step back goes unnoticed: time is carried on by the clock that is ahead
			first.current.ahead.Add(int64(spell(r, 6*rotation.Day)))
		}
	case JournalLost, JournalOld, SecondAgent:
		w.onJournal(f, first)
	case OperatorRotates:
		w.check.calls.asked[d.Policy.Slot]++
		w.request(first, rotation.Request{Kind: rotation.RequestRotate, Slot: d.Policy.Slot})
	case OperatorResumes:
		w.request(first, rotation.Request{Kind: rotation.RequestResume, Slot: d.Policy.Slot})
	case OperatorAdopts:
		w.check.adopted[first] = true
		w.request(first, rotation.Request{Kind: rotation.RequestAdopt, Slot: d.Policy.Slot})
	case OperatorAlarms, OperatorKills:
		w.emergency(first, d.Policy.Slot, f == OperatorKills, r)
	case OperatorPauses:
		w.pause(first, d, r)
	case OperatorRestores:
		w.request(first, rotation.Request{Kind: rotation.RequestRestore, Slot: d.Policy.Slot})
	case TargetLeaves, TargetComes, TargetMoves, FormatChanges, GraceShrinks, LifetimeShrinks:
		w.redeclare(f, d.Policy.Slot, i)
		w.check.redeclared[d.Policy.Slot] = w.moment()
	case AccountOff:
		w.accountAway(func(a *rotation.Account) { a.Deactivated = true }, spell(r, 2*rotation.Day))
	case AccountDeleted:
		w.check.calls.accountGone = w.moment()
		w.accountAway(func(a *rotation.Account) { a.Deleted = true }, spell(r, 2*rotation.Day))
		if w.operated {
			w.resumeLater(first, d.Policy.Slot, between(r, time.Hour, 2*rotation.Day))
		}
	case LastUsedLate:
		w.api.SetUseEvery(spell(r, 2*rotation.Day))
	case NamesReserved:
		w.api.SetReserved(true)
	case TokenRevoked, TokenRestored, TokenDeleted, ConsumerHoldsOld:
		w.onToken(f, d, r)
	case StoreEmptied:
		w.empty()
	default:
		w.onValue(f, d, i)
		by.target = d.Targets[i].Key()
	}
	w.acted(by)
}

// trouble says that the world is in trouble for so long. The world is locked.
func (w *World) trouble(d time.Duration) {
	if until := time.Now().Add(d); until.After(w.troubled) {
		w.troubled = until
	}
}

// hinder remembers that something is away until then.
func (w *World) hinder(d time.Duration) time.Time {
	w.check.hindered += d
	w.trouble(d)
	return time.Now().Add(d)
}

func (w *World) kill(a *agent) {
	if a.current != nil {
		a.current.dead.Store(true)
	}
}

// onJournal is what befalls a journal. A journal is lost while the agent is
// stopped; the backup is made the first time, and put back the second time.
func (w *World) onJournal(f Fault, a *agent) {
	other, err := a.disk.Empty()
	switch {
	case err != nil:
	case f == SecondAgent:
		var second *agent
		if second, err = w.newAgent("second", other); err == nil {
			w.spawn(func(ctx context.Context) {
				sleep(ctx, time.Second+time.Microsecond) // never while the first one acts, so that a world replays
				second.live(ctx)
			})
		}
	case f == JournalLost:
		err = w.replace(a, other)
	case a.copy == nil:
		a.copy, err = a.disk.Copy()
	default:
		if other, err = a.copy.Copy(); err == nil {
			err = w.replace(a, other)
		}
	}
	if err != nil {
		w.check.breach("a disk fails: %v", err)
	}
}

// replace puts another disk in the place of an agent's, which is stopped.
func (w *World) replace(a *agent, disk Disk) error {
	w.kill(a)
	a.disk = disk
	if err := a.open(); err != nil {
		return err
	}
	w.check.forgot = time.Now()
	w.check.calls.forget(a)
	w.check.forgetEmergencies(a)
	labels := map[string]bool{}
	for rec, err := range a.journal.Slots(context.Background()) {
		if err != nil {
			return err
		}
		for _, g := range rec.Generations {
			labels[g.Label] = labels[g.Label] || g.Claimed
		}
		if rec.Intent != nil {
			labels[rec.Intent.Label] = true
		}
	}
	w.check.intents[a] = labels
	return nil
}

func (w *World) killed(tokens []rotation.Token) {
	for _, t := range tokens {
		w.check.died[t.ID] = w.moment()
	}
}

// tokensOf are the tokens under the slot's label.
func (w *World) tokensOf(d rotation.Declared) []rotation.Token {
	var ours []rotation.Token
	for _, t := range w.current() {
		if _, ok := rotation.ParseLabel(t.Label, d.Policy.Token, agentID); ok {
			ours = append(ours, t)
		}
	}
	return ours
}

// onToken changes one of the slot's tokens in Qualytics.
func (w *World) onToken(f Fault, d rotation.Declared, r *rand.Rand) {
	ours := w.tokensOf(d)
	t := ours[r.IntN(len(ours))]
	switch f {
	case TokenRevoked:
		w.killed([]rotation.Token{t})
		_ = w.api.Revoke(context.Background(), t.ID)
	case TokenRestored:
		w.check.calls.restored[t.ID] = w.moment()
		_ = w.api.Restore(context.Background(), t.ID)
	case TokenDeleted:
		w.killed([]rotation.Token{t})
		w.api.DeleteToken(t.ID)
	case ConsumerHoldsOld:
		w.check.calls.used[ours[0].ID] = w.moment()
		w.api.ChangeToken(ours[0].ID, func(t *rotation.Token) { t.LastUsed = time.Now() })
	}
}

// empty is a restart of the machines whose stores are volatile.
func (w *World) empty() {
	for _, s := range w.shops {
		if s.kind.Volatile {
			s.store.Wipe()
		}
	}
	for _, d := range w.slots {
		for _, t := range d.Targets {
			if w.shop(t.Ref.Backend).kind.Volatile {
				w.check.byHand[t.Key()] = w.moment()
			}
		}
	}
}

// onValue changes what stands at a target.
func (w *World) onValue(f Fault, d rotation.Declared, i int) {
	t := d.Targets[i]
	store := w.shop(t.Ref.Backend).store
	switch f {
	case ValueDeleted:
		store.Delete(t.Ref.Path)
	case ValueForeign:
		store.Overwrite(t.Ref.Path, secret.New("somebody else's"))
	case ValueOther:
		token, value := w.api.IssueByHand(rotation.AccountID(accountName), fmt.Sprintf("by-hand-%d", w.number), 0)
		if !w.check.works(token) { // its account is out of use
			w.killed([]rotation.Token{token})
		}
		store.Overwrite(t.Ref.Path, w.shaped(d, i, value))
	case ValueSlipped:
		_, value := w.api.IssueByHand(rotation.AccountID(accountName), fmt.Sprintf("by-hand-%d", w.number), 0)
		store.Slip(t.Ref.Path, w.shaped(d, i, value))
	case ValueRolledBack:
		store.RollBack(t.Ref.Path)
	}
}

// account reports whether the account was made.
func (w *World) account() bool {
	list, _ := w.api.Accounts(context.Background())
	return len(list) > 0
}

// redeclare changes the declaration; the agent sees it at its next look.
func (w *World) redeclare(f Fault, slot string, i int) {
	w.edition++
	for k := range w.slots {
		d := &w.slots[k]
		d.Edition++
		if d.Policy.Slot != slot {
			continue
		}
		switch f {
		case TargetLeaves:
			d.Targets = slices.Clone(d.Targets[1:])
			d.Policy.Targets = slices.Clone(d.Policy.Targets[1:])
		case TargetComes:
			w.comeBack(d)
		case TargetMoves:
			w.move(d, i)
		case FormatChanges:
			w.reformat(d)
		case GraceShrinks:
			d.Policy.Schedule.Grace = schedule.Grace / 2
			w.check.graces = append(w.check.graces, graceChange{time.Now(), schedule.Grace / 2})
		case LifetimeShrinks:
			d.Policy.Schedule.Lifetime, d.Policy.Schedule.Every = 4*rotation.Day, 2*rotation.Day
		}
	}
}

func (w *World) comeBack(d *rotation.Declared) {
	for _, s := range w.shops {
		t, err := s.target(path + "/" + d.Policy.Token)
		if err != nil {
			w.check.breach("a target can't come back: %v", err)
			return
		}
		known := slices.ContainsFunc(d.Policy.Targets, func(p rotation.TargetPolicy) bool { return p.Key == t.Key() })
		if !known {
			d.Targets = append(slices.Clone(d.Targets), t)
			d.Policy.Targets = append(slices.Clone(d.Policy.Targets), rotation.TargetPolicy{Key: t.Key(), Lossy: t.Format.Lossy()})
			return
		}
	}
}

// move gives a target another path in its store. What stands at the old one
// stays there, and its consumers have gone with it.
func (w *World) move(d *rotation.Declared, i int) {
	t, err := w.shop(d.Targets[i].Ref.Backend).target(d.Targets[i].Ref.Path + "x")
	if err != nil {
		w.check.breach("a target can't move: %v", err)
		return
	}
	d.Targets, d.Policy.Targets = slices.Clone(d.Targets), slices.Clone(d.Policy.Targets)
	d.Targets[i], d.Policy.Targets[i] = t, rotation.TargetPolicy{Key: t.Key(), Lossy: t.Format.Lossy()}
}

func (w *World) reformat(d *rotation.Declared) {
	format, err := payload.New(payload.Spec{Format: "bearer", BackendType: "mem", Path: d.Targets[0].Ref.Path})
	if err != nil {
		w.check.breach("a format can't change: %v", err)
		return
	}
	d.Targets, d.Policy.Targets = slices.Clone(d.Targets), slices.Clone(d.Policy.Targets)
	changed := *d.Targets[0]
	changed.Format = format
	d.Targets[0], d.Policy.Targets[0].Lossy = &changed, false
}

// removeForeign puts a value that isn't ours out of the way, as a person does
// who was told of it.
func (w *World) removeForeign(d rotation.Declared, i int) {
	t := d.Targets[i]
	store := w.shop(t.Ref.Backend).store
	value := store.Peek(t.Ref.Path)
	token, ours := w.api.Within(value)
	if ours {
		_, ours = w.check.owner(token.Label)
	}
	if !value.IsZero() && !ours {
		store.Delete(t.Ref.Path)
		w.acted(cause{what: "foreign value removed", target: t.Key()})
	}
}

// shaped is a token in the shape of a target.
func (w *World) shaped(d rotation.Declared, i int, value secret.Value) secret.Value {
	payload, err := d.Targets[i].Format.Render(backends.Token{Value: value, Account: accountName,
		AccountID: d.Policy.AccountID, URL: d.Policy.URL})
	if err != nil {
		w.check.breach("a token can't be written: %v", err)
	}
	return payload
}

// removeUnknown removes what the agent reports as foreign although it was ours
// once: a lost journal and a store without metadata leave nobody who knows.
func (w *World) removeUnknown(a *agent, d rotation.Declared) {
	rec := a.record(d.Policy.Slot)
	for _, t := range d.Targets {
		if rec.Targets[t.Key()].State == rotation.Foreign {
			w.check.window(nobodyKnows)
			w.shop(t.Ref.Backend).store.Delete(t.Ref.Path)
			w.acted(cause{what: "unknown value removed", target: t.Key()})
		}
	}
}
