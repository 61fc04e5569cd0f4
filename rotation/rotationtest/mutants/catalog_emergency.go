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
		Edits: []edit{{"rotation/hasten.go", `!known || rec.State == Behind {`, `!known && rec.State == Behind {`},
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
		Name: "found-and-older-is-condemned", Rule: "a token of the slot that comes to light only now goes too, if it is older",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/emergency.go", `created.Before(e.At) && g.Number`, `created.IsZero() && g.Number`}},
		Package: "rotation", Test: "TestAlarmGivesTheIntentUp",
		InWorlds: true,
	},
	{
		Name: "emergency-gives-the-intent-up", Rule: "a token of an order from before is older, and goes too",
		Where: emergencyPage,
		Edits: []edit{{"rotation/emergency.go", `		r.giveUpIntent(a.Posted)
`, ``}},
		Package: "rotation", Test: "TestAlarmGivesTheIntentUp",
		Beyond: "it takes an order whose answer is lost just before an emergency: too rare there",
	},
	{
		Name: "emergency-kills-the-unclaimed", Rule: "a token under the slot's label goes too, though this journal didn't issue it",
		Where: emergencyPage,
		Edits: []edit{{"rotation/emergency.go", `	if !g.counts(time.Time{}) {
		return
	}`, `	if !g.counts(time.Time{}) || !g.Claimed {
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
		Name: "deadline-by-the-apis-time", Rule: "a deadline that a wrong clock set is reckoned anew when the API's answer puts it right",
		Where:   emergencyPage,
		Edits:   []edit{{"rotation/hasten.go", `n.now.Add(clockSlack).Before(e.At) {`, `false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyWithAWrongClock",
		Beyond: "it takes a clock that is ahead at that very commit, and a target that is away: too rare there",
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
		Edits:   []edit{{"rotation/hasten.go", `!n.haveList(earlier(e.lastAct(), n.now))`, `n.obs.Tokens == nil`}},
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
		Beyond: "their pauses end with their trouble at the latest",
	},
	{
		Name: "emergency-on-a-paused-slot", Rule: "an emergency is carried out on a paused slot",
		Where:   "docs/decisions/orders.md",
		Edits:   []edit{{"rotation/orders.go", `if n.pause == nil || n.hurry {`, `if n.pause == nil {`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyOnAPausedSlot",
		Beyond: "the leaked token is revoked at the deadline all the same, and a slot that is paused may stay bare",
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
		Name: "removed-slot-rests", Rule: "at a slot that isn't declared nothing is issued, delivered, revoked or deleted unasked",
		Where:   "docs/decisions/removed.md",
		Edits:   []edit{{"rotation/orders.go", `if n.pol.Removed && (m != retiring || !n.parts()) {`, `if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleOrdersOnARemovedSlot",
		Beyond: "their slots stay declared",
	},
	{
		Name: "removed-slot-is-out-of-sight", Rule: "while a slot isn't declared each of its tokens counts as served",
		Where:   "docs/decisions/removed.md",
		Edits:   []edit{{"rotation/retire.go", `if n.pol.Removed {`, `if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleRemoved",
		Beyond: "their slots stay declared",
	},
	{
		Name: "emergency-on-a-removed-slot", Rule: "an emergency at a slot that isn't declared revokes at once, and issues nothing",
		Where: "docs/decisions/removed.md",
		Edits: []edit{{"rotation/emergency.go", `Only: revoke || a.Removed,`, `Only: revoke,`},
			{"rotation/hasten.go", `case n.pol.Removed:`, `case false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergencyOnARemovedSlot",
		Beyond: "their slots stay declared",
	},
	{
		Name: "leaked-versions-go", Rule: "in an emergency old versions go from each store that can remove one",
		Where:   "docs/decisions/old-versions.md",
		Edits:   []edit{{"rotation/oldversions.go", `(g.Condemned || t.Backend`, `(t.Backend`}},
		Package: "rotation/rotationtest", Test: "TestRuleEmergency",
		Beyond: "an old version holds a dead token: that it lies there breaks no promise",
	},
}
