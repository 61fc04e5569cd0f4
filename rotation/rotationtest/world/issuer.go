package world

import (
	"context"
	"errors"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// issuer is the API as one process reaches it.
type issuer struct{ *life }

func (i issuer) w() *World { return i.agent.w }

// Now is what the process takes for the API's time.
func (i issuer) Now() time.Time { return i.now() }

func (i issuer) api() *rotationtest.API { return i.w().api }

func (i issuer) call(ctx context.Context, class class, name string, do func() error) (Fault, error) {
	return i.callFor(ctx, class, name, "", do)
}

// callFor is call for one slot.
func (i issuer) callFor(ctx context.Context, class class, name, slot string, do func() error) (fault Fault, err error) {
	w := i.w()
	w.mu.Lock()
	down := time.Now().Before(w.outage)
	w.mu.Unlock()
	fails := func(why failure, wait time.Duration) error {
		e := &rotation.APIError{Call: name, Kind: rotation.ErrUnavailable, RetryAfter: wait}
		switch {
		case why == refused:
			e.Status, e.Kind = 422, rotation.ErrRefused
		case why == throttled:
			e.Status, e.Kind = 429, rotation.ErrThrottled
		case why == unsure && (class == apiMint || class == apiMake):
			e.Kind = rotation.ErrUnknownOutcome
		}
		return e
	}
	if down {
		return "", fails(unreached, 0)
	}
	answered := false
	fault, err = i.perform(ctx, act{class: class, name: name, slot: slot, fails: fails,
		do:    func() error { answered = true; return do() },
		cause: cause{what: name, api: class != apiLook && class != apiList}})
	if answered && fault != LostAfter { // an answer brings the API's time
		i.ahead.Store(0)
	}
	return fault, err
}

// Accounts lists all accounts.
func (i issuer) Accounts(ctx context.Context) (list []rotation.Account, err error) {
	_, err = i.call(ctx, apiLook, "list accounts", func() error { list, err = i.api().Accounts(ctx); return err })
	return list, err
}

// CreateAccount makes an account.
func (i issuer) CreateAccount(ctx context.Context, spec rotation.AccountSpec) (made rotation.Account, err error) {
	_, err = i.call(ctx, apiMake, "create account", func() error {
		i.w().check.made(i.life)
		made, err = i.api().CreateAccount(ctx, spec)
		return err
	})
	return made, err
}

// UpdateAccount sets role and teams.
func (i issuer) UpdateAccount(ctx context.Context, id int64, spec rotation.AccountSpec) error {
	_, err := i.call(ctx, apiDeed, "update account", func() error { return i.api().UpdateAccount(ctx, id, spec) })
	return err
}

// DeactivateAccount takes an account out of use.
func (i issuer) DeactivateAccount(ctx context.Context, id int64) error {
	_, err := i.call(ctx, apiDeed, "deactivate account", func() error { return i.api().DeactivateAccount(ctx, id) })
	return err
}

// Tokens lists all tokens, or an older list, or one with doubles.
func (i issuer) Tokens(ctx context.Context) (list []rotation.Token, err error) {
	fault, err := i.call(ctx, apiList, "list tokens", func() error {
		list, err = i.api().Tokens(ctx)
		i.listed = i.w().moment()
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case fault == CutShort:
		return nil, &rotation.APIError{Call: "list tokens", Status: 200, Kind: rotation.ErrInvalidAnswer}
	case fault == PagedTwice:
		return append(list, list...), nil
	case fault == Lagging:
		i.w().mu.Lock()
		i.listed = moment{}
		i.w().mu.Unlock()
		return i.w().older(i.w().dice.next("lag").Int64N(int64(6 * time.Hour))), nil
	}
	return list, nil
}

// older is the list as it was some time ago.
func (w *World) older(ago int64) []rotation.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []rotation.Token
	for _, p := range w.lists {
		if !p.at.After(time.Now().Add(-time.Duration(ago))) {
			list = p.list
		}
	}
	return list
}

// Issue mints a token.
func (i issuer) Issue(ctx context.Context, order rotation.Order) (issued rotation.Issued, err error) {
	w := i.w()
	fault, err := i.callFor(ctx, apiMint, "issue "+order.Label, w.slotOf(order.Label), func() error {
		made, err := i.api().Issue(ctx, order)
		if err == nil {
			issued = made
			if d, ours := w.check.owner(order.Label); ours {
				w.check.minted(i.life, d, made, order.Label)
			}
		}
		return err
	})
	if err == nil && (fault == NotValidYet || fault == NeverValid) {
		valid := between(w.dice.next("not yet"), time.Second, 10*time.Minute)
		if fault == NeverValid {
			valid = 365 * rotation.Day
		}
		w.mu.Lock()
		w.notYet[issued.ID] = time.Now().Add(valid)
		w.mu.Unlock()
	}
	if err != nil {
		if errors.Is(err, rotation.ErrUnknownOutcome) {
			w.mu.Lock()
			i.unsure[order.Label] = true
			w.mu.Unlock()
		}
		return rotation.Issued{}, err
	}
	return issued, nil
}

// Prove uses a token.
func (i issuer) Prove(ctx context.Context, value secret.Value) (id rotation.Identity, err error) {
	w := i.w()
	token, _ := w.api.ByValue(value)
	_, err = i.callFor(ctx, apiLook, "prove", w.slotOf(token.Label), func() error {
		token, known := i.api().ByValue(value)
		if known && time.Now().Before(w.notYet[token.ID]) {
			return &rotation.APIError{Call: "prove", Status: 401, Kind: rotation.ErrDead}
		}
		id, err = i.api().Prove(ctx, value)
		if err == nil && known {
			i.proved[token.ID] = i.w().moment()
		}
		return err
	})
	return id, err
}

// Revoke kills a token.
func (i issuer) Revoke(ctx context.Context, id int64) error {
	_, err := i.callFor(ctx, apiDeed, "revoke", i.w().slotWith(id), func() error {
		i.w().check.decided(i.life, id, rotation.Revoking)
		for _, t := range i.w().current() {
			if t.ID == id && i.w().check.works(t) {
				i.w().check.revoking(i.life, t)
			}
		}
		if m := i.w().check.calls.tokens[id]; m != nil && m.revoked.tick == 0 {
			m.revoked = i.w().moment()
		}
		return i.api().Revoke(ctx, id)
	})
	return err
}

// Restore undoes Revoke.
func (i issuer) Restore(ctx context.Context, id int64) error {
	_, err := i.call(ctx, apiDeed, "restore", func() error { return i.api().Restore(ctx, id) })
	return err
}

// Delete removes a revoked token.
func (i issuer) Delete(ctx context.Context, id int64) error {
	_, err := i.callFor(ctx, apiDeed, "delete", i.w().slotWith(id), func() error {
		i.w().check.deleting(id)
		i.w().check.decided(i.life, id, rotation.Deleting)
		i.w().check.observed(i.life, id)
		return i.api().Delete(ctx, id)
	})
	return err
}

// slotOf is the slot whose label this is; "" for none.
func (w *World) slotOf(label string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, _ := w.check.owner(label)
	return d.Policy.Slot
}

// slotWith is the slot of the token with that id; "" for none.
func (w *World) slotWith(id int64) string {
	for _, t := range w.current() {
		if t.ID == id {
			return w.slotOf(t.Label)
		}
	}
	return ""
}
