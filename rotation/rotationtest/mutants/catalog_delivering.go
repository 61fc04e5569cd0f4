package main

// delivering are the rules of what is written, where, and whose value stands
// there.
var delivering = []mutant{
	{
		Name: "proof-before-a-write", Rule: "a token is proved before it is written anywhere",
		Where: `design.md, "Each target"`,
		Edits: []edit{{"rotation/deliver.go", `	case !asked:
		n.look(Prove{Generation: current.Number})
	case proof.Result == ProvedLive:`, `	case !asked:
		n.deed(Deliver{Target: key})
	case proof.Result == ProvedLive:`}},
		Package: "rotation/rotationtest", Test: "TestRuleProofBeforeAHeal",
		InWorlds: true,
	},
	{
		Name: "a-proof-holds-for-a-minute", Rule: "a token that was proved too long ago is proved again before it is written",
		Where:   `design.md, "Each target"`,
		Edits:   []edit{{"rotation/deeds.go", `if !w.provedJustNow(g.Number) {`, `if !w.provedJustNow(g.Number) && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleAProofHoldsForAMinute",
		InWorlds: true,
	},
	{
		Name: "not-valid-at-once", Rule: "a new token that is refused is tried again before it is replaced",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/deliver.go", `case g.Attempts >= maxUnproved:`, `case g.Attempts >= 0:`}},
		Package: "rotation/rotationtest", Test: "TestRuleNotValidAtOnce",
		InWorlds: true,
	},
	{
		Name: "never-valid-is-replaced", Rule: "a token that stays refused while it is listed as live is replaced",
		Where:   "docs/decisions/issuing.md",
		Edits:   []edit{{"rotation/deliver.go", `case g.Attempts >= maxUnproved:`, `case g.Attempts >= 1000*maxUnproved:`}},
		Package: "rotation/rotationtest", Test: "TestRuleNeverValidIsReplaced",
		InWorlds: true,
	},
	{
		Name: "seen-is-committed-first", Rule: "what a target serves is committed before it is overwritten",
		Where: `design.md, "Each target"`,
		Edits: []edit{{"rotation/deliver.go", `		if !known || want.differs(rec) {
			n.note(See{Target: t.Key, Serving: s})
			continue
		}`, `		if !known || want.differs(rec) {
			if want.State != Behind || current == nil || n.rec.Lost != "" {
				n.note(See{Target: t.Key, Serving: s})
				continue
			}
			rec = want
		}`}},
		Package: "rotation/rotationtest", Test: "TestRuleSeenIsCommittedBeforeOverwritten",
		InWorlds: true,
	},
	{
		Name: "commit-before-a-write", Rule: "the payload's fingerprint is committed before the payload is sent",
		Where:   "docs/decisions/payloads.md",
		Edits:   []edit{{"rotation/deeds.go", `if !w.sentBefore(a.Target, sent) &&`, `if false && !w.sentBefore(a.Target, sent) &&`}},
		Package: "rotation/rotationtest", Test: "TestRuleCommitBeforeAct",
		InWorlds: true,
	},
	{
		Name: "known-by-the-payload-sent", Rule: "what was sent to a target is known again by its fingerprint",
		Where:   "docs/decisions/payloads.md",
		Edits:   []edit{{"rotation/serving.go", `if p.Fingerprint == r.Payload {`, `if p.Fingerprint == r.Payload && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleOursByRememberedPayload",
		InWorlds: true,
	},
	{
		Name: "known-by-the-tokens-fingerprint", Rule: "a token of ours is known by its fingerprint",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/serving.go", `if g := n.rec.byFingerprint(r.Token.Fingerprint()); g != nil {`, `if g := n.rec.byFingerprint(r.Token.Fingerprint()); g != nil && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleOursByFingerprint",
		InWorlds: true,
	},
	{
		Name: "fingerprints-are-kept", Rule: "the journal keeps the fingerprints of deleted tokens",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/record.go", `const keepGone = 64`, `const keepGone = 0`}},
		Package: "rotation/rotationtest", Test: "TestRuleOursByFingerprint",
		InWorlds: true,
	},
	{
		Name: "known-by-metadata", Rule: "a store's metadata that fits tells whose a value is",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/serving.go", `r.Meta.Slot == n.rec.Slot && g > 0`, `false && g > 0`}},
		Package: "rotation/rotationtest", Test: "TestRuleOursByMetadata",
		InWorlds: true,
	},
	{
		Name: "metadata-has-to-fit", Rule: "metadata counts only with the token that it describes",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"backends/target.go", `if !r.Token.IsZero() && r.Meta.Token != r.Token.Fingerprint() {`, `if false {`}},
		Package: "backends", Test: "TestRead",
		InWorlds: true,
	},
	{
		Name: "metadata-against-the-list", Rule: "metadata counts only as far as the list bears it out",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/serving.go", `return s, g.TokenID == m.TokenID, true`, `return s, true, true`}},
		Package: "rotation", Test: "TestIdentifyOurs",
		Beyond: "it takes a number that two journals used and a store that tells of the one token while the journal has the other",
	},
	{
		Name: "token-of-this-account-is-left-alone", Rule: "a live token of the account that others put there stays until the next issue",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/deliver.go", `next.State, next.Reason = Foreign, TargetHoldsOther`, `next.State, next.Reason = Behind, TargetHoldsOther`}},
		Package: "rotation/rotationtest", Test: "TestRuleTokenOfThisAccountIsLeftAlone",
		InWorlds: true,
	},
	{
		Name: "token-of-this-account-that-dies", Rule: "a dead token of the account is drift",
		Where: `design.md, "Whose is a value found?"`,
		Edits: []edit{{"rotation/deliver.go", `	case OtherDead:
		next.State, next.Reason = Behind, TargetHoldsOther`, `	case OtherDead:
		next.State, next.Reason = Foreign, TargetHoldsForeign`}},
		Package: "rotation/rotationtest", Test: "TestRuleTokenOfThisAccountThatDiesIsDrift",
		InWorlds: true,
	},
	{
		Name: "only-this-accounts-tokens-are-tried", Rule: "no value that doesn't name this account is sent to the API",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/serving.go", `if r.Token.IsZero() || !namesAccount(r.Token, n.pol.AccountID) {`, `if r.Token.IsZero() {`}},
		Package: "rotation/rotationtest", Test: "TestRuleOnlyThisAccountsTokensAreTried",
		Beyond: "there is one account in them",
	},
	{
		Name: "foreign-is-not-overwritten", Rule: "what isn't ours is not overwritten unless on_foreign says so",
		Where: `design.md, "Whose is a value found?"`,
		Edits: []edit{{"rotation/deliver.go", `		if t.TakeOver {
			next.State = Behind
		}`, `		next.State = Behind`}},
		Package: "rotation/rotationtest", Test: "TestRuleForeignValue",
		InWorlds: true,
	},
	{
		Name: "foreign-is-no-reason-to-issue", Rule: "a target that holds what isn't ours is no reason to issue",
		Where: `design.md, "Whose is a value found?"`,
		Edits: []edit{{"rotation/deliver.go", `		want := rec.seen(s, n.rec, t, n.now)
`, `		want := rec.seen(s, n.rec, t, n.now)
		if s.Kind == ForeignValue && n.rec.Lost == "" && current != nil {
			n.lose(ValueLost)
		}
`}},
		Package: "rotation/rotationtest", Test: "TestRuleForeignValue",
		InWorlds: true,
	},
	{
		Name: "compare-and-set", Rule: "a write replaces nothing but what was read before it",
		Where: `design.md, "Packages"`,
		Edits: []edit{{"rotation/deeds.go", `	bounded, cancel := context.WithTimeout(w.soft, w.deliverTime())
`, `	if now, err := target.Read(ctx, backends.Current); err == nil {
		prev = now.Version
	}
	bounded, cancel := context.WithTimeout(w.soft, w.deliverTime())
`}},
		Package: "rotation/rotationtest/mutants", Test: "TestRuleAWriteReplacesWhatWasRead",
		InWorlds: true,
	},
	{
		Name: "read-back", Rule: "a target is current only when the payload was read back from it",
		Where: `design.md, "Words"`,
		Edits: []edit{{"backends/target.go", `	back, err := t.Read(ctx, Current)
	switch {`, `	back, err := t.Read(ctx, Current)
	back.Present, back.Payload, err = true, item.Payload.Fingerprint(), nil
	switch {`}},
		Package: "backends", Test: "TestDeliverFails",
		InWorlds: true,
	},
	{
		Name: "every-stage-that-cant-be-read", Rule: "a stage that can't be read may hold the value",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"backends/target.go", `	return secret.Value{}, unread
`, `	return secret.Value{}, nil
`}},
		Package: "backends", Test: "TestFind",
		InWorlds: true,
	},
	{
		Name: "same-payload-is-not-written-again", Rule: "a payload that stands there already is not written again",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"backends/file/backend.go", `if current.Equal(item.Payload) && at.stands(folder) {`, `if current.Equal(item.Payload) && at.stands(folder) && false {`}},
		Package: "backends/file", Test: "TestSamePayloadIsNotWritten",
		Beyond: "their stores are scripted ones; the suite of the drivers asks this of each driver",
	},
	{
		Name: "drift-is-looked-for", Rule: "a target at rest is read again and healed",
		Where:   `design.md, "Words"`,
		Edits:   []edit{{"rotation/deliver.go", `next := n.pol.nextCheck(n.obs.Checked[key])`, `next := n.pol.nextCheck(n.now)`}},
		Package: "rotation", Test: "TestNextAtRest",
		InWorlds: true,
	},
	{
		Name: "described-version-must-match", Rule: "a description counts only with the version that was read",
		Where:   "docs/decisions/glances.md",
		Edits:   []edit{{"rotation/deliver.go", `return g != nil && now == last && now != backends.Absent &&`, `return g != nil && now != backends.Absent &&`}},
		Package: "rotation/rotationtest", Test: "TestRuleDescribedVersionMustMatch",
		Beyond: "what slips under our metadata there is a token that works, and the gate reads in full",
	},
	{
		Name: "described-metadata-must-fit", Rule: "a description counts only with the current token's metadata",
		Where: "docs/decisions/glances.md",
		Edits: []edit{{"rotation/deliver.go", `now != backends.Absent &&
		described.Slot == r.Slot && described.Generation == g.Number && described.Token == g.Fingerprint`, `now != backends.Absent`}},
		Package: "rotation/rotationtest", Test: "TestRuleDescribedVersionMustMatch",
		Beyond: "nobody makes an entry anew there",
	},
	{
		Name: "a-gate-takes-readings-alone", Rule: "before a revocation a target is read, not only described",
		Where: "docs/decisions/glances.md",
		Edits: []edit{
			{"rotation/next.go", `return b == Glance(a) })`, `return b == Glance(a) })
		if n.glanced(a.Target, n.rec.Targets[a.Target]) {
			return
		}`},
			{"rotation/looks.go", `		w.mem.checked[a.Target] = now
`, `		w.mem.checked[a.Target] = now
		w.obs.Targets[a.Target] = TargetSeen{At: now, Reading: backends.Reading{Present: true, Version: version, Meta: meta}}
`},
		},
		Package: "rotation/rotationtest", Test: "TestRuleAGateReadsInFull",
		InWorlds: true,
	},
	{
		Name: "a-failed-description-is-read", Rule: "what a store can't describe is read",
		Where: "docs/decisions/glances.md",
		Edits: []edit{{"rotation/looks.go", `	delete(w.mem.versions, a.Target)
}`, `}`}},
		Package: "rotation/rotationtest", Test: "TestRuleADescriptionThatFails",
		Beyond: "a look too few or too many breaks no promise",
	},
	{
		Name: "another-shape-is-delivered", Rule: "the current token in a shape that isn't declared any more is written again",
		Where:   "docs/decisions/payloads.md",
		Edits:   []edit{{"rotation/deliver.go", `case s.Reshaped:`, `case false:`}},
		Package: "agent", Test: "TestReloadOfAnotherFormatDelivers",
		InWorlds: true,
	},
	{
		Name: "failed-read-waits-for-its-time", Rule: "a target that couldn't be read is read again after its back-off",
		Where:   `design.md, "A slot's life"`,
		Edits:   []edit{{"rotation/work.go", `if w.obs.Began.Before(failed.seen.RetryAt) {`, `if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleAFailedReadWaitsForItsTime",
		Beyond: "a store that is asked too often breaks no promise",
	},
	{
		Name: "a-slow-look-holds-nobody", Rule: "what is to be done at other targets doesn't wait for a look that hangs",
		Where:   `design.md, "A slot's life"`,
		Edits:   []edit{{"rotation/acting.go", `if len(open) < len(actions) && w.leave(open) {`, `if false && w.leave(open) {`}},
		Package: "rotation/rotationtest", Test: "TestRuleAHangingStoreHoldsUpNoOther",
		Beyond: "their agents act in turn, so that a world can be played again; and nothing hangs there",
	},
	{
		Name: "all-at-the-same-time", Rule: "a target that hangs holds up no other",
		Where:   `design.md, "A slot's life"`,
		Edits:   []edit{{"rotation/acting.go", `if len(actions) == 1 || w.e.inTurn {`, `if true {`}},
		Package: "rotation/rotationtest", Test: "TestRuleShutdownIsNoAttempt",
		Beyond: "their agents act in turn, so that a world can be played again; and nothing hangs there",
	},
}
