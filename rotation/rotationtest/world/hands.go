package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// hands does what other people and bad luck do, at times drawn beforehand.
func (w *World) hands(ctx context.Context) {
	r := w.dice.next("schedule")
	var times []time.Duration
	for range 2 + r.IntN(5) {
		times = append(times, between(r, time.Hour, stormy-rotation.Day))
	}
	slices.Sort(times)
	for _, at := range times {
		sleep(ctx, time.Until(w.began.Add(at)))
		w.hand(ctx)
	}
	sleep(ctx, time.Until(w.began.Add(stormy)))
}

// hand lets one thing happen.
func (w *World) hand(ctx context.Context) {
	r := w.dice.next("hand")
	total := 0
	for _, h := range byHand {
		total += h.weight
	}
	pick := r.IntN(total)
	for _, h := range byHand {
		if pick -= h.weight; pick >= 0 {
			continue
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		d := w.slots[r.IntN(len(w.slots))]
		i := -1
		if len(d.Targets) > 0 {
			i = r.IntN(len(d.Targets))
		}
		w.strike(h.fault, d.Policy.Slot)
		w.do(ctx, h.fault, d, i)
		return
	}
}

// do is one fault by hand. The world is locked.
func (w *World) do(ctx context.Context, f Fault, d rotation.Declared, i int) {
	r := w.dice.next("do")
	first := w.agents[0]
	by := cause{what: string(f), api: true}
	switch f {
	case APIOutage:
		w.outage = w.hinder(r.Int64N(int64(2 * rotation.Day)))
	case StoreOutage:
		w.shops[r.IntN(len(w.shops))].down = w.hinder(r.Int64N(int64(2 * rotation.Day)))
	case StoreDenied:
		w.shops[r.IntN(len(w.shops))].denied = w.hinder(r.Int64N(int64(2 * rotation.Day)))
	case DiskFull:
		first.full = w.hinder(r.Int64N(int64(rotation.Day)))
	case AgentDown:
		first.down = w.hinder(int64(rotation.Day) + r.Int64N(int64(12*rotation.Day)))
		w.kill(first)
	case JournalLost:
		w.loseJournal(first, rotationtest.NewMemory())
	case JournalOld:
		w.oldJournal(first)
	case SecondAgent:
		w.secondAgent(ctx)
	case OperatorRotates:
		w.request(first, d.Policy.Slot, rotation.RequestRotate)
	case OperatorResumes:
		w.request(first, d.Policy.Slot, rotation.RequestResume)
	case OperatorAdopts:
		w.check.adopted[first] = true
		w.request(first, d.Policy.Slot, rotation.RequestAdopt)
	case TargetLeaves, TargetComes, FormatChanges, GraceShrinks, LifetimeShrinks:
		w.redeclare(f, d.Policy.Slot)
	case AccountOff:
		w.accountOff()
	case TokenRevoked, TokenRestored, TokenDeleted, ConsumerHoldsOld:
		w.onToken(f, d)
	default:
		w.onValue(f, d, i)
		by.target = d.Targets[i].Key()
	}
	w.acted(by)
}

// hinder remembers that something is away until then.
func (w *World) hinder(d int64) time.Time {
	w.check.hindered += time.Duration(d)
	return time.Now().Add(time.Duration(d))
}

func (w *World) kill(a *agent) {
	if a.current != nil {
		a.current.dead.Store(true)
	}
}

// loseJournal puts other content in the place of the journal while the agent is
// stopped.
func (w *World) loseJournal(a *agent, content *rotationtest.Memory) {
	w.kill(a)
	a.journal = content.Copy()
	w.check.forgot = time.Now()
	labels := map[string]bool{}
	for rec, err := range a.journal.Slots(context.Background()) {
		if err != nil {
			continue
		}
		for _, g := range rec.Generations {
			labels[g.Label] = labels[g.Label] || g.Claimed
		}
		if rec.Intent != nil {
			labels[rec.Intent.Label] = true
		}
	}
	w.check.intents[a] = labels
}

// oldJournal takes a copy the first time, and puts it back the second time.
func (w *World) oldJournal(a *agent) {
	if a.copy == nil {
		a.copy = a.journal.Copy()
		return
	}
	w.loseJournal(a, a.copy)
}

// secondAgent starts an agent that has the same declaration and a journal of
// its own. It lives until the faults stop.
func (w *World) secondAgent(ctx context.Context) {
	if len(w.agents) > 1 {
		return
	}
	a := w.newAgent("second", rotationtest.NewMemory())
	w.acting.Go(func() { a.live(ctx) })
}

func (w *World) request(a *agent, slot string, kind rotation.RequestKind) {
	_, err := a.journal.AddRequest(context.Background(), rotation.Request{Kind: kind, Slot: slot, Actor: "operator"})
	if err != nil {
		w.check.breach("a request was not taken: %v", err)
	}
	w.check.wanted[slot] = true
}

func (w *World) accountOff() {
	w.api.SetAccount(rotation.AccountID(accountName), func(a *rotation.Account) { a.Deactivated = !a.Deactivated })
	w.check.hindered += 12 * rotation.Day
	w.killed(w.current())
}

func (w *World) killed(tokens []rotation.Token) {
	for _, t := range tokens {
		w.check.died[t.ID] = time.Now()
	}
}

// onToken changes one of the slot's tokens in Qualytics.
func (w *World) onToken(f Fault, d rotation.Declared) {
	r := w.dice.next("token")
	var ours []rotation.Token
	for _, t := range w.current() {
		if _, ok := rotation.ParseLabel(t.Label, d.Policy.Token, agentID); ok {
			ours = append(ours, t)
		}
	}
	if len(ours) == 0 {
		return
	}
	t := ours[r.IntN(len(ours))]
	switch f {
	case TokenRevoked:
		w.killed([]rotation.Token{t})
		_ = w.api.Revoke(context.Background(), t.ID)
	case TokenRestored:
		_ = w.api.Restore(context.Background(), t.ID)
	case TokenDeleted:
		w.killed([]rotation.Token{t})
		w.api.DeleteToken(t.ID)
	case ConsumerHoldsOld:
		w.api.ChangeToken(ours[0].ID, func(t *rotation.Token) { t.LastUsed = time.Now() })
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
		if _, known := w.account(); known {
			_, value := w.api.IssueByHand(rotation.AccountID(accountName), fmt.Sprintf("by-hand-%d", w.number), 0)
			store.Overwrite(t.Ref.Path, w.shaped(d, i, value))
		}
	case ValueRolledBack:
		store.RollBack(t.Ref.Path)
	}
}

func (w *World) account() (rotation.Account, bool) {
	list, _ := w.api.Accounts(context.Background())
	if len(list) == 0 {
		return rotation.Account{}, false
	}
	return list[0], true
}

// redeclare changes the declaration; the agent sees it at its next look.
func (w *World) redeclare(f Fault, slot string) {
	for i := range w.slots {
		d := &w.slots[i]
		if d.Policy.Slot != slot {
			continue
		}
		switch f {
		case TargetLeaves:
			if len(d.Targets) > 1 {
				d.Targets = slices.Clone(d.Targets[1:])
				d.Policy.Targets = slices.Clone(d.Policy.Targets[1:])
			}
		case TargetComes:
			w.comeBack(d)
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
		t, err := s.target(d.Policy.Token)
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
	rec, err := a.journal.Slot(context.Background(), d.Policy.Slot)
	if err != nil {
		return
	}
	for _, t := range d.Targets {
		if rec.Targets[t.Key()].State == rotation.Foreign {
			w.check.window(nobodyKnows)
			w.shop(t.Ref.Backend).store.Delete(t.Ref.Path)
			w.acted(cause{what: "unknown value removed", target: t.Key()})
		}
	}
}
