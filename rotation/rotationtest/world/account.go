package world

import (
	"context"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// What other people do to the account.

// accountAway takes the account out of use, and puts it back after a while.
func (w *World) accountAway(take func(*rotation.Account), d time.Duration) {
	w.changeAccount(take)
	w.hinder(d)
	w.killed(w.current())
	w.spawn(func(ctx context.Context) {
		sleep(ctx, d)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.accountBack()
	})
}

// resumeLater lets an operator say that the slot may go on: an account that
// isn't back by then is made again.
func (w *World) resumeLater(a *agent, slot string, after time.Duration) {
	w.hinder(after)
	w.spawn(func(ctx context.Context) {
		sleep(ctx, after)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.calmed {
			w.request(a, rotation.Request{Kind: rotation.RequestResume, Slot: slot})
		}
	})
}

// accountBack puts the account back that was deleted or deactivated. One that
// was made in its place stays.
func (w *World) accountBack() {
	w.changeAccount(func(a *rotation.Account) { a.Deactivated, a.Deleted = false, false })
}

// changeAccount changes the account in use; the last one that was, if none is.
func (w *World) changeAccount(change func(*rotation.Account)) {
	list, _ := w.api.Accounts(context.Background())
	var last int64
	for _, a := range list {
		last = a.UserID
	}
	w.api.SetAccount(rotation.AccountID(accountName), func(a *rotation.Account) {
		if a.UserID == last {
			change(a)
		}
	})
}
