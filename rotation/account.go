package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// accountStep is what to do next with an account.
type accountStep int

const (
	accountReady      accountStep = iota // nothing: tokens can be issued
	accountAdopt                         // take the listed account in
	accountCreate                        // make it
	accountUpdate                        // apply the declaration's role and teams
	accountApplied                       // they are as declared: take note
	accountMissed                        // a first list lacks it: take note
	accountFound                         // it is listed again: take note
	accountBlock                         // a person is needed
	accountUnblock                       // what blocked it is over
	accountWait                          // not before RetryAt
	accountRelist                        // a second list is needed
	accountDeactivate                    // take it out of use
	accountIsOff                         // it is out of use, as was asked for: take note
	accountStaysOn                       // it can't be taken out of use: take note
)

// nextAccount decides what to do with an account, by its record and by whether
// a complete list has it. It is pure.
//
// An account that is declared and exists is used, and given the declared role
// and teams once. What others change later is left as it is until the
// declaration changes. One that others deleted is never made again unasked.
func nextAccount(rec AccountRecord, listed *Account, spec AccountSpec, listAt, now time.Time) (accountStep, Reason) {
	if step, why, wanted := nextDeactivate(rec, listed, now); wanted {
		return step, why
	}
	gone := listed == nil || listed.Deleted
	deleted := listed != nil && listed.Deleted
	switch {
	case rec.Blocked == AccountRefused && rec.Applied != spec.key():
		return accountUnblock, DeclarationChanged
	case rec.Blocked == AccountRefused:
		return accountWait, AccountRefused
	case rec.UserID == 0 && deleted && !rec.Remake && rec.Blocked == "":
		return accountBlock, AccountGone // a journal that was lost doesn't know of it
	case rec.UserID == 0 && gone && rec.Blocked == AccountGone:
		return accountWait, AccountGone
	case rec.UserID == 0 && gone && now.Before(rec.RetryAt):
		return accountWait, BackOff
	case rec.UserID == 0 && gone:
		return accountCreate, ""
	case rec.UserID == 0 || !gone && listed.UserID != rec.UserID:
		return accountAdopt, ""
	case gone && rec.Blocked == AccountGone:
		return accountWait, AccountGone
	case gone && rec.MissingAt.IsZero():
		return accountMissed, AccountGone
	case gone && listAt.Before(rec.MissingAt.Add(missGap)):
		return accountRelist, AccountGone
	case gone:
		return accountBlock, AccountGone
	case listed.Deactivated && rec.Blocked != AccountDeactivated:
		return accountBlock, AccountDeactivated
	case listed.Deactivated:
		return accountWait, AccountDeactivated
	case rec.Blocked != "":
		return accountUnblock, rec.Blocked
	case !rec.MissingAt.IsZero():
		return accountFound, ""
	case rec.Applied != spec.key() && !listed.fits(spec) && now.Before(rec.RetryAt):
		return accountReady, BackOff // its tokens don't wait for its role
	case rec.Applied != spec.key() && !listed.fits(spec):
		return accountUpdate, DeclarationChanged
	case rec.Applied != spec.key():
		return accountApplied, ""
	}
	return accountReady, ""
}

// publicTeam is always a team of every account and can't be taken away
// (qualytics-api.md, "Service accounts").
const publicTeam = "Public"

func (a *Account) fits(spec AccountSpec) bool {
	return AccountSpec{Role: a.Role, Teams: a.Teams}.key() == spec.key()
}

// key is the same for two specs that ask for the same role and teams.
func (s AccountSpec) key() string {
	teams := slices.DeleteFunc(slices.Clone(s.Teams), func(t string) bool { return t == publicTeam })
	slices.Sort(teams)
	return strings.Join(append([]string{s.Role}, teams...), "\n")
}

// ensure brings the slot's account to where tokens can be issued, one caller
// at a time for each account.
// With look nothing is made or updated.
func (e *Engine) ensure(ctx context.Context, pol *Policy, after time.Time, look bool) (AccountSeen, ground, error) {
	unlock, err := e.accountLocks.lock(ctx, pol.AccountID)
	if err != nil {
		return AccountSeen{}, ground{}, err
	}
	defer unlock()
	rec, err := e.journal.Account(ctx, pol.AccountID)
	if errors.Is(err, ErrNoRecord) {
		rec, err = AccountRecord{ID: pol.AccountID}, nil
	}
	if err != nil {
		return AccountSeen{}, ground{}, err
	}
	if oldest := e.issuer.Now().Add(-pol.DriftCheck); after.Before(oldest) {
		after = oldest
	}
	if second := rec.MissingAt.Add(missGap); !rec.MissingAt.IsZero() && after.Before(second) && !e.issuer.Now().Before(second) {
		after = second
	}
	for {
		list, err := e.accounts.get(ctx, after, e.accountChange(pol.AccountID))
		if err != nil {
			e.hold(err, true)
			return AccountSeen{At: e.issuer.Now(), RetryAt: e.heldUntil()}, ground{}, ctx.Err()
		}
		listed, now := list.byKey[pol.AccountID], e.issuer.Now()
		step, why := nextAccount(rec, listed, pol.Account, list.at, now)
		if look && (step == accountCreate || step == accountUpdate) {
			step = accountWait
		}
		done, err := e.stepAccount(ctx, &rec, step, why, listed, pol)
		if err != nil {
			return AccountSeen{}, ground{}, err
		}
		if done {
			firm := ground{since: list.since[pol.AccountID], firm: step == accountReady && why == ""}
			return rec.saw(list.at, now, step), firm, nil
		}
	}
}

// knownAccount is the account as the journal has it, without a question to the
// API; false when it isn't known, has to be looked at, or was just changed.
func (e *Engine) knownAccount(ctx context.Context, pol *Policy) (AccountSeen, bool) {
	rec, err := e.journal.Account(ctx, pol.AccountID)
	known := err == nil && rec.UserID != 0 && rec.Blocked == "" && !rec.Deactivate && e.accountChange(pol.AccountID) == 0
	return AccountSeen{UserID: rec.UserID}, known
}

// saw is what a pass is told of the account, by a list of the given time.
func (r *AccountRecord) saw(at, now time.Time, step accountStep) AccountSeen {
	seen := AccountSeen{At: at, UserID: r.UserID, Blocked: r.Blocked, Deactivating: r.Deactivate}
	switch {
	case r.Deactivate:
		seen.RetryAt = r.RetryAt
	case step == accountRelist:
		seen.RetryAt = r.MissingAt.Add(missGap)
	case r.UserID == 0 && now.Before(r.RetryAt):
		seen.RetryAt = r.RetryAt
	}
	return seen
}

// stepAccount does one step. It returns true when there is no other one now.
func (e *Engine) stepAccount(ctx context.Context, rec *AccountRecord, step accountStep, why Reason,
	listed *Account, pol *Policy) (bool, error) {
	event := Event{Reason: why}
	switch step {
	case accountReady, accountWait, accountRelist:
		return true, nil
	case accountCreate:
		return e.createAccount(ctx, rec, pol)
	case accountUpdate:
		return e.updateAccount(ctx, rec, pol)
	case accountDeactivate:
		return e.deactivateAccount(ctx, rec, listed.UserID)
	case accountStaysOn:
		return false, e.staysOn(ctx, rec, errStaysOn)
	case accountIsOff:
		event.Act, rec.Deactivate, rec.Attempts, rec.RetryAt = ActDeactivated, false, 0, time.Time{}
	case accountAdopt:
		event.Act, rec.UserID, rec.Intended = ActFoundAccount, listed.UserID, false
	case accountApplied:
		event.Act, rec.Applied, rec.Refused = ActUpdatedAccount, pol.Account.key(), false
	case accountMissed:
		event.Act, rec.MissingAt = ActAccountMissing, e.issuer.Now()
	case accountFound:
		event.Act, rec.MissingAt = ActFoundAccount, time.Time{}
	case accountBlock:
		event.Act, rec.Blocked = ActAccountBlocked, why
	case accountUnblock:
		event.Act, rec.Blocked, rec.MissingAt, rec.RetryAt = ActAccountResumed, "", time.Time{}, time.Time{}
	}
	return false, e.commitAccount(ctx, rec, event)
}

func (e *Engine) createAccount(ctx context.Context, rec *AccountRecord, pol *Policy) (bool, error) {
	if !rec.Intended {
		rec.Intended = true
		if err := e.commitAccount(ctx, rec, Event{Act: ActCreatingAccount}); err != nil {
			return true, err
		}
	}
	made, err := e.issuer.CreateAccount(ctx, pol.Account)
	e.accountChanged(pol.AccountID)
	if err == nil && made.ID != pol.AccountID {
		err = &APIError{Call: "create account", Kind: ErrRefused,
			Err: fmt.Errorf("the id %q was made of the name %q, %q was expected; choose a plainer name",
				made.ID, pol.Account.Name, pol.AccountID)}
	}
	if err != nil {
		return true, e.accountFailed(ctx, rec, pol, err)
	}
	rec.UserID, rec.Created, rec.Intended, rec.Applied = made.UserID, true, false, pol.Account.key()
	rec.Refused, rec.Remake = false, false
	rec.Attempts, rec.RetryAt = 0, time.Time{}
	// It is there: the answer said so, and no list is asked for to hear it again.
	return true, e.commitAccount(ctx, rec, Event{Act: ActCreatedAccount})
}

// accountChanged says that an account was changed: lists asked for before aren't
// shown to its slots any more. Those of other accounts may go on with them.
func (e *Engine) accountChanged(id string) {
	seq := e.mutations.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accountChanges[id] = seq
}

// accountChange is Engine.mutations after the last change to an account.
func (e *Engine) accountChange(id string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.accountChanges[id]
}

func (e *Engine) updateAccount(ctx context.Context, rec *AccountRecord, pol *Policy) (bool, error) {
	err := e.issuer.UpdateAccount(ctx, rec.UserID, pol.Account)
	e.accountChanged(pol.AccountID)
	if err != nil {
		return true, e.accountFailed(ctx, rec, pol, err)
	}
	rec.Applied, rec.Refused, rec.Attempts, rec.RetryAt = pol.Account.key(), false, 0, time.Time{}
	return false, e.commitAccount(ctx, rec, Event{Act: ActUpdatedAccount, Reason: DeclarationChanged})
}

// accountFailed sets the back-off; a refusal waits for a person or for another
// declaration. An unknown outcome is resolved by the next list.
func (e *Engine) accountFailed(ctx context.Context, rec *AccountRecord, pol *Policy, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.hold(cause, false)
	why, after := apiReason(cause)
	now := e.issuer.Now()
	if after == 0 {
		rec.Attempts++
		after = backOff(rec.Attempts, rec.ID)
	}
	rec.RetryAt = now.Add(after)
	if errors.Is(cause, ErrRefused) {
		why, rec.Applied, rec.Refused = AccountRefused, pol.Account.key(), true
		if rec.UserID == 0 {
			rec.Blocked = AccountRefused
		}
	}
	e.log.Error("account not as declared", "account", rec.ID, "reason", string(why), "error", cause)
	return e.commitAccount(ctx, rec, Event{Act: ActAccountFailed, Reason: why, Detail: cause.Error()})
}

// resumeAccount applies a person's word that the account may be used or made
// again.
func (e *Engine) resumeAccount(ctx context.Context, pol *Policy, asked Request) error {
	unlock, err := e.accountLocks.lock(ctx, pol.AccountID)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := e.journal.Account(ctx, pol.AccountID)
	switch {
	case errors.Is(err, ErrNoRecord):
		return nil
	case err != nil || rec.Blocked == "" && !rec.Refused:
		return err
	}
	if rec.Refused { // it may be taken now
		rec.Applied, rec.Refused = "", false
	}
	if rec.Blocked == AccountGone {
		rec.UserID, rec.Intended, rec.Remake = 0, false, true
	}
	rec.Blocked, rec.MissingAt, rec.Attempts, rec.RetryAt = "", time.Time{}, 0, time.Time{}
	return e.commitAccount(ctx, &rec, asked.tell(Event{Act: ActAccountResumed}))
}

func (e *Engine) commitAccount(ctx context.Context, rec *AccountRecord, event Event) error {
	event.At, event.Account = e.issuer.Now(), rec.ID
	if event.Actor == "" {
		event.Actor = actorAgent
	}
	stored, err := e.journal.CommitAccount(ctx, *rec, event)
	if err != nil {
		return err
	}
	*rec = stored
	e.onEvent(event)
	return nil
}
