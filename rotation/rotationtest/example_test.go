package rotationtest_test

import (
	"context"
	"fmt"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// One pass brings a declared slot from nothing to rest: the account is made, a
// token is issued, proved, put and read back.
func Example() {
	format, err := payload.New(payload.Spec{Format: "token", BackendType: "mem", Path: "ci/token"})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := mem.New(mem.LikeVault())
	target := &backends.Target{Ref: backends.Ref{Backend: "vault", Path: "ci/token"}, Backend: store.Backend(), Format: format}
	account := rotation.AccountID("Pipeline Automation")
	slot := rotation.Declared{
		Targets: []*backends.Target{target},
		Policy: rotation.Policy{
			Slot: rotation.Slot(account, "ci"), Token: "ci", AgentID: "acme", AccountID: account,
			Account:  rotation.AccountSpec{Name: "Pipeline Automation", Role: "Editor"},
			Schedule: rotation.Schedule{Lifetime: 90 * rotation.Day, Every: 60 * rotation.Day, Grace: rotation.Day, Observe: rotation.Day},
			Targets:  []rotation.TargetPolicy{{Key: target.Key()}}, DriftCheck: rotation.Day, Sweep: rotation.Day,
		},
	}
	api := rotationtest.NewAPI()
	engine := rotation.New(rotation.Options{Issuer: api, Journal: rotationtest.NewMemory(), Process: "first",
		OnEvent: func(e rotation.Event) { fmt.Println(e.Act) }})
	outcome, err := engine.Pass(context.Background(), slot)
	if err != nil {
		fmt.Println(err)
		return
	}
	served, _ := api.ByValue(store.Peek("ci/token"))
	fmt.Println("settled:", outcome.Settled(), "serves:", served.Label)
	// Output:
	// rebuilt
	// creating_account
	// created_account
	// seen
	// intended
	// issued
	// proved
	// sending
	// delivered
	// settled: true serves: ci.acme.g1
}
