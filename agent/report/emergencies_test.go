package report_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// Slot is one record, as Slots yields it.
func (r *records) Slot(_ context.Context, slot string) (rotation.Record, error) {
	if bad := r.badSlots[slot]; bad != nil {
		return rotation.Record{Slot: slot}, bad
	}
	rec, ok := r.slots[slot]
	if !ok {
		return rec, rotation.ErrNoRecord
	}
	return rec, r.failSlot
}

// leaked is a slot in an emergency that is open, or over.
func leaked(slot string, over bool) rotation.Record {
	rec := settled(slot, "local/a")
	rec.Emergency = &rotation.Emergency{Requests: []int64{7}, At: now.Add(-time.Second), Deadline: now.Add(29 * time.Second)}
	if over {
		rec.Emergency.DoneAt, rec.Emergency.Outcome = now, "revoked 1 tokens"
	}
	return rec
}

// The status tells an emergency as long as it is open.
func TestBuildTellsOpenEmergencies(t *testing.T) {
	for _, over := range []bool{false, true} {
		src, journal := source()
		slot := src.Policies[0].Slot
		journal.slots[slot] = leaked(slot, over)
		doc, err := report.Build(t.Context(), src, now)
		if err != nil {
			t.Fatal(err)
		}
		if e := doc.Slots[0].Emergency; (e == nil) != over || e != nil && !e.Carries(7) {
			t.Errorf("over is %v: %+v is told", over, e)
		}
	}
}

func TestBuildEmergencies(t *testing.T) {
	journal := &records{slots: map[string]rotation.Record{}, badSlots: map[string]*rotation.BadRow{}}
	var policies []rotation.Policy
	for _, token := range []string{"open", "over", "calm", "new", "bad"} {
		policies = append(policies, policy("a@service", token, "local/a"))
	}
	for i, rec := range []rotation.Record{leaked(policies[0].Slot, false), leaked(policies[1].Slot, true), settled(policies[2].Slot, "local/a")} {
		journal.slots[policies[i].Slot] = rec
	}
	journal.badSlots[policies[4].Slot] = &rotation.BadRow{Table: "slots", Err: errors.New("nonsense")}
	got, err := report.BuildEmergencies(t.Context(), journal, policies, now)
	if err != nil || !got.Now.Equal(now) || len(got.Emergencies) != 2 {
		t.Fatalf("%+v, %v; want two", got, err)
	}
	for i, over := range []bool{false, true} {
		if e := got.Emergencies[i]; e.Slot != policies[i].Slot || e.Over != over || e.Left() != 0 {
			t.Errorf("%d: %+v", i, e)
		}
	}
	journal.failSlot = errors.New("no disk")
	if got, err := report.BuildEmergencies(t.Context(), journal, policies, now); err == nil {
		t.Errorf("the journal can't be read, and %+v is told", got)
	}
}

// A slot that waits for a person is told so, whether it is blocked itself or its
// account is: nobody waits for its targets then.
func TestBuildEmergenciesOfABlockedAccount(t *testing.T) {
	p := policy("a@service", "nightly", "local/a")
	journal := &records{slots: map[string]rotation.Record{p.Slot: leaked(p.Slot, true)},
		accounts: map[string]rotation.AccountRecord{p.AccountID: {ID: p.AccountID, Blocked: rotation.AccountDeactivated}}}
	for own, want := range map[rotation.Reason]rotation.Reason{"": rotation.AccountDeactivated, rotation.IssueRefused: rotation.IssueRefused} {
		rec := journal.slots[p.Slot]
		rec.Blocked = own
		journal.slots[p.Slot] = rec
		got, err := report.BuildEmergencies(t.Context(), journal, []rotation.Policy{p}, now)
		if err != nil || len(got.Emergencies) != 1 || got.Emergencies[0].Blocked != want {
			t.Errorf("blocked %q: %+v, %v; want %s", own, got, err, want)
		}
	}
	journal.failAccount = errors.New("no disk")
	journal.slots[p.Slot] = leaked(p.Slot, true)
	if got, err := report.BuildEmergencies(t.Context(), journal, []rotation.Policy{p}, now); err == nil {
		t.Errorf("the journal can't be read, and %+v is told", got)
	}
}
