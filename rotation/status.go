package rotation

import (
	"strings"
	"time"
)

// SlotState is a slot's state in one word.
type SlotState string

// The states of a slot, as status tells them.
const (
	// SlotNew: nothing is recorded yet.
	SlotNew SlotState = "new"
	// SlotIssuing: a token is being issued, or is due and waits.
	SlotIssuing SlotState = "issuing"
	// SlotDelivering: some target doesn't serve the current token yet.
	SlotDelivering SlotState = "delivering"
	// SlotCurrent: every target serves the current token.
	SlotCurrent SlotState = "current"
	// SlotBlocked: a person is needed.
	SlotBlocked SlotState = "blocked"
	// SlotPaused: an operator said that nothing is to be done.
	SlotPaused SlotState = "paused"
	// SlotRemoved: it isn't declared any more, and something is still to be done.
	SlotRemoved SlotState = "removed"
)

// Status is a slot as people and programs are told of it. The JSON keys are a
// contract (design.md, "The command line"). It holds no secret.
type Status struct {
	Slot       string     `json:"slot"`
	State      SlotState  `json:"state"`
	Reason     Reason     `json:"reason"`
	Generation uint64     `json:"generation"`
	TokenID    int64      `json:"token_id"`
	IssuedAt   *time.Time `json:"issued_at"`
	// LastUsedAt is when Qualytics last saw the token used, our own proofs
	// included; nil when only a running agent could tell, or it never was.
	LastUsedAt *time.Time      `json:"last_used_at,omitempty"`
	ExpiresAt  *time.Time      `json:"expires_at"`
	NextAt     *time.Time      `json:"next_at"`
	Next       string          `json:"next"`
	Targets    []TargetStatus  `json:"targets"`
	Retired    []RetiredStatus `json:"retired"`
	// Hooks are those that are still to tell others of a change.
	Hooks []HookStatus `json:"hooks,omitempty"`
	// Detail is what more there is to say of Reason, for people.
	Detail string `json:"detail,omitempty"`
	// Paused are the pauses in force, the first one first; see Heed.
	Paused []PauseStatus `json:"paused,omitempty"`
	// Emergency is set while one is open (agent/report fills it in).
	Emergency *EmergencyReport `json:"emergency,omitempty"`
}

// TargetStatus is one target of a Status.
type TargetStatus struct {
	Backend    string      `json:"backend"`
	Path       string      `json:"path"`
	Generation uint64      `json:"generation"`
	State      TargetState `json:"state"`
	Reason     Reason      `json:"reason"`
	Since      *time.Time  `json:"since"`
	RetryAt    *time.Time  `json:"retry_at,omitempty"`
}

// RetiredStatus is one token that is on its way out.
type RetiredStatus struct {
	Generation uint64     `json:"generation"`
	TokenID    int64      `json:"token_id"`
	State      State      `json:"state"`
	Reason     Reason     `json:"reason"`
	Until      *time.Time `json:"until"`
	// LastUsedAt is as in Status: who still uses the old token shows here.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// HookStatus is a hook that hasn't succeeded yet.
type HookStatus struct {
	Hook  string    `json:"hook"`
	After HookAfter `json:"after"`
	// Backend and Path are where the token was delivered; "" after a
	// revocation.
	Backend    string     `json:"backend,omitempty"`
	Path       string     `json:"path,omitempty"`
	Generation uint64     `json:"generation"`
	Required   bool       `json:"required"`
	Since      time.Time  `json:"since"`
	Attempts   int        `json:"attempts"`
	RetryAt    *time.Time `json:"retry_at,omitempty"`
}

// Describe tells a slot's status from its record and its account's. A slot
// without a record is new.
func Describe(rec Record, account AccountRecord, pol Policy) Status {
	s := Status{Slot: pol.Slot, Targets: make([]TargetStatus, 0, len(pol.Targets)), Retired: []RetiredStatus{}}
	if g := rec.current(); g != nil {
		s.Generation, s.TokenID = g.Number, g.TokenID
		s.IssuedAt, s.ExpiresAt = moment(g.IssuedAt), moment(g.Expires)
	}
	s.State, s.Reason = rec.describe(account)
	if pol.Removed {
		s.State, s.Reason = SlotRemoved, NotDeclared
		if rec.Parting != nil {
			pol.Schedule = rec.Parting.schedule()
		}
	}
	s.soonest(rec.dueAt(pol.Schedule), "rotate")
	s.describeTargets(&rec, &pol)
	untold := s.describeHooks(&rec, &pol)
	for i := range rec.Generations {
		if g := &rec.Generations[i]; g.State != Live && g.State != Gone {
			until, why := g.until(pol.Schedule), g.Reason
			if untold && (g.State == Grace || g.State == Hold || g.State == Revoking) {
				why = HookRequired
			}
			s.Retired = append(s.Retired, RetiredStatus{Generation: g.Number, TokenID: g.TokenID,
				State: g.State, Reason: why, Until: moment(until)})
			s.soonest(until, g.next())
		}
	}
	return s
}

// Used fills in when the tokens of the slot were last used, from a list of them.
func (s *Status) Used(tokens []Token) {
	for _, t := range tokens {
		if t.ID == s.TokenID {
			s.LastUsedAt = moment(t.LastUsed)
		}
		for i := range s.Retired {
			if s.Retired[i].TokenID == t.ID {
				s.Retired[i].LastUsedAt = moment(t.LastUsed)
			}
		}
	}
}

// DescribeBadRow tells the status of a slot of which the journal holds what
// can't be read, or of whose account. Nothing is known of its tokens, and its
// targets wait with it.
func DescribeBadRow(bad *BadRow, pol Policy) Status {
	s := Status{Slot: pol.Slot, State: SlotBlocked, Reason: JournalUnreadable, Detail: bad.Error(),
		Targets: []TargetStatus{}, Retired: []RetiredStatus{}}
	for _, t := range pol.Targets {
		backend, path, _ := strings.Cut(t.Key, "/")
		s.Targets = append(s.Targets, TargetStatus{Backend: backend, Path: path, State: TargetBlocked, Reason: JournalUnreadable})
	}
	return s
}

// describe tells the state as far as the targets don't matter.
func (r *Record) describe(account AccountRecord) (SlotState, Reason) {
	switch {
	case r.Revision == 0:
		return SlotNew, NeverIssued
	case account.Blocked != "":
		return SlotBlocked, account.Blocked
	case r.Blocked != "":
		return SlotBlocked, r.Blocked
	case r.Intent != nil:
		return SlotIssuing, r.Intent.Reason
	case r.Current == 0:
		return SlotIssuing, NeverIssued
	case r.Lost != "":
		return SlotIssuing, r.Lost
	}
	if account.Refused {
		return SlotCurrent, AccountRefused
	}
	return SlotCurrent, AtRest
}

func (s *Status) describeTargets(rec *Record, pol *Policy) {
	for _, t := range pol.Targets {
		backend, path, _ := strings.Cut(t.Key, "/")
		seen, known := rec.Targets[t.Key]
		if !known {
			seen.State, seen.Reason = Behind, TargetNew
		}
		if seen.State != InStep && s.State == SlotCurrent {
			s.State, s.Reason = SlotDelivering, seen.Reason
		}
		s.Targets = append(s.Targets, TargetStatus{Backend: backend, Path: path, Generation: seen.Serves,
			State: seen.State, Reason: seen.Reason, Since: moment(seen.Since), RetryAt: moment(seen.RetryAt)})
		if seen.State == Behind {
			s.soonest(seen.RetryAt, "deliver to "+t.Key)
		}
	}
}

// describeHooks reports whether one of them is required.
func (s *Status) describeHooks(rec *Record, pol *Policy) (required bool) {
	add := func(owed []OwedHook, declared []HookPolicy, target string) {
		for _, o := range owed {
			hook, known := hookNamed(declared, o.Hook)
			if !known {
				continue
			}
			h := HookStatus{Hook: o.Hook, After: AfterRevocation, Generation: o.Generation, Required: hook.Required,
				Since: o.Since.UTC(), Attempts: o.Attempts, RetryAt: moment(o.RetryAt)}
			if target != "" {
				h.After = AfterDelivery
				h.Backend, h.Path, _ = strings.Cut(target, "/")
			}
			s.Hooks = append(s.Hooks, h)
			required = required || hook.Required
		}
	}
	for _, t := range pol.Targets {
		add(rec.Targets[t.Key].Hooks, pol.OnDelivery, t.Key)
	}
	for i := range rec.Generations {
		add(rec.Generations[i].Hooks, pol.OnRevocation, "")
	}
	return required
}

// until is when a retired token's state ends by time alone; zero when it
// doesn't.
func (g *Generation) until(s Schedule) time.Time {
	switch g.State {
	case Grace, Revoking:
		return g.RevokeAfter
	case Hold:
		return g.HoldUntil
	case Observing, Deleting:
		return g.RevokedAt.Add(s.Observe)
	case Unclaimed, Waiting:
		return g.Expires
	}
	return time.Time{}
}

func (g *Generation) next() string {
	switch g.State {
	case Grace, Hold, Revoking:
		return "revoke"
	case Observing, Deleting:
		return "delete"
	}
	return "expire"
}

// soonest keeps the earliest of what comes next.
func (s *Status) soonest(at time.Time, what string) {
	if at.IsZero() || s.NextAt != nil && !at.Before(*s.NextAt) {
		return
	}
	s.NextAt, s.Next = moment(at), what
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
