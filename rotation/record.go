package rotation

import (
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Record is all that the journal keeps of one slot. It holds no secret. The
// zero Record with a Slot is a slot of which nothing is known.
type Record struct {
	// Slot is "<account id>/<token name>".
	Slot string `json:"slot"`
	// Revision is the journal's: 0 before the first commit, then rising.
	Revision int64 `json:"-"`
	// High is the highest generation ever recorded, listed or found in a
	// target. None up to it is issued again.
	High uint64 `json:"high"`
	// Intent is the will to issue, nil when the slot is idle.
	Intent *Intent `json:"intent,omitempty"`
	// Current is the generation that the targets are meant to serve; 0 is
	// none.
	Current uint64 `json:"current"`
	// Generations are all tokens of the slot, by rising number. Gone ones
	// stay for their fingerprints, the last keepGone of them.
	Generations []Generation `json:"generations,omitempty"`
	// Targets is what was last seen at each target, by Target.Key. A target
	// that left the declaration stays until the reload is applied.
	Targets map[string]TargetRecord `json:"targets,omitempty"`
	// DueAt is when age alone asks for a new token, jitter included: drawn
	// once, when the current one was issued.
	DueAt time.Time `json:"due_at,omitzero"`
	// Attempts counts the issues since all targets last served the current
	// token; RetryAt is when the back-off before the next one ends.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	// Blocked is why a person is needed; "" when none is.
	Blocked Reason `json:"blocked,omitempty"`
	// Lost is why the current token has to be replaced whatever its age; ""
	// when it need not.
	Lost Reason `json:"lost,omitempty"`
	// Again is the reason of an intent whose label was taken; "" else.
	Again Reason `json:"again,omitempty"`
	// Handled is the highest request that was applied to this slot.
	Handled int64 `json:"handled,omitempty"`
	// Parting is how the tokens end when the slot leaves the declaration; nil
	// leaves them as they are.
	Parting *Parting `json:"parting,omitempty"`
	// Emergency is the last one; nil: there never was one.
	Emergency *Emergency `json:"emergency,omitempty"`
}

// Intent is the journaled will to issue one generation.
type Intent struct {
	Generation uint64    `json:"generation"`
	Label      string    `json:"label"`
	Reason     Reason    `json:"reason"`
	At         time.Time `json:"at"`
	// Process names the run of the agent that wrote the intent.
	Process string `json:"process"`
	// Request is the operator's request that asked for it; 0 is none.
	Request int64 `json:"request,omitempty"`
	// Attempts and RetryAt are the back-off of the call that mints.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// Generation is one token of the slot.
type Generation struct {
	Number      uint64             `json:"number"`
	Label       string             `json:"label"`
	TokenID     int64              `json:"token_id"`
	Fingerprint secret.Fingerprint `json:"fingerprint,omitempty"`
	State       State              `json:"state"`
	// Claimed: this journal issued or intended it, or a person adopted it.
	// A token that isn't claimed is never revoked while it lives.
	Claimed bool `json:"claimed"`
	// Condemned: an operator's emergency says that it may not live.
	Condemned bool `json:"condemned,omitempty"`
	// Restore is the request that asked to undo its revocation; 0 is none.
	Restore int64 `json:"restore,omitempty"`
	// Reason is why it was issued, or how it was found.
	Reason   Reason    `json:"reason,omitempty"`
	IssuedAt time.Time `json:"issued_at,omitzero"`
	// Days is the lifetime that was asked for, as in Order. It is nil when
	// nobody knows: the token was found.
	Days *int `json:"days,omitempty"`
	// Expires is the zero time for never.
	Expires time.Time `json:"expires,omitzero"`
	// ProvedAt is our own last use of it, which sets last_used.
	ProvedAt time.Time `json:"proved_at,omitzero"`
	// RevokeAfter ends the grace: zero while some target may still serve it.
	// It is never moved to an earlier time.
	RevokeAfter time.Time `json:"revoke_after,omitzero"`
	// HoldUntil is the latest end of the hold.
	HoldUntil time.Time `json:"hold_until,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	// MissingAt is the first complete list that lacked it.
	MissingAt time.Time `json:"missing_at,omitzero"`
	// GoneAt is when it was found or made to be gone.
	GoneAt time.Time `json:"gone_at,omitzero"`
	// Hooks are owed, after its revocation.
	Hooks []OwedHook `json:"hooks,omitempty"`
	// Attempts and RetryAt are the back-off of proving, revoking, deleting.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// State is where a generation is in its life.
type State string

// The states, in the order of a life. A crash leaves a generation in the state
// it had, and the next pass goes on from there.
const (
	// Live: the token that the targets are meant to serve.
	Live State = "live"
	// Waiting: superseded, and some target may still serve it.
	Waiting State = "waiting"
	// Grace: no target serves it; consumers may still hold it.
	Grace State = "grace"
	// Hold: the grace is over and it is still used.
	Hold State = "hold"
	// Revoking: the decision is journaled, the call may have been made.
	Revoking State = "revoking"
	// Observing: revoked; restore is possible.
	Observing State = "observing"
	// Deleting: the decision is journaled, the call may have been made.
	Deleting State = "deleting"
	// Gone: the API doesn't know it any more, or never made it.
	Gone State = "gone"
	// Unclaimed: under our label, and not of this journal. It waits for a
	// person or for its expiry.
	Unclaimed State = "unclaimed"
)

// TargetState is how a target stands to the current token.
type TargetState string

// The states of a target.
const (
	// Behind: it doesn't serve the current token yet.
	Behind TargetState = "behind"
	// InStep: it was read back and serves the current token.
	InStep TargetState = "current"
	// Foreign: it holds what isn't ours; on_foreign decides.
	Foreign TargetState = "foreign"
	// TargetBlocked: it refuses the payload, and a person is needed. It is
	// tried again with each drift check and each new token.
	TargetBlocked TargetState = "blocked"
)

// TargetRecord is what was last seen at one target.
type TargetRecord struct {
	State  TargetState `json:"state"`
	Reason Reason      `json:"reason,omitempty"`
	// Since is when State began.
	Since time.Time `json:"since,omitzero"`
	// Serves is the generation that it was last seen to serve; 0 is none of
	// ours. SeenAt is when.
	Serves uint64    `json:"serves"`
	SeenAt time.Time `json:"seen_at,omitzero"`
	// Payloads are the payloads that were sent here, newest last: what a
	// format doesn't give back is known by them.
	Payloads []Payload `json:"payloads,omitempty"`
	// Other is the token of this account, not of ours, that stood here last.
	Other *Other `json:"other,omitempty"`
	// Attempts and RetryAt are the back-off of delivering.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	// Removal is set while old versions there may hold a revoked token and
	// have to be taken out of reach; nil: there is nothing to do.
	Removal *Removal `json:"removal,omitempty"`
	// Hooks are owed here, after the last delivery.
	Hooks []OwedHook `json:"hooks,omitempty"`
}

// Removal is the journaled will to take the versions of revoked tokens out of
// reach in a store. Nothing waits for it.
type Removal struct {
	Since time.Time `json:"since"`
	// Reason is why it could not be done yet; Attempts and RetryAt are its
	// back-off.
	Reason   Reason    `json:"reason,omitempty"`
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// Payload ties a payload's fingerprint to the generation in it.
type Payload struct {
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	Generation  uint64             `json:"generation"`
}

// Other is a token of the slot's account that the agent didn't issue.
type Other struct {
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	Live        bool               `json:"live"`
	AskedAt     time.Time          `json:"asked_at"`
}

// AccountRecord is what the journal keeps of one account.
type AccountRecord struct {
	// ID is "<id>@service".
	ID       string `json:"id"`
	Revision int64  `json:"-"`
	// UserID is Qualytics' number; 0 before the account was seen.
	UserID int64 `json:"user_id"`
	// Intended: a create may have been sent.
	Intended bool `json:"intended,omitempty"`
	// Remake: a person said that it may be made, though it was deleted.
	Remake bool `json:"remake,omitempty"`
	// Created: this agent made it.
	Created bool `json:"created,omitempty"`
	// Applied is the declaration's role and teams that were last applied.
	Applied string `json:"applied,omitempty"`
	// Refused: Qualytics would not take that role or those teams.
	Refused bool `json:"refused,omitempty"`
	// MissingAt is the first complete list that lacked it.
	MissingAt time.Time `json:"missing_at,omitzero"`
	// Deactivate: an operator said that it is to be taken out of use, and it
	// isn't yet.
	Deactivate bool `json:"deactivate,omitempty"`
	// Blocked is why a person is needed; "" when none is.
	Blocked Reason `json:"blocked,omitempty"`
	// Attempts and RetryAt are the back-off of creating, updating and
	// deactivating.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// holds returns the generation that a reading at that target is known to hold,
// by the token in it or by what was sent there; nil when it is none of ours.
// Metadata alone doesn't tell: somebody may have slipped a value of theirs under
// it, and what is asked here is whether it may be destroyed.
func (r *Record) holds(key string, seen backends.Reading) *Generation {
	if !seen.Present {
		return nil
	}
	if g := r.byFingerprint(seen.Token.Fingerprint()); g != nil {
		return g
	}
	for _, p := range r.Targets[key].Payloads {
		if p.Fingerprint == seen.Payload {
			return r.generation(p.Generation)
		}
	}
	return nil
}

// revoked reports whether the token was seen or made to be revoked, and is so
// still, as far as the record goes.
func (g *Generation) revoked() bool {
	switch g.State {
	case Observing, Deleting, Gone:
		return !g.RevokedAt.IsZero()
	}
	return false
}

// keepGone is how many gone generations a record keeps for their fingerprints.
const keepGone = 64

// generation returns the generation of that number, or nil.
func (r *Record) generation(number uint64) *Generation {
	for i := range r.Generations {
		if r.Generations[i].Number == number {
			return &r.Generations[i]
		}
	}
	return nil
}

// byFingerprint returns the generation with that fingerprint, or nil.
func (r *Record) byFingerprint(fp secret.Fingerprint) *Generation {
	if fp == "" {
		return nil
	}
	for i := range r.Generations {
		if r.Generations[i].Fingerprint == fp {
			return &r.Generations[i]
		}
	}
	return nil
}

// current returns the generation that the targets are meant to serve, or nil.
func (r *Record) current() *Generation {
	if r.Current == 0 {
		return nil
	}
	return r.generation(r.Current)
}

// live counts the tokens of the slot that may still work at now.
func (r *Record) live(now time.Time) int {
	count := 0
	for i := range r.Generations {
		if r.Generations[i].counts(now) {
			count++
		}
	}
	return count
}

// counts reports whether the token may still work, as far as the record goes.
func (g *Generation) counts(now time.Time) bool {
	switch g.State {
	case Live, Waiting, Grace, Hold, Revoking, Unclaimed:
		return g.Expires.IsZero() || now.Before(g.Expires)
	}
	return false
}
