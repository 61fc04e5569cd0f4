package plan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/rotation"
)

func everything() plan.Plan {
	until := time.Date(2026, 12, 1, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	return plan.Plan{
		Summary: plan.Summary{CreateAccounts: 1, UpdateAccounts: 1, Issues: 2, Deliveries: 1, Deletions: 1, DroppedTargets: 1},
		Changes: []plan.Change{
			{Act: plan.CreateAccount, Account: pipeline, Detail: "Editor; Data Engineering"},
			{Act: plan.UpdateAccount, Account: "quality_gate@service", Detail: "Member"},
			{Act: plan.Issue, Slot: nightly, Generation: 1, Reason: rotation.NeverIssued},
			{Act: plan.Deliver, Slot: nightly, Generation: 1, Target: "vault/ci", Reason: rotation.TargetNew},
			{Act: plan.Deliver, Slot: nightly, Generation: 2, Target: "vault/ci"},
			{Act: plan.Revoke, Slot: nightly, Generation: 1, TokenID: 12, Reason: rotation.Retired},
			{Act: plan.Delete, Slot: nightly, Generation: 1, TokenID: 12, Reason: rotation.Retired},
			{Act: plan.DropTarget, Slot: nightly, Target: "vault/old", Detail: "no token of this slot stands there"},
		},
		Waits: []plan.Wait{
			{Slot: hourly, Reason: rotation.NoTargetReady, Until: &until},
			{Slot: hourly, Act: plan.Deliver, Target: "azure/ci", Reason: rotation.TargetHoldsForeign},
			{Slot: hourly, Act: plan.Revoke, Generation: 3, TokenID: 14, Reason: rotation.GraceRunning, Until: &until},
		},
	}
}

func TestWrite(t *testing.T) {
	var out strings.Builder
	if err := plan.Write(&out, everything()); err != nil {
		t.Fatal(err)
	}
	want := `+ create account pipeline_automation@service (Editor; Data Engineering)
~ update account quality_gate@service (Member)
+ issue pipeline_automation@service/nightly g1 (never_issued)
> deliver vault/ci, g1 of pipeline_automation@service/nightly (target_new)
> deliver vault/ci, g2 of pipeline_automation@service/nightly
- revoke pipeline_automation@service/nightly g1, token 12 (retired)
- delete pipeline_automation@service/nightly g1, token 12 (retired)
! drop target vault/old of pipeline_automation@service/nightly: no token of this slot stands there

. wait pipeline_automation@service/hourly: no_target_ready, not before 2026-12-01T11:00:00Z
. wait pipeline_automation@service/hourly, target azure/ci: target_holds_foreign_value
. later revoke pipeline_automation@service/hourly g3, token 14: grace_running, not before 2026-12-01T11:00:00Z

Plan: 1 account to create, 1 account to update, 2 tokens to issue, 1 delivery, 0 revocations, 1 deletion, 1 target dropped.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSummary(t *testing.T) {
	for want, s := range map[string]plan.Summary{
		"No changes.": {},
		"Plan: 1 account to create, 2 tokens to issue, 3 deliveries, 0 revocations.": {CreateAccounts: 1, Issues: 2, Deliveries: 3},
		"Plan: 0 accounts to create, 0 tokens to issue, 0 deliveries, 1 revocation.": {Revocations: 1},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	var out strings.Builder
	if err := plan.Write(&out, plan.Plan{}); err != nil || out.String() != "No changes.\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFailsAsItsWriter(t *testing.T) {
	if err := plan.Write(full{}, everything()); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

// TestJSON holds the keys that programs read.
func TestJSON(t *testing.T) {
	text, err := json.Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"summary":{"create_accounts":1,"update_accounts":1,"issues":2,"deliveries":1,"revocations":0,"deletions":1,"dropped_targets":1}`,
		`{"act":"issue","account":"","slot":"pipeline_automation@service/nightly","generation":1,"reason":"never_issued"}`,
		`{"slot":"pipeline_automation@service/hourly","act":"deliver","target":"azure/ci","reason":"target_holds_foreign_value","until":null}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	var back plan.Plan
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Error(diff)
	}
}
