package main

// parting are the rules of how a slot is retired that left the declaration.
var parting = []mutant{
	{
		Name: "parting-has-a-grace", Rule: "the tokens of a slot that left to be retired end by what was declared last",
		Where:   "docs/decisions/on-remove.md",
		Edits:   []edit{{"rotation/next.go", `last.Schedule = rec.Parting.schedule()`, ``}},
		Package: "rotation/rotationtest", Test: "TestRuleParting",
		Beyond: "their slots stay declared",
	},
	{
		Name: "parting-waits-for-its-heirs", Rule: "a token lives until the slot that has its place now serves its own there",
		Where:   "docs/decisions/on-remove.md",
		Edits:   []edit{{"rotation/retire.go", `return !n.parts() || n.obs.Unhanded != ""`, `return !n.parts()`}},
		Package: "rotation/rotationtest", Test: "TestRulePartingWaitsForHeirs",
		Beyond: "their slots stay declared",
	},
	{
		Name: "parting-by-the-last-word", Rule: "what was declared last for the time after is journaled, also that nothing is to be done",
		Where:   "docs/decisions/on-remove.md",
		Edits:   []edit{{"rotation/parting.go", `!same(n.rec.Parting, want):`, `n.rec.Parting == nil && want != nil:`}},
		Package: "rotation/rotationtest", Test: "TestRuleTheLastWordOfTheDeclarationCounts",
		Beyond: "their slots stay declared",
	},
	{
		Name: "own-is-never-parted", Rule: "the agent's own credential is kept, whatever is declared",
		Where:   "docs/decisions/on-remove.md",
		Edits:   []edit{{"rotation/parting.go", `!p.RetireRemoved || p.Own`, `!p.RetireRemoved`}},
		Package: "rotation/rotationtest", Test: "TestRuleTheAgentsOwnIsKept",
		Beyond: "none of their slots keeps the agent's own credential",
	},
}
