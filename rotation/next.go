package rotation

import (
	"slices"
	"time"
)

const (
	// maxLive is how many live tokens a slot may have before nothing more is
	// issued: it bounds a loop of crashes (docs/decisions/runaway.md).
	maxLive = 5
	// missGap is the least time between two lists that both lack a token.
	missGap = 10 * time.Second
	// lookValid is how long a reading or a proof serves as ground for a
	// revocation.
	lookValid = time.Minute
	// ownUse is how much later than our own proof last_used may be and still
	// be our own use.
	ownUse = 2 * time.Second
	// maxUnproved is how often a token that the list calls live may fail its
	// proof before it is replaced.
	maxUnproved = 10
)

// Next decides what to do now: a set of actions that don't depend on each
// other, and why. It is pure, and the only place that decides. The engine does
// the actions, brings record and observation up to date, and asks again, until
// the answer is a single Wait.
//
// Looks come before notes and notes before deeds: nothing is decided on what
// wasn't looked at, and what was seen is committed before the world is changed.
func Next(rec Record, obs Observation, pol Policy, now time.Time) ([]Action, Reason) {
	return next(&rec, &obs, &pol, now)
}

// next is Next without its copies. It changes nothing behind its pointers.
func next(rec *Record, obs *Observation, pol *Policy, now time.Time) ([]Action, Reason) {
	if pol.Removed && rec.Parting != nil {
		last := *pol
		last.Schedule = rec.Parting.schedule()
		pol = &last
	}
	n := pass{rec: rec, obs: obs, pol: pol, now: now}
	n.decide()
	return n.answer()
}

// decide asks the machines.
func (n *pass) decide() {
	if n.rec.Revision == 0 {
		n.rebuild()
		return
	}
	if n.requests(); len(n.first) == 0 && !n.hasten() {
		n.discover()
		n.keep()
		n.targets()
		n.retire()
		n.issue()
		n.finish()
		n.removeOld()
		n.part()
		if n.resume != nil && len(n.notes) == 0 { // a person speaks of all that is known by now
			n.note(*n.resume)
		}
	}
	n.hooks()
}

// pass is one call of Next.
type pass struct {
	rec *Record
	obs *Observation
	pol *Policy
	now time.Time

	looks, notes, deeds []Action
	// first goes before all looks; beside are looks that go with deeds.
	first, beside []Action
	// hurry: something leaked, and is to be dead soon.
	hurry bool
	// pause is in force; taken: a request is begun with.
	pause        *Request
	taken        bool
	resume       *Resume
	tokensAfter  *time.Time
	accountAfter *time.Time
	// until is when there may be something to do, whatever is listed;
	// relistAt is when the list at hand is too old.
	until, relistAt time.Time
	reasons         [3]Reason
}

// machine orders the three machines by whose reason is told first.
type machine int

const (
	issuing machine = iota
	delivering
	retiring
)

// reason is that of the first machine that has one.
func (n *pass) reason() Reason {
	for _, r := range n.reasons {
		if r != "" {
			return r
		}
	}
	return AtRest
}

func (n *pass) answer() ([]Action, Reason) {
	reason := n.reason()
	if n.tokensAfter != nil {
		n.looks = append(n.looks, LookTokens{After: *n.tokensAfter})
	}
	if n.accountAfter != nil {
		n.looks = append(n.looks, EnsureAccount{After: *n.accountAfter, Look: n.pol.Removed || n.pause != nil && !n.hurry})
	}
	if len(n.deeds) > 0 {
		n.deeds = append(n.deeds, n.beside...)
	}
	for _, set := range [][]Action{n.first, n.looks, n.notes, n.deeds} {
		if len(set) > 0 {
			return set, reason
		}
	}
	return []Action{Wait{Until: sooner(n.until, n.relistAt)}}, reason
}

// wait says that a machine has nothing to do before until.
func (n *pass) wait(m machine, until time.Time, why Reason) {
	n.at(until)
	if n.reasons[m] == "" {
		n.reasons[m] = why
	}
}

// at asks for another pass at t at the latest.
func (n *pass) at(t time.Time) {
	if t.IsZero() {
		return
	}
	if !t.After(n.now) {
		t = n.now.Add(time.Second) // it was tried just now, without a change
	}
	if n.until.IsZero() || t.Before(n.until) {
		n.until = t
	}
}

// held reports whether the API is not to be called now. What an emergency does
// has a back-off of its own, and goes ahead unless the API asked to wait.
func (n *pass) held() bool {
	if n.hurry && n.obs.Held.Reason != APIThrottled {
		return false
	}
	return n.listsHeld()
}

// listsHeld is held for lists, which have no other back-off.
func (n *pass) listsHeld() bool {
	if !n.now.Before(n.obs.Held.Until) {
		return false
	}
	n.wait(issuing, n.obs.Held.Until, n.obs.Held.Reason)
	return true
}

func (n *pass) look(a Action) {
	switch a := a.(type) {
	case Prove, ProveOther:
		if n.held() {
			return
		}
	case Read: // it tells all that a glance would
		n.looks = slices.DeleteFunc(n.looks, func(b Action) bool { return b == Glance(a) })
	}
	if !slices.Contains(n.looks, a) {
		n.looks = append(n.looks, a)
	}
}

func (n *pass) note(a Action) { n.notes = append(n.notes, a) }

func (n *pass) deed(a Action) {
	switch a.(type) {
	case Issue, Revoke, RevokeForeign, Restore, Delete:
		if n.held() {
			return
		}
	}
	n.deeds = append(n.deeds, a)
}

// haveTokens reports whether a list is at hand that was asked for at or after
// the given time, and is no older than the sweep allows. If not, it asks.
func (n *pass) haveTokens(after time.Time) bool {
	if oldest := n.now.Add(-n.pol.Sweep); after.Before(oldest) {
		after = oldest
	}
	if n.obs.Tokens != nil && !n.obs.Tokens.At.Before(after) {
		return true
	}
	if !n.listsHeld() && (n.tokensAfter == nil || after.After(*n.tokensAfter)) {
		n.tokensAfter = new(after)
	}
	return false
}

// haveAccount reports whether the account was ensured, at or after the given
// time. If not, it asks.
func (n *pass) haveAccount(after time.Time) bool {
	if n.obs.Account != nil && !n.obs.Account.At.Before(after) {
		return true
	}
	if !n.listsHeld() && (n.accountAfter == nil || after.After(*n.accountAfter)) {
		n.accountAfter = new(after)
	}
	return false
}

func (n *pass) tokenByID(id int64) *Token {
	for i := range n.obs.Tokens.Mine {
		if t := &n.obs.Tokens.Mine[i]; t.ID == id && id != 0 {
			return t
		}
	}
	return nil
}

func (n *pass) tokenByLabel(label string) *Token {
	for i := range n.obs.Tokens.Mine {
		if t := &n.obs.Tokens.Mine[i]; t.Label == label {
			return t
		}
	}
	return nil
}

// discover brings the record up to what is listed under the slot's label.
func (n *pass) discover() {
	if !n.haveTokens(time.Time{}) {
		return
	}
	for _, t := range n.obs.Tokens.Mine {
		number, ours := ParseLabel(t.Label, n.pol.Token, n.pol.AgentID)
		if !ours || n.rec.Intent != nil && n.rec.Intent.Generation == number {
			continue
		}
		g := n.rec.generation(number)
		switch {
		case g == nil:
			n.note(Discover{Token: t, Generation: number})
		case g.TokenID == 0:
			n.note(Move{Generation: number, To: ghostState(g), Reason: Ghost, TokenID: t.ID, Created: t.Created})
		case g.State != Gone || n.obs.Tokens.At.Before(g.GoneAt):
		case g.TokenID == t.ID:
			n.note(Move{Generation: number, To: ghostState(g), Reason: Ghost, Created: t.Created})
		default: // another journal used the number again
			n.note(Discover{Token: t, Generation: number})
		}
	}
}

// ghostState is where a token of ours goes whose value nobody has.
func ghostState(g *Generation) State {
	if g.Claimed {
		return Waiting
	}
	return Unclaimed
}

// keep looks after the current token: is it still what the API calls live? Of a
// slot that isn't declared, nobody asks.
func (n *pass) keep() {
	g := n.rec.current()
	tokens := n.haveTokens(time.Time{})
	if tokens {
		n.relistAt = n.obs.Tokens.At.Add(n.pol.relistAfter())
	}
	if n.pol.Removed {
		return
	}
	account := n.haveAccount(time.Time{})
	if g == nil || n.rec.Lost != "" || !tokens || !account {
		return
	}
	n.at(n.obs.Account.RetryAt)
	if why := n.obs.Account.Blocked; why != "" {
		n.wait(issuing, time.Time{}, why)
		return
	}
	listed := n.tokenByID(g.TokenID)
	switch {
	case listed == nil:
		n.keepMissing(g)
	case !g.MissingAt.IsZero():
		n.note(Miss{Generation: g.Number})
	case !listed.Live(n.now) && !n.accountStands():
	case !listed.Active && n.pol.BlockOnRevocation && n.rec.Blocked == "":
		n.note(Block{Reason: RevokedByOthers})
	case !listed.Active && n.rec.Blocked == "":
		n.note(Lose{Reason: RevokedByOthers})
	case listed.Expired(n.now):
		n.note(Lose{Reason: TokenExpired})
	case listed.UserID != 0 && listed.UserID != n.obs.Account.UserID && n.accountStands(): // of the account that this one replaces
		n.note(Lose{Reason: TokenGone})
	}
}

// accountStands reports whether the account is in use, asked no earlier than
// the list at hand: what befell its tokens with it is no reason to issue.
func (n *pass) accountStands() bool {
	return n.haveAccount(n.obs.Tokens.At) && n.obs.Account.Ready()
}

// keepMissing needs two complete lists and a failed proof before it calls the
// current token gone.
func (n *pass) keepMissing(g *Generation) {
	if n.obs.Tokens.At.Before(g.IssuedAt) || !n.missedTwice(g, issuing) {
		return
	}
	switch proof, asked := n.obs.Proofs[g.Number]; {
	case !asked:
		n.look(Prove{Generation: g.Number})
	case proof.Result == ProvedLive: // it is the list that lacks something
	case !n.accountStands():
	case proof.Result == NotProved:
		n.wait(issuing, n.now.Add(time.Minute), APIUnavailable)
	default:
		n.note(Lose{Reason: TokenGone})
	}
}

// missedTwice reports whether two complete lists, some time apart, lacked the
// token; it takes a note of the first and asks for the second.
func (n *pass) missedTwice(g *Generation, m machine) bool {
	second := g.MissingAt.Add(missGap)
	switch {
	case g.MissingAt.IsZero():
		n.note(Miss{Generation: g.Number, At: n.obs.Tokens.At})
		return false
	case n.now.Before(second):
		n.wait(m, second, TokenGone)
		return false
	}
	return n.haveTokens(second)
}
