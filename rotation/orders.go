package rotation

import (
	"fmt"
	"time"
)

// What an operator said, as Next hears it (docs/decisions/orders.md).

// requests applies what an operator said, and closes what was carried out.
func (n *pass) requests() {
	rotate := false
	for i := range n.obs.Requests {
		switch q := n.obs.Requests[i]; {
		case q.Kind == RequestPause:
			n.pause = &n.obs.Requests[i]
		case q.ID <= n.rec.Handled:
			n.closeRequest(q)
		case n.taken: // it is looked at with the record that the one before makes
		case q.Kind == RequestRotate:
			rotate = true // it may be the blocked slot that it waits for
		default:
			n.taken = true
			n.take(q, rotate)
		}
	}
}

// take begins with one request. rotate: one to rotate waits before it.
func (n *pass) take(q Request, rotate bool) {
	if n.locksOut(q) {
		n.first = []Action{Decline{Request: q.ID, Rotate: rotate, Outcome: lockedOut}}
		return
	}
	switch q.Kind {
	case RequestResume, RequestAdopt:
		n.resume = &Resume{Request: q.ID, Adopt: q.Kind == RequestAdopt, Rotate: rotate}
	case RequestEmergency, RequestRevoke:
		n.alarm(q, rotate)
	case RequestRestore:
		if g := n.rec.restorable(q.TokenID); g != nil {
			n.first = []Action{Spare{Request: q.ID, Generation: g.Number, Rotate: rotate}}
		} else {
			n.first = []Action{Decline{Request: q.ID, Rotate: rotate, Outcome: "no such token of the slot is revoked and observed"}}
		}
	case RequestDeactivate:
		n.first = []Action{Deactivate{Request: q.ID, Rotate: rotate}}
	}
}

// closeRequest tells how a request that was applied has ended, if it has.
func (n *pass) closeRequest(q Request) {
	done := func(outcome string) { n.note(CloseRequest{Request: q.ID, Outcome: outcome}) }
	switch e := n.rec.Emergency; q.Kind {
	case RequestRotate:
		if n.rec.Intent == nil && n.rec.Again == "" {
			done(fmt.Sprintf("issued generation %d", n.rec.Current))
		}
	case RequestEmergency, RequestRevoke:
		switch {
		case !e.carries(q.ID): // a journal that was set back
			done("over")
		case !e.open():
			done(e.Outcome)
		}
	case RequestRestore:
		if !n.rec.spares(q.ID) {
			done("over")
		}
	case RequestDeactivate:
		n.closeDeactivate(done)
	default:
		if !n.endPauses(q) {
			done("applied")
		}
	}
}

// endPauses closes the slot's own pauses from before a resume, and only then the
// resume itself. A pause of a wider scope is ended for all its slots at once, by
// EndPauses.
func (n *pass) endPauses(resume Request) (some bool) {
	for _, q := range n.obs.Requests {
		if q.Kind == RequestPause && q.Slot == n.rec.Slot && q.ID < resume.ID {
			n.first = append(n.first, CloseRequest{Request: q.ID, Outcome: resumedBy(resume.Actor)})
			some = true
		}
	}
	return some
}

func resumedBy(actor string) string { return "resumed by " + actor }

// stopped reports whether a pause keeps a machine from acting, or that the slot
// isn't declared any more. An operator's other words are carried out all the same.
func (n *pass) stopped(m machine) bool {
	if n.pol.Removed && (m != retiring || !n.parts()) {
		n.wait(m, time.Time{}, NotDeclared)
		return true
	}
	if n.pause == nil || n.hurry {
		return false
	}
	n.wait(m, time.Time{}, Paused)
	return true
}

// outOfUse is the outcome of a request to deactivate that was carried out.
const outOfUse = "the account is out of use"

// Deactivated reports whether a request to deactivate was carried out.
func (q Request) Deactivated() bool {
	return q.Kind == RequestDeactivate && !q.ClosedAt.IsZero() && q.Outcome == outOfUse
}

// closeDeactivate closes the request when the account is out of use, or Qualytics
// won't do it.
func (n *pass) closeDeactivate(done func(outcome string)) {
	switch {
	case !n.haveAccount(time.Time{}):
	case n.obs.Account.Deactivating:
		n.wait(issuing, n.obs.Account.RetryAt, AccountDeactivated)
	case n.obs.Account.Blocked == AccountDeactivated || n.obs.Account.Blocked == AccountGone:
		done(outOfUse)
	default:
		done("Qualytics didn't deactivate the account; a person has to")
	}
}
