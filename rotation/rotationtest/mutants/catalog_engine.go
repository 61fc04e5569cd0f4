package main

// engine are the rules of the engine, the journal and the memory beside it.
var engine = []mutant{
	{
		Name: "notes-before-deeds", Rule: "what was seen is committed before the world is changed",
		Where:   `design.md, "Each target"`,
		Edits:   []edit{{"rotation/next.go", `[][]Action{n.first, n.looks, n.notes, n.deeds}`, `[][]Action{n.first, n.looks, n.deeds, n.notes}`}},
		Package: "rotation/rotationtest", Test: "TestRuleSeenIsCommittedBeforeOverwritten",
		InWorlds: true,
	},
	{
		Name: "looks-before-deeds", Rule: "nothing is done while something is still to be looked at",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/next.go", `[][]Action{n.first, n.looks, n.notes, n.deeds}`, `[][]Action{n.first, n.deeds, n.looks, n.notes}`}},
		Package: "rotation/rotationtest", Test: "TestRuleRereadBeforeRevoke",
		InWorlds: true,
	},
	{
		Name: "the-apis-time", Rule: "what is decided is decided by the API's time",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/deeds.go", `Days: w.pol.Schedule.Days()})
	now := w.e.issuer.Now()`, `Days: w.pol.Schedule.Days()})
	now := time.Now()`}},
		Package: "rotation/rotationtest", Test: "TestRuleNowIsTheAPIsTime",
		Beyond: "in them the test's clock is the API's, and it is the agent's that is wrong: what this edit reads is right there",
	},
	{
		Name: "clock-put-right", Rule: "what was seen while the clock was ahead is taken back when it is put right",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/work.go", `if now.Before(w.last) {`, `if now.Before(w.last) && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleAWrongClockIsPutRight",
		InWorlds: true,
	},
	{
		Name: "clock-set-during-a-look", Rule: "what a look saw while the clock was ahead is taken back too, in this pass or a later one",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/work.go", `	now := w.e.issuer.Now()
	w.last = later(w.last, now)
	return now`, `	return w.e.issuer.Now()`}, {"rotation/work.go", `	for key, failed := range w.mem.unread {
		w.last = later(w.last, failed.seen.At)
`, `	w.last = time.Time{}
	for key, failed := range w.mem.unread {
`}},
		Package: "rotation/rotationtest", Test: "TestRuleAClockThatIsSetDuringALook",
		InWorlds: true,
	},
	{
		Name: "unseen-when-not-committed", Rule: "what the journal refused to take in is looked at again",
		Where: `design.md, "Each target"`,
		Edits: []edit{{"rotation/engine.go", `			w.unsee()
`, ``}},
		Package: "rotation/rotationtest", Test: "TestWhatWasSeenBeforeAFailedCommitIsSeenAgain",
		InWorlds: true,
	},
	{
		Name: "a-refused-commit-ends-the-pass", Rule: "nothing is done on a commit that the journal refused",
		Where: `design.md, "A slot's life"`,
		Edits: []edit{{"rotation/work.go", `		w.failed = fmt.Errorf("commit %s of %s: %w", event.Act, rec.Slot, err)
		return false`, `		w.e.log.Warn(fmt.Sprint("not committed: ", err))
		w.rec = rec
		return true`}},
		Package: "rotation/rotationtest", Test: "TestRuleTwoEnginesOnOneJournal",
		InWorlds: true,
	},
	{
		Name: "list-newer-than-our-change", Rule: "a list asked for before our own change is not used after it",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/shared.go", `if s.last == nil || s.last.at.Before(after) || s.last.seq < seq {`, `if s.last == nil || s.last.at.Before(after) || s.last.seq < seq*0 {`}},
		Package: "rotation", Test: "TestSharedListIsAsNewAsAskedFor",
		InWorlds: true,
	},
	{
		Name: "a-shutdown-is-no-attempt", Rule: "an act that the end of the process cut off counts no attempt",
		Where:   `CONTRIBUTING.md, "House rules"`,
		Edits:   []edit{{"rotation/engine.go", `acts, cancel := lingering(ctx, lastAct)`, `acts, cancel := lingering(ctx, 0)`}},
		Package: "rotation/rotationtest", Test: "TestRuleShutdownIsNoAttempt",
		Beyond: "their agents crash, and never end in order",
	},
	{
		Name: "refused-credential-holds-all", Rule: "a 401 or 403 makes the whole instance wait, with back-off",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/engine.go", `general := errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrThrottled) ||`, `general := errors.Is(err, ErrThrottled) ||`}},
		Package: "rotation", Test: "TestHold",
		Beyond: "an API that is asked too often breaks no promise",
	},
	{
		Name: "back-off", Rule: "what fails is tried again later and later",
		Where:   `design.md, "Libraries"`,
		Edits:   []edit{{"rotation/spread.go", `d = min(d, firstBackOff<<max(0, attempts-1))`, `d = firstBackOff`}},
		Package: "rotation", Test: "TestBackOffBounds",
		Beyond: "what is asked too often breaks no promise",
	},
	{
		Name: "fence", Rule: "a process whose lease is over writes nothing",
		Where:   `design.md, "Words"`,
		Edits:   []edit{{"rotation/journal/fence.go", `case value > j.fence:`, `case false:`}},
		Package: "rotation/journal", Test: "TestFence",
		Beyond: "most of them keep their journal in memory",
	},
	{
		Name: "revisions", Rule: "a record is stored only in place of the one that was read",
		Where:   `design.md, "Promises"`,
		Edits:   []edit{{"rotation/journal/records.go", `AND revision = $2 - 1`, `AND revision < $2 + 1000`}},
		Package: "rotation/journal", Test: "TestConformance",
		Beyond: "most of them keep their journal in memory",
	},
	{
		Name: "lock", Rule: "a second process on one journal is refused at its start",
		Where:   `design.md, "Packages"`,
		Edits:   []edit{{"rotation/journal/lock.go", `syscall.LOCK_EX|syscall.LOCK_NB`, `syscall.LOCK_SH|syscall.LOCK_NB`}},
		Package: "rotation/journal", Test: "TestSecondProcessIsRefused",
		Beyond: "most of them keep their journal in memory",
	},
	{
		Name: "rebuild-adopts-what-metadata-proves", Rule: "after a lost journal what metadata proves is taken as served",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/issue.go", `		if g.Number > rec.Current {
			rec.adoptAsServed(g, pol.Schedule)
		}`, ``}},
		Package: "rotation/rotationtest", Test: "TestRuleRebuildAdoptsWhatMetadataProves",
		InWorlds: true,
	},
	{
		Name: "read-again-after-a-rebuild", Rule: "what was read before a record was rebuilt is read again, for its shape",
		Where:   "docs/decisions/payloads.md",
		Edits:   []edit{{"rotation/work.go", `if w.rec.current() != nil {`, `if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleARebuiltSlotDeliversAnotherShape",
		InWorlds: true,
	},
	{
		Name: "shape-of-what-metadata-tells", Rule: "what metadata alone tells of may have another shape too",
		Where:   "docs/decisions/payloads.md",
		Edits:   []edit{{"rotation/serving.go", `s = n.ours(key, m.Generation)`, `s = Serving{Kind: Ours, Generation: m.Generation}`}},
		Package: "rotation/rotationtest", Test: "TestRuleARebuiltSlotDeliversAnotherShape",
		InWorlds: true,
	},
	{
		Name: "rebuild-claims-nothing", Rule: "after a lost journal nothing that is found is ours to revoke",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/transitions.go", `	g.State, r.Current = Live, g.Number`, `	g.State, r.Current, g.Claimed = Live, g.Number, true`}},
		Package: "rotation/rotationtest", Test: "TestRuleRebuildAdoptsWhatMetadataProves",
		InWorlds: true,
	},
	{
		Name: "value-kept-in-memory", Rule: "a value is kept until every target serves it, and for lossy formats longer",
		Where:   `design.md, "Each target"`,
		Edits:   []edit{{"rotation/work.go", `return number != w.rec.Current || !lossy && w.rec.serves(w.pol)`, `return number > 0 || lossy`}},
		Package: "rotation/rotationtest", Test: "TestRuleValueFromMemory",
		InWorlds: true,
	},
}
