package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxDeactivate is how often Qualytics may answer that it deactivated an account
// that its list calls active: the call is a guess (qualytics-api.md).
const maxDeactivate = 3

// deactivate journals that an account is to be taken out of use: the account's
// next look does it. Then the slot's record says that the request was heard.
func (w *work) deactivate(ctx context.Context, a Deactivate) {
	asked := w.request(a.Request)
	if err := w.e.wantDeactivated(ctx, w.pol, asked); err != nil {
		w.fail(err)
		return
	}
	w.commit(ctx, func(r *Record) Event {
		r.handle(a.Request, a.Rotate)
		return asked.tell(Event{Act: ActDeactivating})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Account = nil
}

func (e *Engine) wantDeactivated(ctx context.Context, pol *Policy, asked Request) error {
	unlock, err := e.accountLocks.lock(ctx, pol.AccountID)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := e.journal.Account(ctx, pol.AccountID)
	if errors.Is(err, ErrNoRecord) {
		rec, err = AccountRecord{ID: pol.AccountID}, nil
	}
	if err != nil || rec.Deactivate {
		return err
	}
	rec.Deactivate, rec.Attempts, rec.RetryAt = true, 0, time.Time{}
	return e.commitAccount(ctx, &rec, asked.tell(Event{Act: ActDeactivating}))
}

// nextDeactivate is nextAccount for an account that is to be taken out of use;
// false when it is, or isn't there.
func nextDeactivate(rec AccountRecord, listed *Account, now time.Time) (accountStep, Reason, bool) {
	switch {
	case !rec.Deactivate:
		return accountReady, "", false
	case listed == nil || listed.Deleted || listed.Deactivated:
		return accountIsOff, "", true
	case now.Before(rec.RetryAt):
		return accountWait, BackOff, true
	case rec.Attempts >= maxDeactivate:
		return accountStaysOn, AccountRefused, true
	}
	return accountDeactivate, "", true
}

// deactivateAccount makes the call. Whether it took effect, the next list tells.
func (e *Engine) deactivateAccount(ctx context.Context, rec *AccountRecord, userID int64) (bool, error) {
	err := e.issuer.DeactivateAccount(ctx, userID)
	e.accountChanged(rec.ID)
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrMissing) {
		return false, e.staysOn(ctx, rec, err)
	}
	event := Event{Act: ActDeactivated}
	again := err != nil && !errors.Is(err, ErrInvalidAnswer) // that one is of a deployment without the call, most often
	if err != nil {
		e.hold(err, false)
		why, _ := apiReason(err)
		event = Event{Act: ActAccountFailed, Reason: why, Detail: err.Error()}
	}
	if again {
		rec.RetryAt = e.issuer.Now().Add(backOff(1, rec.ID)) // no attempt: the API didn't answer
	} else {
		rec.Attempts++
	}
	return again, e.commitAccount(ctx, rec, event)
}

// staysOn gives up: a person has to do it.
func (e *Engine) staysOn(ctx context.Context, rec *AccountRecord, cause error) error {
	e.log.Error("account not deactivated", "account", rec.ID, "error", cause)
	rec.Deactivate, rec.Attempts, rec.RetryAt = false, 0, time.Time{}
	return e.commitAccount(ctx, rec, Event{Act: ActAccountFailed, Reason: AccountRefused,
		Detail: fmt.Sprintf("not deactivated: %v", cause)})
}

var errStaysOn = errors.New("it was asked for three times, and the list calls the account active")
