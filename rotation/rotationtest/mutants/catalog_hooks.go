package main

// hooks are the rules of telling others.
var hooks = []mutant{
	{
		Name: "required-hook-before-revoke", Rule: "no older token is revoked while a required hook is owed at a target",
		Where:   "docs/decisions/hooks.md",
		Edits:   []edit{{"rotation/retire.go", `n.untold() ||`, ``}},
		Package: "rotation/rotationtest", Test: "TestRuleRequiredHookHoldsTheOldToken",
		Beyond: "they declare no hooks",
	},
	{
		Name: "other-hooks-hold-nothing", Rule: "a hook that isn't required holds no revocation",
		Where:   "docs/decisions/hooks.md",
		Edits:   []edit{{"rotation/hooks.go", `return known && hook.Required`, `return known && hook.Name != ""`}},
		Package: "rotation/rotationtest", Test: "TestRuleAHookThatIsNotRequiredDelaysNothing",
		Beyond: "they declare no hooks",
	},
	{
		Name: "emergency-waits-for-no-hook", Rule: "an emergency waits for no hook",
		Where:   "docs/decisions/hooks.md",
		Edits:   []edit{{"rotation/hasten.go", `!known || rec.State == Behind {`, `!known || rec.State == Behind || n.rec.owesRequired(n.pol, t.Key) {`}},
		Package: "rotation/rotationtest", Test: "TestRuleAnEmergencyDoesNotWaitForAHook",
		Beyond: "they declare no hooks",
	},
	{
		Name: "hooks-are-owed-before-they-run", Rule: "that a hook is owed is journaled with the change that it tells of",
		Where:   "docs/decisions/hooks.md",
		Edits:   []edit{{"rotation/work.go", `		r.oweDelivery(a.Target, before, w.pol, now)` + "\n", ``}, {"rotation/work.go", `		before := r.Targets[a.Target]` + "\n", ``}},
		Package: "rotation/rotationtest", Test: "TestRuleHooksSurviveACrash",
		Beyond: "they declare no hooks",
	},
	{
		Name: "hooks-run-again-after-a-heal", Rule: "a run that began before a token was delivered again doesn't count",
		Where:   "docs/decisions/hooks.md",
		Edits:   []edit{{"rotation/hooks.go", `seen.Ended && seen.Revision > o.Revision:`, `seen.Ended:`}},
		Package: "rotation", Test: "TestNextTellsOthers",
		Beyond: "they declare no hooks",
	},
}
