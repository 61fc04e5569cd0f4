package main

// noOwnSlot is why no world misses what guards the agent's own credential.
const noOwnSlot = "none of their slots keeps the agent's own credential; the agent's own tests rotate that against the simulator"

// own are the rules of a slot whose token the agent itself works with.
var own = []mutant{
	{
		Name: "own-grace-waits-for-the-agent", Rule: "the grace of the agent's own credential begins when the agent works with the newer one",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/retire.go", `if !n.needless(g.Number, n.pol.Sweep) {`, `if false {`}},
		Package: "rotation", Test: "TestNextCountsTheAgentAsAReader", Beyond: noOwnSlot,
	},
	{
		Name: "own-at-the-gate", Rule: "the gate asks whether the agent still works with the newer one",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/retire.go", `if yes, asked := n.takenUp(g.Number); !yes {`, `if yes, asked := true, true; !yes {`}},
		Package: "rotation", Test: "TestNextCountsTheAgentAsAReader", Beyond: noOwnSlot,
	},
	{
		Name: "own-current-alone", Rule: "the agent has to work with the current token, not just with any other",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/own.go", `return own.Works == current.Fingerprint, true`, `return own.Works != "", true`}},
		Package: "rotation", Test: "TestNextCountsTheAgentAsAReader", Beyond: noOwnSlot,
	},
	{
		Name: "own-once-more-before-the-call", Rule: "the agent is asked once more right before its older credential is revoked",
		Where: "docs/decisions/self.md",
		Edits: []edit{{"rotation/own.go", `	w.obs.Own = nil
	return false`, `	w.obs.Own = nil
	return true`}},
		Package: "rotation", Test: "TestOwnIsAskedOnceMoreBeforeTheCall", Beyond: noOwnSlot,
	},
	{
		Name: "own-in-an-emergency", Rule: "an emergency doesn't kill what the agent works with before something took its place",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/hasten.go", `case !n.needless(g.Number, longestHurry):`, `case false:`}},
		Package: "rotation", Test: "TestNextKeepsAnEmergencyFromLockingTheAgentOut", Beyond: noOwnSlot,
	},
	{
		Name: "own-foreign-in-an-emergency", Rule: "a token of the agent's account that isn't the slot's may be the one that it works with",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/hasten.go", `case !n.needless(0, longestHurry):`, `case false:`}},
		Package: "rotation", Test: "TestNextKeepsAnEmergencyFromLockingTheAgentOut", Beyond: noOwnSlot,
	},
	{
		Name: "own-is-not-locked-out-on-request", Rule: "an operator's word that would lock the agent out is declined",
		Where:   "docs/decisions/self.md",
		Edits:   []edit{{"rotation/orders.go", `if n.locksOut(q) {`, `if false {`}},
		Package: "rotation", Test: "TestNextDeclinesWhatLocksTheAgentOut", Beyond: noOwnSlot,
	},
}
