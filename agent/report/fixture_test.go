package report_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// now is the moment of all documents here.
var now = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *time.Time {
	t := now.Add(d)
	return &t
}

const day = 24 * time.Hour

// records is a journal that is only read.
type records struct {
	slots                 map[string]rotation.Record
	accounts              map[string]rotation.AccountRecord
	failSlot, failAccount error
	// badSlots and badAccounts are those that can't be read.
	badSlots, badAccounts map[string]*rotation.BadRow
	asked                 []string
	open                  []rotation.Request
	failOpen              error
}

func (r *records) OpenRequests(context.Context) ([]rotation.Request, error) {
	return r.open, r.failOpen
}

func (r *records) Slots(context.Context) iter.Seq2[rotation.Record, error] {
	return func(yield func(rotation.Record, error) bool) {
		for _, slot := range slices.Sorted(maps.Keys(r.slots)) {
			rec, err := r.slots[slot], r.failSlot
			if bad := r.badSlots[slot]; bad != nil {
				rec, err = rotation.Record{Slot: slot}, fmt.Errorf("list slots: %w", bad)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

func (r *records) Account(_ context.Context, id string) (rotation.AccountRecord, error) {
	r.asked = append(r.asked, id)
	if r.failAccount != nil {
		return rotation.AccountRecord{}, r.failAccount
	}
	if bad := r.badAccounts[id]; bad != nil {
		return rotation.AccountRecord{ID: id}, fmt.Errorf("read account: %w", bad)
	}
	rec, ok := r.accounts[id]
	if !ok {
		return rotation.AccountRecord{}, rotation.ErrNoRecord
	}
	return rec, nil
}

func policy(account, token string, targets ...string) rotation.Policy {
	p := rotation.Policy{Slot: rotation.Slot(account, token), AccountID: account, Token: token, AgentID: "acme-prod",
		Schedule: rotation.Schedule{Lifetime: 365 * day, Every: 335 * day, Grace: 7 * day, Hold: 7 * day, Observe: 7 * day}}
	for _, key := range targets {
		p.Targets = append(p.Targets, rotation.TargetPolicy{Key: key})
	}
	return p
}

// settled is the record of a slot whose third token is served, whose second is
// in its grace, and under whose label an unclaimed one was found.
func settled(slot, target string) rotation.Record {
	return rotation.Record{Slot: slot, Revision: 9, High: 4, Current: 3, DueAt: now.Add(90 * day),
		Generations: []rotation.Generation{
			{Number: 2, TokenID: 455, State: rotation.Grace, Claimed: true, Reason: rotation.Superseded, RevokeAfter: now.Add(2 * day)},
			{Number: 3, TokenID: 456, State: rotation.Live, Claimed: true, Reason: rotation.Age,
				IssuedAt: now.Add(-day), Expires: now.Add(364 * day)},
			{Number: 4, TokenID: 457, State: rotation.Unclaimed, Reason: rotation.FoundUnclaimed, Expires: now.Add(30 * day)},
		},
		Targets: map[string]rotation.TargetRecord{
			target: {State: rotation.InStep, Reason: rotation.TargetServes, Serves: 3, Since: now.Add(-day)},
		}}
}
