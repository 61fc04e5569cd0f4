package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// What the vendor says of an account that is compromised: revoke all its tokens,
// make a new account under another name, rotate what it could reach. The agent
// does the first, and takes the account out of use; the others are a person's.

// compromised revokes all that an account has, whoever issued it.
func (a *app) compromised(ctx context.Context, o order) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	declared := a.known(ctx, d, o.names)
	slots, err := declared.choose(o.names)
	switch {
	case err != nil:
		return err
	case len(o.names) != 1 || declared.accounts[o.names[0]] == "" || o.tokenID != 0:
		return usage("--compromised needs one ACCOUNT, and goes with --reason and --yes alone")
	}
	return a.through(ctx, d, slots, func(ctx context.Context, to hand) error {
		c := compromise{app: a, order: o, to: to, journal: d.State.SQLite, account: declared.accounts[o.names[0]], slots: slots, revoked: map[int64]time.Time{}}
		return c.carryOut(ctx)
	})
}

// compromise is one account whose tokens are all to die.
type compromise struct {
	app     *app
	order   order
	to      hand
	journal string
	account string
	slots   []string
	before  report.Tokens
	// open are the requests that haven't ended, ended the others.
	open, ended []rotation.Request
	// revoked is when each token died, as far as it was told.
	revoked map[int64]time.Time
	// targets serve a dead token, by the last look.
	targets []string
	// news is when something was last told.
	news time.Time
}

func (c *compromise) carryOut(ctx context.Context) (err error) {
	if c.before, err = c.to.Tokens(ctx, c.account); err != nil {
		return fmt.Errorf("list the tokens of %s: %w; nothing was revoked", c.account, err)
	}
	if err := c.confirmed(); err != nil {
		return err
	}
	if c.open, err = c.to.Submit(ctx, c.requests()); err != nil {
		return err
	}
	if err := c.watch(ctx); err != nil {
		return err
	}
	after, err := c.to.Tokens(ctx, c.account)
	if err != nil {
		return fmt.Errorf("look at the tokens of %s again: %w", c.account, err)
	}
	c.recall(ctx)
	return c.answer(after)
}

// recall asks the history when the tokens died: between two looks several may
// have, of one slot. Where it can't be read, that stays unknown.
func (c *compromise) recall(ctx context.Context) {
	for _, slot := range c.slots {
		filter := rotation.HistoryFilter{Slot: slot, Since: c.before.Now, Limit: 1000}
		events, _ := eventsOf(ctx, c.journal, filter)
		for _, e := range events {
			if e.Act == rotation.ActRevoked {
				c.revoked[e.TokenID] = e.At
			}
		}
	}
}

// foreign reports whether no slot revokes the token by itself.
func (c *compromise) foreign(t report.Token) bool { return !slices.Contains(c.slots, t.Slot) }

// confirmed lists what will be revoked, and asks.
func (c *compromise) confirmed() error {
	rows := [][]any{{"TOKEN", "LABEL", "SLOT", "LAST USED"}}
	for _, t := range c.before.Tokens {
		if t.Active {
			rows = append(rows, []any{t.ID, t.Label, slotOf(t, c), stamp(t.LastUsedAt)})
		}
	}
	fmt.Fprintf(c.app.err, "%s of %s can be used now:\n", number(len(rows)-1, "token"), c.account)
	if err := columns(c.app.err, rows...); err != nil || c.order.yes {
		return err
	}
	return c.app.confirm(confirmation{fmt.Sprintf("revokes every token of %s now, %d that this agent didn't issue among them, and takes the account out of use",
		c.account, len(c.foreigners())), "compromised"})
}

func slotOf(t report.Token, c *compromise) string {
	if c.foreign(t) {
		return "not this agent's"
	}
	return t.Slot
}

// foreigners are the tokens that may be used and that no slot revokes.
func (c *compromise) foreigners() (all []report.Token) {
	for _, t := range c.before.Tokens {
		if t.Active && c.foreign(t) {
			all = append(all, t)
		}
	}
	return all
}

// requests revoke each slot, each token that is no slot's, and the account. Those
// of one slot are carried out one after the other, so the slots share them.
func (c *compromise) requests() []rotation.Request {
	all := c.order.requests(c.slots)
	for i, t := range c.foreigners() {
		one := c.order
		one.tokenID = t.ID
		all = append(all, one.requests(c.slots[i%len(c.slots):][:1])...)
	}
	off := c.order
	off.kind = rotation.RequestDeactivate
	return append(all, off.requests(c.slots[:1])...)
}

// watch looks until every request has ended, or nothing goes on any more.
func (c *compromise) watch(ctx context.Context) error {
	for c.news = time.Now(); ; {
		if err := c.look(ctx); err != nil {
			return err
		}
		if len(c.open) == 0 || time.Since(c.news) > patience {
			return nil
		}
		if !pause(ctx, glance) {
			return ctx.Err()
		}
	}
}

func (c *compromise) look(ctx context.Context) error {
	found, err := c.to.Emergencies(ctx, c.slots)
	if err != nil {
		return err
	}
	c.targets = []string{}
	for _, e := range found.Emergencies {
		for _, t := range e.Targets {
			if t.Dead {
				c.targets = append(c.targets, t.Backend+"/"+t.Path)
			}
		}
		for _, t := range e.Revoked {
			if _, told := c.revoked[t.TokenID]; !told && !t.At.Before(c.before.Now) {
				c.revoked[t.TokenID] = t.At
				c.tell("revoked %s", token(t.TokenID, t.Generation))
			}
		}
	}
	var open []rotation.Request
	for _, r := range c.open {
		now, err := c.to.Request(ctx, r.ID)
		switch {
		case err != nil:
			return err
		case now.ClosedAt.IsZero():
			open = append(open, r)
			continue
		case now.Kind == rotation.RequestDeactivate:
			c.tell("%s", now.Outcome)
		}
		c.ended, c.news = append(c.ended, now), time.Now()
	}
	c.open = open
	return nil
}

func (c *compromise) tell(format string, args ...any) {
	c.news = time.Now()
	fmt.Fprintf(c.app.err, "%s: %s\n", c.account, fmt.Sprintf(format, args...))
}

// answer prints what has become of the tokens, and what is left to be done.
func (c *compromise) answer(after report.Tokens) error {
	out := compromisedAccount{Account: c.account, Tokens: []compromisedToken{}, Targets: c.targets}
	left := len(c.open) > 0
	for _, t := range after.Tokens {
		one := compromisedToken{Token: t, Foreign: c.foreign(t)}
		if at, told := c.revoked[t.ID]; told {
			one.RevokedAt = &at
		}
		if !t.Active && one.RevokedAt == nil && !c.wasActive(t.ID) { // it was dead before
			continue
		}
		left = left || t.Live
		out.Tokens = append(out.Tokens, one)
	}
	for _, r := range c.ended {
		out.Deactivated = out.Deactivated || r.Deactivated()
	}
	out.Remaining = out.remaining(len(c.open))
	a := c.app
	if err := a.print(out, out.write); err != nil {
		return err
	}
	if left {
		return &exit{code: exitPartly}
	}
	return nil
}

// wasActive reports whether the token could be used at the start.
func (c *compromise) wasActive(id int64) bool {
	return slices.ContainsFunc(c.before.Tokens, func(t report.Token) bool { return t.ID == id && t.Active })
}
