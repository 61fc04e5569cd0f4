package main

const emergencyPage = "docs/decisions/emergency.md"

// emergencies are the rules of an operator's emergency.
var emergencies = []mutant{
	{
		Name: "emergency-revokes", Rule: "what leaked is revoked when every target serves another token, without a grace",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/hasten.go", `n.deed(Revoke{Generation: g.Number, Condemned: true})`, `n.wait(retiring, n.now.Add(n.pol.Sweep), BackOff)`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergency",
		InWorlds: true,
	},
	{
		Name: "emergency-waits-for-its-targets", Rule: "before the deadline what leaked is revoked only when every target serves the new token",
		Where: emergencyPage,
		Edits: []edit{{"rotation/hasten.go", `!known || rec.State == Behind {`, `!known {`},
			{"rotation/hasten.go", `case n.rec.Lost != "", n.rec.current() == nil:`, `case n.rec.current() == nil:`}},
		Package: "rotation", Test: "TestNextGoesTheRoadOfAnEmergency",
		InWorlds: true,
	},
	{
		Name: "emergency-has-a-deadline", Rule: "after the deadline what leaked is revoked, whatever its targets serve",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/hasten.go", `e.RevokeFirst, e.Only, e.Foreign, !n.now.Before(e.Deadline):`, `e.RevokeFirst, e.Only, e.Foreign:`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyHasADeadline",
		InWorlds: true,
	},
	{
		Name: "emergency-before-looks", Rule: "an emergency is taken up before anything is looked at",
		Where: emergencyPage,
		Edits: []edit{{"rotation/next.go", `[][]Action{n.first, n.looks, n.notes, n.deeds}`, `[][]Action{n.looks, n.first, n.notes, n.deeds}`},
			{"rotation/next.go", `n.requests(); len(n.first) == 0 && !n.hasten() {`, `n.requests(); !n.hasten() {`}},
		Package: "rotation", Test: "TestNextTakesAnEmergencyUp",
		Beyond: "it is a matter of seconds, and their bound is minutes",
	},
	{
		Name: "condemned-is-journaled", Rule: "all that may live and is older is condemned, up to the highest number, whenever it comes to light",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/emergency.go", `r.Condemned = r.High`, `r.Condemned = 0`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyKillsWhatComesToLight",
		InWorlds: true,
	},
	{
		Name: "emergency-gives-the-intent-up", Rule: "a token of an order from before is older, and goes too",
		Where: emergencyPage,
		Edits: []edit{{"rotation/emergency.go", `		r.giveUpIntent(a.Posted)
`, ``}},
		Package: "rotation", Test: "TestAlarmGivesTheIntentUp",
		InWorlds: true,
	},
	{
		Name: "emergency-kills-the-unclaimed", Rule: "a token under the slot's label goes too, though this journal didn't issue it",
		Where: emergencyPage,
		Edits: []edit{{"rotation/emergency.go", `	if !g.counts(now) {
		return
	}`, `	if !g.counts(now) || !g.Claimed {
		return
	}`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyKillsTheUnclaimed",
		InWorlds: true,
	},
	{
		Name: "emergency-joins", Rule: "a second emergency joins the one that is open",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/emergency.go", `	if r.Emergency.open() { // the same was asked for again`, `	if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyTwice",
		Beyond: "a rotation too many is no broken promise",
	},
	{
		Name: "foreign-token-by-a-list", Rule: "a named token that isn't the slot's has to be listed on its account",
		Where: emergencyPage,
		Edits: []edit{{"rotation/hasten.go", `case t == nil:
		n.note(Finish`, `case t == nil && false:
		n.note(Finish`}, {"rotation/hasten.go", `case !t.Active:`, `case t != nil && !t.Active:`}},
		Package: "rotation", Test: "TestNextRevokesTheNamedToken",
		Beyond: "their operators name tokens of the account alone",
	},
	{
		Name: "emergency-cuts-off", Rule: "a pass that waits for a store makes room for an emergency",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/rested.go", `cut != nil && q.Kind.Urgent() {`, `cut != nil && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyOvertakes",
		Beyond: "it is a matter of a minute, and so is their bound",
	},
	{
		Name: "emergency-ends-by-a-list", Rule: "an emergency ends by a list from after its last act",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/hasten.go", `!n.haveList(e.lastAct())`, `n.obs.Tokens == nil`}},
		Package: "rotation", Test: "TestNextEndsAnEmergency",
		Beyond: "what comes to light later is revoked then",
	},
	{
		Name: "pause-stops", Rule: "a paused slot issues nothing, delivers nothing, revokes nothing",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/orders.go", `if n.pause == nil || n.hurry {`, `if n.pause == nil || true {`}},
		Package: "rotation/rotationtest", Test: "TestRulePaused",
		InWorlds: true,
	},
	{
		Name: "pause-ends-by-a-resume", Rule: "a resume ends its slot's own pauses from before",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/orders.go", `q.Slot == n.rec.Slot && q.ID < resume.ID {`, `q.Slot == n.rec.Slot && q.ID < 0 {`}},
		Package: "rotation/rotationtest", Test: "TestRuleResumeEndsTheSlotsPauses",
		InWorlds: true,
	},
	{
		Name: "emergency-on-a-paused-slot", Rule: "an emergency is carried out on a paused slot",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/orders.go", `if n.pause == nil || n.hurry {`, `if n.pause == nil {`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyOnAPausedSlot",
		InWorlds: true,
	},
	{
		Name: "revoke-issues-nothing", Rule: "what is revoked on request isn't replaced before a person says so",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/emergency.go", `r.Blocked = RevokedOnRequest`, `r.Blocked = ""`}},
		Package: "rotation/rotationtest", Test: "TestRuleRevoke",
		Beyond: "their operators revoke in an emergency alone",
	},
	{
		Name: "restore-is-journaled", Rule: "a token that is to be restored is restored, and no emergency kills it again",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/restore.go", `g.Restore, g.Condemned = a.Request, false`, `g.Restore = a.Request`}},
		Package: "rotation/rotationtest", Test: "TestRuleRestoreAfterAnEmergency",
		Beyond: "that a token dies is no broken promise in an emergency",
	},
	{
		Name: "deactivate-is-not-believed", Rule: "that an account is out of use, its list tells",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/deactivate.go", `case rec.Attempts >= maxDeactivate:`, `case false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleDeactivateThatDoesNothing",
		Beyond: "their operators don't deactivate",
	},
	{
		Name: "leaked-versions-go", Rule: "in an emergency old versions go from each store that can remove one",
		Where:   "docs/decisions/old-versions.md",
		Edits:   []edit{{"rotation/oldversions.go", `(g.Condemned || t.Backend`, `(t.Backend`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergency",
		Beyond: "an old version holds a dead token: that it lies there breaks no promise",
	},
}
