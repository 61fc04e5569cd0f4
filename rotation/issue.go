package rotation

import "time"

// issue is the issuing machine: idle → intended → issued.
func (n *pass) issue() {
	if n.stopped(issuing) {
		return
	}
	switch {
	case n.rec.Blocked == IssueRefused && n.now.Before(n.rec.RetryAt):
		n.wait(issuing, n.rec.RetryAt, IssueRefused)
		return
	case n.rec.Blocked != "" && n.rec.Blocked != IssueRefused:
		n.wait(issuing, time.Time{}, n.rec.Blocked)
		return
	}
	if n.rec.Intent != nil {
		n.pursue(n.rec.Intent)
		return
	}
	why, urgent := due(n.rec, n.obs, n.pol, n.now)
	if why == "" {
		n.at(n.rec.dueAt(n.pol.Schedule))
		return
	}
	if n.now.Before(n.rec.RetryAt) && !(urgent && n.rec.Attempts < patience) {
		n.wait(issuing, n.rec.RetryAt, why)
		return
	}
	if !n.replaces() && !n.mayIssue() {
		return
	}
	if len(n.notes) > 0 { // the number must be above all that was seen
		return
	}
	if n.rec.High >= MaxGeneration {
		n.note(Block{Reason: NumbersUsedUp})
		return
	}
	number := n.rec.High + 1
	n.note(Intend{Generation: number, Label: Label(n.pol.Token, n.pol.AgentID, number),
		Reason: why, Request: n.lastRotateRequest()})
}

// mayIssue asks all that a new token stands on: its account, what is listed, how
// many live already, and a target that can take it.
func (n *pass) mayIssue() bool {
	if !n.accountReady() || !n.haveTokens(time.Time{}) {
		return false
	}
	if n.live() >= n.bound() {
		n.wait(issuing, n.now.Add(n.pol.Sweep), TooManyLive)
		return false
	}
	return n.anyTargetReady()
}

// live counts the slot's tokens that may still work. Those that are listed as
// revoked don't, whatever state they have, nor does a current one that is gone.
func (n *pass) live() int {
	count := n.rec.live(n.now)
	for i := range n.rec.Generations {
		if g := &n.rec.Generations[i]; g.counts(n.now) {
			if listed := n.tokenOf(g); listed != nil && !listed.Active {
				count--
			} else if g.State == Live && n.rec.Lost == TokenGone {
				count--
			}
		}
	}
	return count
}

// bound is how many live tokens the slot may have. It is doubled when what a
// target serves is about to end: tokens that nobody may revoke, because another
// target holds what isn't ours, must not keep this one from its next.
func (n *pass) bound() int {
	s := n.pol.Schedule
	for _, t := range n.pol.Targets {
		g := n.rec.generation(n.rec.Targets[t.Key].Serves)
		if g == nil || g.Expires.IsZero() {
			continue
		}
		soon := g.Expires.Add(-(s.Lifetime - s.Every) / 2)
		if !n.now.Before(soon) {
			return 2 * maxLive
		}
		n.at(soon)
	}
	return maxLive
}

// patience is how many issues one after the other an urgent reason may ask for
// without back-off (docs/decisions/runaway.md).
const patience = 3

// pursue carries an intent out, or gives it up when its label is taken.
func (n *pass) pursue(intent *Intent) {
	if n.now.Before(intent.RetryAt) {
		n.wait(issuing, intent.RetryAt, BackOff)
		return
	}
	posted, mine := n.obs.Posted[intent.Generation], intent.Process == n.obs.Process
	// An earlier process may have posted it, though not after this one began,
	// whatever the clock said by which the intent was journaled.
	if at := earlier(intent.At, n.obs.Began); !mine && posted.Before(at) {
		posted = at
	}
	unseen := n.replaces() && posted.IsZero() // a label that is taken is refused as well
	if !unseen && !n.haveTokens(posted) {
		return
	}
	if t := n.listedUnder(intent.Label); t != nil {
		n.note(Burn{TokenID: t.ID, Created: t.Created, Claimed: !posted.IsZero()})
		return
	}
	if n.accountReady() && len(n.deeds) == 0 { // a delivery under way is of the token before
		n.deed(Issue{UserID: n.obs.Account.UserID})
	}
}

// listedUnder is the token of that label, as far as a list is at hand.
func (n *pass) listedUnder(label string) *Token {
	if n.obs.Tokens == nil {
		return nil
	}
	return n.tokenByLabel(label)
}

func (n *pass) accountReady() bool {
	if n.obs.Account == nil && n.replaces() {
		n.look(EnsureAccount{Known: true})
		return false
	}
	if !n.haveAccount(time.Time{}) {
		return false
	}
	account := n.obs.Account
	switch {
	case account.Blocked != "":
		n.wait(issuing, n.now.Add(n.pol.DriftCheck), account.Blocked)
	case !account.RetryAt.IsZero():
		n.wait(issuing, account.RetryAt, BackOff)
	}
	return account.Ready()
}

// anyTargetReady reports whether a delivery would be allowed at one target at
// least. It reads all of them: what they serve decides the next number.
func (n *pass) anyTargetReady() bool {
	ready := false
	for _, t := range n.pol.Targets {
		s, ok := n.serving(t.Key)
		if !ok {
			continue
		}
		if s.Kind == ForeignValue && !t.TakeOver {
			n.wait(issuing, n.now.Add(n.pol.DriftCheck), NoTargetReady)
			continue
		}
		switch why, asked := n.obs.Checks[t.Key]; {
		case !asked:
			n.look(Check{Target: t.Key})
		case why == "":
			ready = true
		default:
			n.wait(issuing, n.now.Add(time.Minute), NoTargetReady)
		}
	}
	return ready
}

func (n *pass) lastRotateRequest() int64 {
	var last int64
	for _, r := range n.obs.Requests {
		if r.ID > n.rec.Handled && r.Kind == RequestRotate {
			last = r.ID
		}
	}
	return last
}

// rebuild makes the first record of a slot: a new one, or after a lost journal
// what the list and the targets tell.
func (n *pass) rebuild() {
	looked := n.haveTokens(time.Time{})
	for _, t := range n.pol.Targets {
		if seen, ok := n.obs.Targets[t.Key]; !ok {
			n.look(Read{Target: t.Key})
		} else if seen.Failed == "" && looked {
			n.serving(t.Key)
		}
	}
	if looked {
		n.note(Rebuild{})
	}
}

// Rebuilt is the record that Rebuild commits. What metadata proves is adopted
// as served; nothing that is found is claimed.
func Rebuilt(obs Observation, pol Policy, now time.Time) Record {
	rec := Record{Slot: pol.Slot}
	for _, t := range obs.Tokens.Mine {
		if number, ours := ParseLabel(t.Label, pol.Token, pol.AgentID); ours {
			rec.discover(t, number)
		}
	}
	n := &pass{rec: &rec, obs: &obs, pol: &pol, now: now}
	for _, t := range pol.Targets {
		seen, ok := obs.Targets[t.Key]
		if !ok || seen.Failed != "" {
			continue
		}
		r := seen.Reading
		if r.Meta.Slot != rec.Slot || r.Meta.Generation == 0 {
			continue
		}
		g := rec.generation(r.Meta.Generation)
		listed := n.tokenByID(r.Meta.TokenID)
		if g == nil || listed == nil || g.TokenID != listed.ID || !listed.Live(now) {
			continue
		}
		g.Fingerprint = r.Meta.Token
		if g.Number > rec.Current {
			rec.adoptAsServed(g, pol.Schedule)
		}
	}
	return rec
}

// due asks the checks in order for a reason to issue. urgent: the back-off of
// earlier issues doesn't hold it.
func due(rec *Record, obs *Observation, pol *Policy, now time.Time) (why Reason, urgent bool) {
	for _, c := range checks {
		if why := c.due(rec, obs, pol, now); why != "" {
			return why, c.urgent
		}
	}
	return "", false
}

// checks is the chain of what makes a token due; the first that says so gives
// the reason.
var checks = []struct {
	due    func(*Record, *Observation, *Policy, time.Time) Reason
	urgent bool
}{
	{dueByRequest, true},
	{dueAgain, true},
	{dueAsFirst, false},
	{dueAsLost, true},
	{dueByExpiry, true},
	{dueByDeclaration, false},
	{dueByAge, false},
}

func dueByRequest(rec *Record, obs *Observation, _ *Policy, _ time.Time) Reason {
	for _, r := range obs.Requests {
		if r.Kind == RequestRotate && r.ID > rec.Handled {
			return Requested
		}
	}
	return ""
}

func dueAgain(rec *Record, _ *Observation, _ *Policy, _ time.Time) Reason { return rec.Again }

func dueAsFirst(rec *Record, _ *Observation, _ *Policy, _ time.Time) Reason {
	if rec.current() == nil {
		return NeverIssued
	}
	return ""
}

func dueAsLost(rec *Record, _ *Observation, _ *Policy, _ time.Time) Reason { return rec.Lost }

// dueByExpiry is the last call: half of the time between the planned rotation
// and the real expiry is gone.
func dueByExpiry(rec *Record, _ *Observation, pol *Policy, now time.Time) Reason {
	g := rec.current()
	if g.Expires.IsZero() {
		return ""
	}
	left := max(0, g.Expires.Sub(rec.dueAt(pol.Schedule)))
	if !now.Before(g.Expires.Add(-left / 2)) {
		return Expiring
	}
	return ""
}

// dueByDeclaration: a longer life was asked for than is declared now. What the
// API gave beyond that is no reason: the next token would live as long. Of a
// token that was found, only the expiry is known.
func dueByDeclaration(rec *Record, _ *Observation, pol *Policy, _ time.Time) Reason {
	g := rec.current()
	if pol.Schedule.Lifetime == 0 {
		return ""
	}
	longest := pol.Schedule.Days()
	longer := g.Expires.IsZero() || g.Expires.Sub(g.IssuedAt) > time.Duration(longest+1)*Day
	if g.Days != nil {
		longer = *g.Days == 0 || *g.Days > longest
	}
	if longer {
		return DeclarationChanged
	}
	return ""
}

func dueByAge(rec *Record, _ *Observation, pol *Policy, now time.Time) Reason {
	if at := rec.dueAt(pol.Schedule); !at.IsZero() && !now.Before(at) {
		return Age
	}
	return ""
}

// dueAt is when age asks for a new token: as drawn at the issue, or earlier if
// the declaration has come to ask for it.
func (r *Record) dueAt(s Schedule) time.Time {
	g := r.current()
	if g == nil {
		return time.Time{}
	}
	at := r.DueAt
	if s.Every > 0 {
		if byAge := g.IssuedAt.Add(s.Every); at.IsZero() || byAge.Before(at) {
			at = byAge
		}
	}
	return at
}

// drawDueAt draws when a token issued at the given time is to be replaced: up
// to a fiftieth of every earlier than every says, so that tokens issued
// together don't stay together. A token that the API gave a shorter life is
// replaced at three quarters of it.
func drawDueAt(label string, issued, expires time.Time, s Schedule) time.Time {
	var at time.Time
	if s.Every > 0 {
		at = issued.Add(s.Every - time.Duration(fraction(label)*float64(s.Every)/50))
	}
	if expires.IsZero() {
		return at
	}
	if latest := issued.Add(expires.Sub(issued) * 3 / 4); at.IsZero() || !at.Before(expires) {
		at = latest
	}
	return at
}
