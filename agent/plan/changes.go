package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// accountChange is the change that an account's event tells of, if it tells of
// one.
func accountChange(e rotation.Event, spec rotation.AccountSpec) (Change, bool) {
	c := Change{Account: e.Account, Reason: e.Reason, Detail: spec.Role}
	if len(spec.Teams) > 0 {
		c.Detail += "; " + strings.Join(spec.Teams, ", ")
	}
	switch {
	case e.Act == rotation.ActCreatedAccount:
		c.Act = CreateAccount
	case e.Act == rotation.ActUpdatedAccount && e.Reason == rotation.DeclarationChanged:
		c.Act = UpdateAccount // without the reason it is as declared already
	default:
		return Change{}, false
	}
	return c, true
}

// slotChange is the change that a slot's event tells of, if it tells of one.
// found is why each target was seen to be as it is.
func slotChange(e rotation.Event, rec rotation.Record, found map[string]rotation.Reason) (Change, bool) {
	c := Change{Slot: e.Slot, Generation: e.Generation, TokenID: max(e.TokenID, 0), Target: e.Target, Reason: e.Reason}
	switch e.Act {
	case rotation.ActIssued:
		c.Act = Issue
	case rotation.ActDelivered:
		c.Act, c.Reason = Deliver, found[e.Target]
	case rotation.ActRevoked:
		c.Act = Revoke
	case rotation.ActDeleted:
		c.Act = Delete
	case rotation.ActForgotTarget:
		c.Act = DropTarget
		c.TokenID = max(tokenID(rec, e.Generation), 0)
		c.Detail = "no token of this slot stands there"
		if c.TokenID != 0 {
			c.Detail = fmt.Sprintf("token %d stands there, and dies there once it is replaced", c.TokenID)
		}
	default:
		return Change{}, false
	}
	return c, true
}

func tokenID(rec rotation.Record, generation uint64) int64 {
	for _, g := range rec.Generations {
		if g.Number == generation {
			return g.TokenID
		}
	}
	return 0
}

// stages are the acts on a slot in the order in which they are told. The engine
// does some of them at the same time.
var stages = []Act{DropTarget, Issue, Deliver, Revoke, Delete}

func byStage(a, b Change) int {
	return cmp.Or(cmp.Compare(slices.Index(stages, a.Act), slices.Index(stages, b.Act)),
		cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Target, b.Target))
}

// waits tells what of a slot is left for later.
func waits(pol rotation.Policy, outcome rotation.Outcome) []Wait {
	var all []Wait
	var account rotation.AccountRecord
	if outcome.Account != nil {
		account.Blocked = outcome.Account.Blocked
	}
	status := rotation.Describe(outcome.Record, account, pol)
	switch {
	case status.State == rotation.SlotBlocked:
		all = append(all, Wait{Slot: pol.Slot, Reason: status.Reason})
	case outcome.BadRow != nil: // a person ends it, no time
		all = append(all, Wait{Slot: pol.Slot, Reason: outcome.Reason})
	case !OfOldTokens(outcome.Reason):
		all = append(all, Wait{Slot: pol.Slot, Reason: outcome.Reason, Until: moment(outcome.NextAt)})
	}
	for _, t := range status.Targets {
		if _, seen := outcome.Record.Targets[t.Backend+"/"+t.Path]; seen && t.State != rotation.InStep {
			all = append(all, Wait{Slot: pol.Slot, Act: Deliver, Target: t.Backend + "/" + t.Path, Reason: t.Reason, Until: t.RetryAt})
		}
	}
	for _, r := range status.Retired {
		w := Wait{Slot: pol.Slot, Act: Revoke, Generation: r.Generation, TokenID: max(r.TokenID, 0), Reason: r.Reason, Until: r.Until}
		switch r.State {
		case rotation.Observing, rotation.Deleting:
			w.Act, w.Reason = Delete, rotation.ObserveRunning
		case rotation.Waiting:
			w.Reason, w.Until = rotation.StillServed, nil
		}
		all = append(all, w)
	}
	return all
}

// ofOldTokens are the reasons for which a pass waits with a retired token, or
// with nothing.
var ofOldTokens = []rotation.Reason{rotation.AtRest, rotation.StillServed, rotation.GraceRunning, rotation.StillUsed,
	rotation.ObserveRunning, rotation.FoundUnclaimed}

// OfOldTokens reports whether a pass that ended for this reason says nothing of
// the current token: it waits with a retired one, or has nothing to do.
func OfOldTokens(why rotation.Reason) bool { return slices.Contains(ofOldTokens, why) }

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
