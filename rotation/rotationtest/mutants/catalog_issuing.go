package main

// issuing are the rules of when a token is made, and of what becomes of one
// whose making was interrupted.
var issuing = []mutant{
	{
		Name: "commit-before-issue", Rule: "the will to issue is committed before the API is asked",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/work.go",
			`	case Intend:
		asked := w.request(a.Request)
		w.commit(ctx, func(r *Record) Event { return asked.tell(r.apply(a, w, now)) })`,
			`	case Intend:
		asked := w.request(a.Request)
		w.rec = w.rec.clone()
		w.rec.apply(a, w, now)
		_ = asked`}},
		Package: "rotation/rotationtest", Test: "TestRuleCommitBeforeAct",
		InWorlds: true,
	},
	{
		Name: "commit-before-account", Rule: "the will to make an account is committed before the API is asked",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/account.go", `if !rec.Intended {`, `if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleCommitBeforeAct",
		InWorlds: true,
	},
	{
		Name: "never-post-again-unseen", Rule: "a post whose outcome is unknown is repeated only when a list from after it lacks the label",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/issue.go", `if !unseen && !n.haveTokens(posted) {`, `if !unseen && !n.haveTokens(time.Time{}) {`}},
		Package: "rotation", Test: "TestNextIssues",
		Beyond: "their API refuses a name that is taken, as it is documented: the list is the second lock on that door",
	},
	{
		Name: "listed-label-is-burnt", Rule: "a label that is listed already is not posted again",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/issue.go", `if t := n.listedUnder(intent.Label); t != nil {`, `if t := n.listedUnder(intent.Label); t != nil && false {`}},
		Package: "rotation", Test: "TestNextIssues",
		InWorlds: true,
	},
	{
		Name: "duplicate-is-burnt", Rule: "a label that the API calls taken is given up",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/deeds.go", `case errors.Is(err, ErrDuplicate):`, `case errors.Is(err, ErrDuplicate) && false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleListedLabelIsBurnt",
		Beyond: "the next list shows the label, and it is given up by that; only a name that stays taken after its token is gone needs the answer, and their numbers are above those",
	},
	{
		Name: "ghost-is-claimed", Rule: "a token under a label that we posted is ours to retire",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `Claimed: !posted.IsZero()`, `Claimed: false`},
			{"rotation/deeds.go", `claimed := again || intent.Process != w.e.process`, `claimed := again && false`}},
		Package: "rotation/rotationtest", Test: "TestRuleListedLabelIsBurnt",
		InWorlds: true,
	},
	{
		Name: "taken-label-is-unclaimed", Rule: "a token under an intended label that we never posted is not ours",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `Claimed: !posted.IsZero()`, `Claimed: true`},
			{"rotation/deeds.go", `claimed := again || intent.Process != w.e.process`, `claimed := again || intent.Process != ""`}},
		Package: "rotation/rotationtest", Test: "TestRuleLabelTakenByOthersStaysUnclaimed",
		InWorlds: true,
	},
	{
		Name: "refused-post-made-nothing", Rule: "a post that was refused as a duplicate doesn't make the label ours, also when the journal didn't hear of it",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/deeds.go", `		w.unpost(intent.Generation, before, again)
		w.commit(ctx, func(r *Record) Event { return r.burn(`, `		w.commit(ctx, func(r *Record) Event { return r.burn(`}},
		Package: "rotation/rotationtest", Test: "TestADuplicateBelongsToOthersAlsoWhenTheJournalRefuses",
		Beyond: "it takes two agents that choose one number and a commit that fails right then: a world in several thousand, one of which found the rule",
	},
	{
		Name: "number-never-reused", Rule: "the next number is above everything recorded, listed or found in a target",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/issue.go", `number := n.rec.High + 1`, `number := n.rec.Current + 1`}},
		Package: "rotation/rotationtest", Test: "TestRuleGenerationAboveEverything",
		InWorlds: true,
	},
	{
		Name: "number-above-what-is-seen", Rule: "what this pass has seen is committed before a number is chosen",
		Where:   `design.md, "Issuing"`,
		Edits:   []edit{{"rotation/issue.go", `if len(n.notes) > 0 { // the number`, `if false { // the number`}},
		Package: "rotation", Test: "TestNextIssues",
		InWorlds: true,
	},
	{
		Name: "number-above-metadata", Rule: "a number that only a store's metadata tells of is used up",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/transitions.go", `if m := a.Serving.Meta; !m.IsZero() && r.generation(m.Generation) == nil {`,
			`if m := a.Serving.Meta; !m.IsZero() && r.generation(m.Generation) == nil && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleGenerationAboveEverything",
		InWorlds: true,
	},
	{
		Name: "lost-value-rotates", Rule: "a token whose value nobody has is replaced",
		Where: `design.md, "Each target"`,
		Edits: []edit{{"rotation/deliver.go", `	case found == NotFound:
		n.lose(ValueLost)
		return
`, `	case found == NotFound:
		n.wait(delivering, n.now.Add(time.Minute), ValueLost)
		return
`}},
		Package: "rotation/rotationtest", Test: "TestRuleLostValueRotates",
		InWorlds: true,
	},
	{
		Name: "unreachable-is-not-absent", Rule: "a value is lost only when every target has answered and none has it",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/looks.go", `		if err != nil {
			finding = NotKnown
		}
	}
	return secret.Value{}, finding`, `		_ = err
	}
	return secret.Value{}, finding`},
			{"rotation/looks.go", `		if w.unreadable(t.Key) { // one that hangs is waited for once
			finding = NotKnown
			continue`, `		if w.unreadable(t.Key) { // one that hangs is waited for once
			continue`}},
		Package: "rotation/rotationtest", Test: "TestRuleUnreachableIsNotAbsent",
		InWorlds: true,
	},
	{
		Name: "one-target-suffices", Rule: "a token is issued when one target at least can take it",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `		s, ok := n.serving(t.Key)
		if !ok {
			continue
		}
		if s.Kind == ForeignValue && !t.TakeOver {
			n.wait(issuing, n.now.Add(n.pol.DriftCheck), NoTargetReady)
			continue
		}`, `		s, ok := n.serving(t.Key)
		if !ok {
			return false
		}
		if s.Kind == ForeignValue && !t.TakeOver {
			n.wait(issuing, n.now.Add(n.pol.DriftCheck), NoTargetReady)
			return false
		}`}},
		Package: "rotation/rotationtest", Test: "TestRuleOneBadTargetDelaysNoOther",
		InWorlds: true,
	},
	{
		Name: "foreign-is-no-place-to-deliver-to", Rule: "no token is issued while every target holds what isn't ours",
		Where:   `design.md, "Whose is a value found?"`,
		Edits:   []edit{{"rotation/issue.go", `if s.Kind == ForeignValue && !t.TakeOver {`, `if s.Kind == ForeignValue && !t.TakeOver && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleForeignIsNoPlaceToDeliverTo",
		InWorlds: true,
	},
	{
		Name: "preflight", Rule: "no token is issued while every target refuses its preflight",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `case why == "":
			ready = true
		default:`, `case why == "" || why != "":
			ready = true
		default:`}},
		Package: "rotation/rotationtest", Test: "TestRuleOneTargetMustPassItsPreflight",
		Beyond: "a token that no store takes waits in memory; a crash meanwhile costs one more",
	},
	{
		Name: "a-refused-order-is-tried-again", Rule: "an order that the API refused is tried again some time later",
		Where:   `design.md, "Promises"`,
		Edits:   []edit{{"rotation/issue.go", `case n.rec.Blocked != "" && n.rec.Blocked != IssueRefused:`, `case n.rec.Blocked != "":`}},
		Package: "rotation/rotationtest", Test: "TestRuleARefusedOrderIsTriedAgain",
		InWorlds: true,
	},
	{
		Name: "highest-number-blocks", Rule: "no number is used that not every reader of JSON takes whole",
		Where:   `design.md, "Words"`,
		Edits:   []edit{{"rotation/issue.go", `if n.rec.High >= MaxGeneration {`, `if n.rec.High >= 1<<63 {`}},
		Package: "rotation/rotationtest", Test: "TestRuleTheHighestNumberBlocks",
		Beyond: "nobody there makes a label with such a number",
	},
	{
		Name: "five-live-tokens", Rule: "a slot with five live tokens issues no other",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `if n.live() >= n.bound() {`, `if n.live() >= 1000*n.bound() {`}},
		Package: "rotation/rotationtest", Test: "TestRuleFiveLiveGenerations",
		InWorlds: true,
	},
	{
		Name: "ten-at-the-end", Rule: "the bound is doubled when what a target serves is about to end",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `return 2 * maxLive`, `return maxLive`}},
		Package: "rotation/rotationtest", Test: "TestRuleBoundDoesNotStarveWhatIsServed",
		InWorlds: true,
	},
	{
		Name: "revoked-dont-count", Rule: "tokens that are listed as revoked don't count as live",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `if listed := n.tokenOf(g); listed != nil && !listed.Active {`, `if listed := n.tokenOf(g); listed != nil && !listed.Active && false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleRevokedTokensDontCountAsLive",
		Beyond: "five revoked tokens are never there at one time: each is deleted after half a day",
	},
	{
		Name: "gone-takes-no-place", Rule: "a current token that is gone doesn't count as live",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `} else if g.State == Live && n.rec.Lost == TokenGone {`, `} else if false {`}},
		Package: "rotation/rotationtest", Test: "TestRuleACurrentTokenThatIsGoneTakesNoPlace",
		Beyond: "it takes four live tokens of another journal and a deletion by hand: a world in several thousand, one of which found the rule",
	},
	{
		Name: "back-off-between-issues", Rule: "one issue after the other waits, twice as long each time",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `if n.now.Before(n.rec.RetryAt) && !(urgent && n.rec.Attempts < patience) {`, `if false && urgent {`}},
		Package: "rotation", Test: "TestRuleBackOffHoldsNoRequestAndNoDeadToken",
		Beyond: "it takes a fault to ask for one issue after the other, and between two faults is longer than the back-off",
	},
	{
		Name: "urgent-for-three-issues-only", Rule: "from the third issue in a row urgent reasons wait too",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `!(urgent && n.rec.Attempts < patience)`, `!urgent`}},
		Package: "rotation", Test: "TestRuleBackOffHoldsNoRequestAndNoDeadToken",
		Beyond: "it takes a fault to ask for one issue after the other, and between two faults is longer than the back-off",
	},
	{
		Name: "urgent-doesnt-wait", Rule: "a dead, lost or expiring token doesn't wait for the back-off",
		Where:   "docs/decisions/runaway.md",
		Edits:   []edit{{"rotation/issue.go", `!(urgent && n.rec.Attempts < patience)`, `(n.rec.Attempts > 0 || urgent)`}},
		Package: "rotation", Test: "TestRuleBackOffHoldsNoRequestAndNoDeadToken",
		Beyond: "what is at stake is five minutes",
	},
	{
		Name: "two-lists-before-gone", Rule: "the current token is gone only when a second list lacks it too",
		Where: `design.md, "More rules"`,
		Edits: []edit{{"rotation/next.go", `		n.note(Miss{Generation: g.Number, At: n.obs.Tokens.At})
		return false`, `		return true`}},
		Package: "rotation/rotationtest", Test: "TestRuleDeletedByOthersIsGoneByTwoLists",
		InWorlds: true,
	},
	{
		Name: "failed-proof-before-gone", Rule: "the current token is gone only when its proof fails too",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/next.go", `	case proof.Result == ProvedLive: // it is the list that lacks something`, `	case false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleGoneByTwoListsAndAFailedProof",
		Beyond: "each of their lists lags by itself, and two in a row hardly ever lack one token",
	},
	{
		Name: "list-from-after-the-issue", Rule: "a list from before the issue can't miss the token",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/next.go", `if n.obs.Tokens.At.Before(g.IssuedAt) || !n.missedTwice(g, issuing) {`, `if !n.missedTwice(g, issuing) {`}},
		Package: "rotation", Test: "TestNextKeepsTheCurrentToken",
		Beyond: "the list at hand has the new token put in, and older ones are not used any more; two lists and a proof are asked for besides",
	},
	{
		Name: "revoked-by-others-rotates", Rule: "a current token that others revoked is replaced",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/next.go", `case !listed.Active && n.rec.Blocked == "":`, `case false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleRevokedByOthers",
		InWorlds: true,
	},
	{
		Name: "expired-rotates", Rule: "a current token that has run out is replaced",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/next.go", `	case listed.Expired(n.now):
		n.note(Lose{Reason: TokenExpired})`, `	case false:`}},
		Package: "rotation", Test: "TestNextKeepsTheCurrentToken",
		Beyond: "`last-call` comes before the end of each token",
	},
	{
		Name: "last-call", Rule: "a token that is about to run out is urgent",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `	{dueByExpiry, true},
`, ``}},
		Package: "rotation", Test: "TestNextDueByAChain",
		Beyond: "`age` comes before it, and `expired-rotates` after it",
	},
	{
		Name: "age", Rule: "a token is replaced at its age",
		Where: `design.md, "Issuing"`,
		Edits: []edit{{"rotation/issue.go", `	{dueByAge, false},
`, ``}, {"rotation/issue.go", `		n.at(n.rec.dueAt(n.pol.Schedule))
`, ``}},
		Package: "rotation", Test: "TestNextDueByAChain",
		InWorlds: true,
	},
	{
		Name: "jitter-drawn-once", Rule: "when a token is due is drawn once and journaled",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/transitions.go", `r.DueAt = drawDueAt(intent.Label, now, token.Expires, s)`, `r.DueAt = time.Time{}`}},
		Package: "rotation/rotationtest", Test: "TestRuleJitterIsDrawnOnceAndJournaled",
		Beyond: "it spreads load, and no promise hangs on it",
	},
	{
		Name: "went-with-its-account", Rule: "tokens that died with their account are no reason to issue",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/next.go", `return n.haveAccount(n.obs.Tokens.At) && n.obs.Account.Ready()`, `return true`}},
		Package: "rotation", Test: "TestNextKeepsTheCurrentToken",
		InWorlds: true,
	},
	{
		Name: "account-is-not-made-again", Rule: "an account that others deleted is never made again unasked",
		Where: "docs/decisions/accounts.md",
		Edits: []edit{{"rotation/account.go", `	case gone && rec.Blocked == AccountGone:
		return accountWait, AccountGone`, `	case gone && rec.Blocked == AccountGone:
		return accountCreate, ""`}},
		Package: "rotation/rotationtest", Test: "TestRuleAccountTakenAwayBlocksItsSlots",
		InWorlds: true,
	},
	{
		Name: "deleted-account-of-a-lost-journal", Rule: "nor one that was deleted while the journal was lost",
		Where:   "docs/decisions/accounts.md",
		Edits:   []edit{{"rotation/account.go", `deleted && !rec.Remake && rec.Blocked == "":`, `deleted && !rec.Remake && rec.Blocked != "":`}},
		Package: "rotation/rotationtest", Test: "TestRuleALostJournalDoesNotMakeADeletedAccountAgain",
		InWorlds: true,
	},
	{
		Name: "token-of-the-account-before", Rule: "a token of an account that another one replaced is replaced too",
		Where:   "docs/decisions/accounts.md",
		Edits:   []edit{{"rotation/next.go", `case listed.UserID != 0 && listed.UserID != n.obs.Account.UserID && n.accountStands():`, `case false:`}},
		Package: "rotation/rotationtest", Test: "TestRuleATokenOfTheAccountBeforeIsReplaced",
		InWorlds: true,
	},
	{
		Name: "account-gone-by-two-lists", Rule: "an account is gone only when a second list lacks it too",
		Where:   "docs/decisions/accounts.md",
		Edits:   []edit{{"rotation/account.go", `case gone && listAt.Before(rec.MissingAt.Add(missGap)):`, `case false:`}},
		Package: "rotation", Test: "TestNextSeesThatAnAccountIsGone",
		Beyond: "their lists of accounts lack none",
	},
	{
		Name: "delivery-before-the-next-issue", Rule: "a delivery under way ends before the next token is made",
		Where:   "docs/decisions/issuing.md",
		Edits:   []edit{{"rotation/issue.go", `if n.accountReady() && len(n.deeds) == 0 {`, `if n.accountReady() {`}},
		Package: "rotation", Test: "TestNextIssues",
		Beyond: "their agents act in turn, so that a world can be played again",
	},
	{
		Name: "no-intent-from-the-future", Rule: "an intent of an earlier process was posted before this one began, whatever the clock said",
		Where:   `design.md, "More rules"`,
		Edits:   []edit{{"rotation/issue.go", `if at := earlier(intent.At, n.obs.Began); !mine`, `if at := intent.At; !mine`}},
		Package: "rotation", Test: "TestNextIssues",
		InWorlds: true,
	},
}
