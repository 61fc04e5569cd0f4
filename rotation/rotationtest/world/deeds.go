package world

import (
	"context"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// What has to stand before a deed: the decision in the journal, a look and a
// proof of just now, and nothing of other people's in its way.

// justNow is how old the look or the proof may be on which a deed stands: a
// minute at its decision, and as long again on its way.
const justNow = 2 * time.Minute

// decided checks that the journal has the decision to revoke or delete a token.
func (c *checker) decided(by *life, id int64, want rotation.State) {
	for _, d := range c.w.slots {
		for _, g := range by.agent.record(d.Policy.Slot).Generations {
			if g.TokenID == id && g.State != want && !(g.Condemned && want == rotation.Revoking) {
				c.breach("commit before act: g%d of %s is %s in the journal of %s, not %s", g.Number, d.Policy.Slot, g.State, by.agent.name, want)
			}
		}
	}
}

// gate checks, at the revocation of a live token, that the targets were looked
// at just now, and that no consumer is known to use it.
func (c *checker) gate(by *life, d rotation.Declared, victim rotation.Token) {
	if by.late || by.ahead.Load() != 0 || c.redeclared[d.Policy.Slot].after(by.loaded) {
		return
	}
	for _, t := range d.Targets {
		if age := time.Since(by.read[t.Key()]); age > justNow {
			c.breach("promise 2: %s is revoked on a reading of %s that is %s old", victim.Label, t.Key(), age)
		}
		value := c.w.shop(t.Ref.Backend).store.Peek(t.Ref.Path)
		serves, _ := c.w.api.Within(value)
		_, hidden := t.Format.Extract(value)
		if proved := by.proved[serves.ID]; hidden == nil && proved.tick != 0 && time.Since(proved.at) > justNow {
			c.breach("promise 2: %s is revoked on a proof of %s that is %s old", victim.Label, serves.Label, time.Since(proved.at))
		}
	}
	// A list of this pass tells of the use; one that was asked for just before
	// may not.
	used := c.calls.used[victim.ID]
	told := by.listed.after(used) || by.listed.tick != 0 && time.Since(used.at) > 10*time.Minute
	if used.tick == 0 || !victim.LastUsed.Equal(used.at) || !told {
		return
	}
	for _, g := range by.agent.record(d.Policy.Slot).Generations {
		quiet, most := used.at.Add(schedule.Quiet), g.RevokeAfter.Add(schedule.Hold)
		if g.TokenID == victim.ID && time.Now().Before(quiet) && time.Now().Before(most) && used.at.After(g.ProvedAt.Add(2*time.Second)) {
			c.breach("promise 2: %s is revoked %s after a consumer used it", victim.Label, time.Since(used.at))
		}
	}
}

// observed checks, at a deletion, that the token could be restored for as long
// as is declared, and that nobody did.
func (c *checker) observed(by *life, id int64) {
	m := c.calls.tokens[id]
	if by.late || by.ahead.Load() != 0 || by.listed.tick == 0 {
		return
	}
	for _, t := range c.w.current() {
		if t.ID == id && t.Active && by.listed.after(c.calls.restored[id]) {
			c.breach("promise 3: %s is to be deleted while it lives", t.Label)
		}
	}
	if m == nil || m.revoked.tick == 0 || c.died[id].tick != 0 || c.calls.restored[id].tick != 0 || !m.revoked.at.After(c.forgot) {
		return
	}
	if age := time.Since(m.revoked.at); age < schedule.Observe {
		c.breach("promise 3: %s is deleted %s after it was revoked", m.label, age)
	}
}

// sent checks that the journal knows a payload before a store gets it.
func (c *checker) sent(by *life, slot string, ref backends.Ref, payload secret.Value) {
	if by.landing { // the journal may be another by now
		return
	}
	for _, p := range by.agent.record(slot).Targets[ref.String()].Payloads {
		if p.Fingerprint == payload.Fingerprint() {
			return
		}
	}
	c.breach("commit before act: the journal of %s doesn't know what it sends to %s", by.agent.name, ref)
}

// wrote checks what an agent's write put into the place of what.
func (c *checker) wrote(s store, ref backends.Ref, before secret.Value) {
	by, shop := s.life, s.shop
	after := shop.store.Peek(ref.Path)
	token, ok := c.w.api.Within(after)
	if !ok {
		return
	}
	if age := time.Since(by.proved[token.ID].at); age > justNow && !by.late && !by.landing && by.ahead.Load() == 0 {
		c.breach("promise 1: %s is written to %s on a proof that is %s old", token.Label, ref, age)
	}
	if m := c.calls.tokens[token.ID]; m != nil {
		m.written = true
	}
	known := by.agent.record(s.slot).Targets[ref.String()].Reason
	if before.IsZero() || !shop.kind.CompareAndSet && (by.landing || known != rotation.TargetHoldsForeign && known != rotation.TargetHoldsOther) {
		return
	}
	d, _ := c.declared(s.slot)
	lossy := true
	for _, t := range d.Targets {
		if t.Key() == ref.String() {
			lossy = t.Format.Lossy()
		}
	}
	stood, made := c.w.api.Within(before)
	_, ours := c.owner(stood.Label)
	switch {
	case ours:
	case !made:
		c.breach("promise 5: %s overwrites what isn't ours at %s", token.Label, ref)
	case !lossy && c.works(stood) && c.died[stood.ID].tick == 0 && token.Created.Before(stood.Created):
		c.breach("promise 5: %s overwrites %s at %s, which works and is newer", token.Label, stood.Label, ref)
	}
}

// made checks that the journal has the will to make an account, and that a
// person has, where one deleted it.
func (c *checker) made(by *life) {
	rec, err := by.agent.journal.Account(context.Background(), rotation.AccountID(accountName))
	if err != nil || !rec.Intended {
		c.breach("commit before act: the journal of %s doesn't intend an account: %v", by.agent.name, err)
	}
	if gone := c.calls.accountGone; gone.after(c.calls.resumed) && time.Since(gone.at) > time.Minute { // a call may have been under way
		c.breach("%s makes an account again that a person deleted", by.agent.name)
	}
}
