package rotation_test

import (
	"fmt"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Next is asked again after each answer is carried out, until it waits.
func ExampleNext() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pol := rotation.Policy{Slot: "ci@service/ci", AccountID: "ci@service", Token: "ci", AgentID: "acme",
		Targets: []rotation.TargetPolicy{{Key: "vault/ci"}}, DriftCheck: time.Hour, Sweep: time.Hour}
	rec := rotation.Record{Slot: pol.Slot, Revision: 1}
	obs := rotation.Observation{Began: now, Account: &rotation.AccountSeen{At: now, UserID: 7},
		Tokens: &rotation.TokensSeen{At: now}}

	actions, reason := rotation.Next(rec, obs, pol, now)
	fmt.Printf("%T%+v %s\n", actions[0], actions[0], reason)

	obs.Targets = map[string]rotation.TargetSeen{"vault/ci": {At: now, Failed: rotation.TargetUnreachable, RetryAt: now.Add(time.Second)}}
	actions, reason = rotation.Next(rec, obs, pol, now)
	fmt.Printf("%T%+v %s\n", actions[0], actions[0], reason)
	// Output:
	// rotation.Read{Target:vault/ci} at_rest
	// rotation.Wait{Until:2026-01-01 00:00:01 +0000 UTC} target_unreachable
}

func ExampleLabel() {
	label := rotation.Label("pipeline-production", "acme-prod", 7)
	generation, ours := rotation.ParseLabel(label, "pipeline-production", "acme-prod")
	fmt.Println(label, generation, ours)
	_, ours = rotation.ParseLabel(label, "pipeline-production", "other-agent")
	fmt.Println(ours)
	// Output:
	// pipeline-production.acme-prod.g7 7 true
	// false
}

func ExampleAccountID() {
	fmt.Println(rotation.AccountID("Pipeline Automation"))
	// Output: pipeline_automation@service
}
