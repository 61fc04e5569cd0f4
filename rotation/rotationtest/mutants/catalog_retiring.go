package main

// retiring are the rules of how an old token is brought to its end.
var retiring = []mutant{
	{
		Name: "grace", Rule: "a token lives for the grace after it was last seen served",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `end := n.now.Add(n.pol.Schedule.Grace)`, `end := n.now`}},
		Package: "rotation", Test: "TestNextGivesGrace",
		InWorlds: true,
	},
	{
		Name: "grace-for-ghosts", Rule: "a token whose value nobody has is given the grace too: a late write may still land",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `end := n.now.Add(n.pol.Schedule.Grace)`, `end := n.now.Add(n.pol.Schedule.Grace)
		if g.Reason == Ghost {
			end = n.now
		}`}},
		Package: "rotation/rotationtest/mutants", Test: "TestRuleGraceForGhosts",
		InWorlds: true,
	},
	{
		Name: "grace-for-what-was-lost", Rule: "a token whose value was lost is given the grace too: a late write may still land",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/transitions.go", `			g.Reason, g.Attempts, g.RetryAt = Superseded, 0, time.Time{}`, `			g.Reason, g.Attempts, g.RetryAt = Superseded, 0, time.Time{}
			if r.Lost == ValueLost && g.State == Waiting {
				g.State = Grace
			}`}},
		Package: "rotation/rotationtest", Test: "TestRuleOursByFingerprint",
		InWorlds: true,
	},
	{
		Name: "grace-begins-again", Rule: "a token that is served again waits, and its grace begins again",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `		if g.State != Waiting {
			n.note(Move{Generation: g.Number, To: Waiting, Reason: StillServed})
			return
		}
`, ``}},
		Package: "rotation", Test: "TestNextGivesGrace",
		InWorlds: true,
	},
	{
		Name: "grace-is-never-shortened", Rule: "the end of a grace is never moved to an earlier time",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `		if g.RevokeAfter.After(end) {
			end = g.RevokeAfter
		}
`, ``}, {"rotation/transitions.go", `if a.RevokeAfter.After(g.RevokeAfter) {`, `if !a.RevokeAfter.IsZero() {`}},
		Package: "rotation", Test: "TestRetiringTransitions",
		Beyond: "the later end is counted from a later sight of the token, and by the grace that was declared by then: the promise speaks of that",
	},
	{
		Name: "grace-is-absolute", Rule: "the end of a grace is journaled: a reload doesn't shorten it",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `end := n.now.Add(n.pol.Schedule.Grace)`, `end := n.now`},
			{"rotation/retire.go", `if n.now.Before(g.RevokeAfter) {`, `if n.now.Before(g.RevokeAfter.Add(n.pol.Schedule.Grace)) {`}},
		Package: "rotation/rotationtest", Test: "TestRuleGraceIsAbsolute",
		InWorlds: true,
	},
	{
		Name: "reread-before-revoke", Rule: "every target is read again before a token is revoked",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `		if seen, ok := n.obs.Targets[t.Key]; ok &&`, `		if _, ok := n.obs.Targets[t.Key]; !ok {
			served[n.rec.Targets[t.Key].Serves] = true
			continue
		}
		if seen, ok := n.obs.Targets[t.Key]; ok &&`},
			{"rotation/deeds.go", `!a.Expired && !w.lookedJustNow() {`, `!a.Expired && !w.lookedJustNow() && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleRereadBeforeRevoke",
		InWorlds: true,
	},
	{
		Name: "reread-just-now", Rule: "a reading is a ground to revoke for a minute",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `n.now.Sub(seen.At) > lookValid {`, `n.now.Sub(seen.At) > 1000*lookValid {`}},
		Package: "rotation", Test: "TestNextAsksTheGate",
		InWorlds: true,
	},
	{
		Name: "proof-before-revoke", Rule: "what every target serves is proved before a token is revoked",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `if open && !n.proved(number) {`, `if open && !n.proved(number) && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleProofBeforeRevoke",
		InWorlds: true,
	},
	{
		Name: "proof-just-now", Rule: "a proof is a ground to revoke for a minute",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `n.now.Sub(proof.At) > lookValid {`, `n.now.Sub(proof.At) > 1000*lookValid {`}},
		Package: "rotation", Test: "TestNextAsksTheGate",
		InWorlds: true,
	},
	{
		Name: "the-gate-holds-for-a-minute", Rule: "a gate that was found open too long ago is asked again before the call",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/deeds.go", `!a.Expired && !w.lookedJustNow() {`, `!a.Expired && !w.lookedJustNow() && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleTheGateHoldsForAMinute",
		InWorlds: true,
	},
	{
		Name: "unreadable-is-not-served", Rule: "a target that can't be read keeps a token from being revoked",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `		case !ok:
			open = false
		case s.Kind`, `		case !ok:
		case s.Kind`}},
		Package: "rotation/rotationtest", Test: "TestRuleOneUnreadableTargetMeansWait",
		InWorlds: true,
	},
	{
		Name: "foreign-holds-all", Rule: "while a target holds what isn't ours, every retired token counts as served",
		Where: `design.md, "Whose is a value found?"`,
		Edits: []edit{{"rotation/retire.go", `if !known || rec.Serves == 0 || rec.Serves == g.Number {`, `if !known || rec.Serves == g.Number {`},
			{"rotation/retire.go", `case s.Kind != Ours || s.Generation == g.Number:`, `case s.Kind == ForeignValue:
		case s.Kind != Ours || s.Generation == g.Number:`}},
		Package: "rotation/rotationtest", Test: "TestRuleForeignValueHoldsEveryRetiredToken",
		InWorlds: true,
	},
	{
		Name: "claimed-alone", Rule: "a live token that this journal didn't issue is never revoked",
		Where: `design.md, "Promises"`,
		Edits: []edit{{"rotation/retire.go", `open, served := g.Claimed,`, `open, served := true,`},
			{"rotation/next.go", `	if g.Claimed {
		return Waiting
	}
	return Unclaimed`, `	_ = g
	return Waiting`},
			{"rotation/transitions.go", `r.add(Generation{Number: number, Label: t.Label, TokenID: t.ID, State: Unclaimed,`,
				`r.add(Generation{Number: number, Label: t.Label, TokenID: t.ID, State: Waiting,`}},
		Package: "rotation/rotationtest", Test: "TestRuleUnclaimedWaits",
		InWorlds: true,
	},
	{
		Name: "claimed-once-more-at-the-gate", Rule: "the gate asks itself whether the token is ours",
		Where:   `design.md, "Promises"`,
		Edits:   []edit{{"rotation/retire.go", `open, served := g.Claimed,`, `open, served := true,`}},
		Package: "rotation", Test: "TestNextAsksTheGate",
		Beyond: "what is unclaimed has a state of its own and never comes to the gate: a second lock on the door of promise 6",
	},
	{
		Name: "our-label-alone", Rule: "a token that lost our label is not touched",
		Where:   `design.md, "Promises"`,
		Edits:   []edit{{"rotation/retire.go", `t != nil && t.Label == label {`, `t != nil {`}},
		Package: "rotation", Test: "TestNextRetiresByWhatTheListTells",
		Beyond: "nobody renames tokens there",
	},
	{
		Name: "label-to-the-letter", Rule: "only a label as we write it is ours",
		Where:   `design.md, "Words"`,
		Edits:   []edit{{"rotation/names.go", `digits[0] == '0'`, `n == 0`}},
		Package: "rotation", Test: "TestParseLabelRefusesWhatIsNotOurs",
		Beyond: "nobody makes names with leading zeros there",
	},
	{
		Name: "label-of-this-agent", Rule: "tokens of another agent are not ours",
		Where: `design.md, "Words"`,
		Edits: []edit{{"rotation/names.go", `digits, ok := strings.CutPrefix(label, labelPrefix(token, agentID))`, `_, digits, ok := strings.Cut(label, ".g")
	_, _ = token, agentID`}},
		Package: "rotation", Test: "TestParseLabelRefusesWhatIsNotOurs",
		InWorlds: true,
	},
	{
		Name: "commit-before-revoke", Rule: "the decision to revoke is committed before the API is asked",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/deeds.go", `	if g.State == to {
		return g, true`, `	if g.State == to || to == Revoking {
		return g, true`}},
		Package: "rotation/rotationtest", Test: "TestRuleCommitBeforeAct",
		InWorlds: true,
	},
	{
		Name: "commit-before-delete", Rule: "the decision to delete is committed before the API is asked",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/deeds.go", `	if g.State == to {
		return g, true`, `	if g.State == to || to == Deleting {
		return g, true`}},
		Package: "rotation/rotationtest", Test: "TestRuleCommitBeforeAct",
		InWorlds: true,
	},
	{
		Name: "list-of-this-pass-before-revoke", Rule: "last use and state are asked again before a token is revoked",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `if n.haveTokens(n.obs.Began) && !n.stillUsed(g, listed) {`, `if !n.stillUsed(g, listed) {`}},
		Package: "rotation", Test: "TestNextAsksTheGate",
		InWorlds: true,
	},
	{
		Name: "hold-while-used", Rule: "a token that is still used is held beyond its grace",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `!n.now.Before(until) {`, `!n.now.Before(until) || true {`}},
		Package: "rotation/rotationtest", Test: "TestRuleHold",
		InWorlds: true,
	},
	{
		Name: "hold-has-an-end", Rule: "a hold ends when it was quiet for long enough, and at its bound",
		Where:   `design.md, "The declaration"`,
		Edits:   []edit{{"rotation/retire.go", `if !byOthers || !n.now.Before(quietAt) || !n.now.Before(until) {`, `if !byOthers {`}},
		Package: "rotation/rotationtest", Test: "TestRuleHold",
		InWorlds: true,
	},
	{
		Name: "own-proof-is-no-use", Rule: "our own proof of a token doesn't count as a consumer's use",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/retire.go", `byOthers := listed.LastUsed.After(g.ProvedAt.Add(ownUse))`, `byOthers := !listed.LastUsed.IsZero()`}},
		Package: "rotation/rotationtest", Test: "TestRuleOwnProofIsNoConsumersUse",
		Beyond: "a token that is held for too long breaks no promise",
	},
	{
		Name: "observe-before-delete", Rule: "a revoked token can be restored for a while before it is deleted",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `	case n.now.Before(end):
		n.wait(retiring, end, ObserveRunning)`, `	case false:
		n.wait(retiring, end, ObserveRunning)`}},
		Package: "rotation", Test: "TestNextObservesAndDeletes",
		InWorlds: true,
	},
	{
		Name: "list-of-this-pass-before-delete", Rule: "a token restored at the last moment is not deleted",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `case n.haveTokens(n.obs.Began):`, `case true:`}},
		Package: "rotation", Test: "TestNextObservesAndDeletes",
		InWorlds: true,
	},
	{
		Name: "restored-is-in-grace-again", Rule: "a token that a person restored is given a grace again",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `case listed.Active && !n.obs.Tokens.At.Before(g.RevokedAt):`, `case listed.Active && false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleRestoredByHandIsInGraceAgain",
		InWorlds: true,
	},
	{
		Name: "list-from-after-the-revocation", Rule: "a list from before the revocation can't tell of a restored token",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `case listed.Active && !n.obs.Tokens.At.Before(g.RevokedAt):`, `case listed.Active:`}},
		Package: "rotation", Test: "TestNextObservesAndDeletes",
		Beyond: "the token takes a detour through the grace, dead as it is",
	},
	{
		Name: "dead-already-moves-on", Rule: "a retired token that others revoked needs no gate",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `		if !listed.Active {
			n.note(Move{Generation: g.Number, To: Observing, Reason: DeadAlready})
			return
		}
`, ``}},
		Package: "rotation/rotationtest", Test: "TestRuleDeadAlreadyMovesOn",
		InWorlds: true,
	},
	{
		Name: "expired-is-revoked-without-the-gate", Rule: "a token that has run out is revoked whatever its targets serve",
		Where: `design.md, "Each retired token"`,
		Edits: []edit{{"rotation/retire.go", `n.deed(Revoke{Generation: g.Number, Expired: true})`,
			`n.wait(retiring, n.now.Add(n.pol.Sweep), StillServed)`}},
		Package: "rotation/rotationtest", Test: "TestRuleExpiredIsRevokedWithoutTheGate",
		InWorlds: true,
	},
	{
		Name: "expired-by-the-apis-time", Rule: "a token has run out when a list from after its end says so",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/retire.go", `if !n.stopped(retiring) && n.haveTokens(listed.Expires) {`, `if n.haveTokens(time.Time{}) {`}},
		Package: "rotation", Test: "TestNextRetiresByWhatTheListTells",
		Beyond: "where the clock is ahead by more than a sweep a new list is asked for anyway, and its answer puts the clock right; no token waits within a sweep of its end",
	},
	{
		Name: "expired-unclaimed-is-deleted", Rule: "an unclaimed token that was revoked is deleted when it has run out",
		Where: "docs/decisions/unclaimed.md",
		Edits: []edit{{"rotation/retire.go", `		if listed.Expired(n.now) {
			n.note`, `		if listed.Expired(n.now) && false {
			n.note`}},
		Package: "rotation", Test: "TestNextRetiresByWhatTheListTells",
		InWorlds: true,
	},
	{
		Name: "retired-is-gone-by-two-lists", Rule: "a retired token is gone only when a second list lacks it too",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/retire.go", `if n.missedTwice(g, retiring) && n.tokenOf(g) == nil {`, `if n.tokenOf(g) == nil {`}},
		Package: "rotation", Test: "TestNextRetiresByWhatTheListTells",
		Beyond: "`gone-and-listed-again` takes it back with the next list",
	},
	{
		Name: "gone-and-listed-again", Rule: "a token that is gone and is listed again is a ghost",
		Where: `design.md, "Promises"`,
		Edits: []edit{{"rotation/next.go", `		case g.TokenID == t.ID:
			n.note(Move{Generation: number, To: ghostState(g), Reason: Ghost, Created: t.Created})
`, `		case g.TokenID == t.ID:
`}},
		Package: "rotation", Test: "TestNextRetiresByWhatTheListTells",
		InWorlds: true,
	},
	{
		Name: "found-under-our-label", Rule: "a token under our label that isn't recorded is taken in",
		Where: `design.md, "Promises"`,
		Edits: []edit{{"rotation/next.go", `		case g == nil:
			n.note(Discover{Token: t, Generation: number})`, `		case g == nil:`}},
		Package: "rotation/rotationtest", Test: "TestRuleUnclaimedWaits",
		InWorlds: true,
	},
	{
		Name: "ghost-gets-its-id", Rule: "a label that was given up without an id gets it from the list",
		Where:   `design.md, "Promises"`,
		Edits:   []edit{{"rotation/next.go", `case g.TokenID == 0:`, `case g.TokenID == 0 && false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleListedLabelIsBurnt",
		InWorlds: true,
	},
	{
		Name: "number-used-by-another-journal", Rule: "a number that another journal used again is tracked as its token",
		Where: `design.md, "Promises"`,
		Edits: []edit{{"rotation/next.go", `		default: // another journal used the number again
			n.note(Discover{Token: t, Generation: number})`, `		default:`}},
		Package: "rotation/rotationtest", Test: "TestRuleANumberUsedAgainByAnotherJournalIsTracked",
		Beyond: "it takes two journals that use one number, one of them after its token was deleted: too rare there",
	},
	{
		Name: "adopt-speaks-of-what-is-known", Rule: "adopt claims what is listed when it is carried out",
		Where:   "docs/decisions/unclaimed.md",
		Edits:   []edit{{"rotation/next.go", `if n.resume != nil && len(n.notes) == 0 {`, `if n.resume != nil {`}},
		Package: "rotation", Test: "TestNextDoesWhatAPersonSays",
		Beyond: "what is discovered after the adoption is unclaimed, and waits for its expiry",
	},
	{
		Name: "old-versions-go", Rule: "where a store says so, the old versions of a revoked token are taken out of reach",
		Where:   "docs/decisions/old-versions.md",
		Edits:   []edit{{"rotation/oldversions.go", `	if g != nil && g.revoked() && wanted(key, g) {`, `	if false && wanted(key, g) {`}},
		Package: "rotation/rotationtest", Test: "TestRuleOldVersionsGoWithTheirToken",
		Beyond: "an old version holds a dead token: that it lies there breaks no promise",
	},
	{
		Name: "old-versions-of-dead-tokens-alone", Rule: "an old version whose token isn't known to be revoked stays",
		Where: "docs/decisions/old-versions.md",
		Edits: []edit{{"rotation/oldversions.go", `return g != nil && g.revoked()
	})`, `return g == nil || g != nil
	})`}},
		Package: "rotation/rotationtest", Test: "TestRuleOthersVersionsStay",
		Beyond: "nobody reads an old version there, and the next rotation needs none",
	},
	{
		Name: "old-versions-wait-for-the-delivery", Rule: "a target that may serve the dead token is delivered before its versions are looked at",
		Where:   "docs/decisions/old-versions.md",
		Edits:   []edit{{"rotation/oldversions.go", `case rec.State == Behind || rec.State == TargetBlocked:`, `case false:`}},
		Package: "rotation", Test: "TestNextRemovesOldVersions",
		Beyond: "an old version holds a dead token: that it lies there breaks no promise",
	},
	{
		Name: "target-that-left", Rule: "a target that left the declaration keeps nothing waiting",
		Where:   `design.md, "Each target"`,
		Edits:   []edit{{"rotation/deliver.go", `if !pol.declares(key) {`, `if false && !pol.declares(key) {`}},
		Package: "rotation/rotationtest", Test: "TestRuleRemovedTargetLeavesTheGate",
		Beyond: "the gate and the deliveries ask the declared targets alone; what stays behind is a record, and a back-off that isn't reset",
	},
	{
		Name: "the-list-speaks-of-the-token-served", Rule: "the list proves what is served only where the token itself is known, not its number alone",
		Where:   `design.md, "Each retired token"`,
		Edits:   []edit{{"rotation/retire.go", `if g == nil || g.Fingerprint == "" {`, `if g == nil {`}},
		Package: "rotation", Test: "TestNextAsksTheGate",
		InWorlds: true,
	},
}
