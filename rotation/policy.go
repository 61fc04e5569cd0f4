package rotation

import "time"

// Policy is what the declaration says of one slot. It is a value: a reload
// makes a new one.
type Policy struct {
	// Slot is "<account id>/<token name>".
	Slot string
	// AgentID is in every label.
	AgentID string
	// Account is what the slot's account is to be.
	Account AccountSpec
	// AccountID is "<id>@service".
	AccountID string
	// Token is the declared token name.
	Token string
	// Environment is the declared environment; may be "".
	Environment string
	// URL is the instance, without a trailing slash and without /api.
	URL      string
	Schedule Schedule
	// Targets are the places that must serve the token.
	Targets []TargetPolicy
	// OnDelivery and OnRevocation are the hooks after a target came to serve
	// a token, and after one was revoked.
	OnDelivery, OnRevocation []HookPolicy
	// BlockOnRevocation: a token revoked by others blocks the slot instead
	// of being issued again (on_external_revocation: block).
	BlockOnRevocation bool
	// RetireRemoved: its tokens are ended when the slot leaves the declaration
	// (on_remove: retire).
	RetireRemoved bool
	// Own: the agent itself works with the slot's token (docs/decisions/self.md).
	Own bool
	// Removed: the slot isn't declared any more, and neither are its targets.
	// An operator's orders are carried out as far as that goes
	// (docs/decisions/removed.md).
	Removed bool
	// Heirs are the slots that are declared now for places that a Removed slot
	// may have had, by Target.Key.
	Heirs map[string]string
	// DriftCheck is how often each target is read at rest, Sweep how old the
	// token list may be at rest. Both positive.
	DriftCheck, Sweep time.Duration
}

// TargetPolicy is what the declaration says of one target.
type TargetPolicy struct {
	// Key is Target.Key.
	Key string
	// TakeOver: a foreign value may be replaced (on_foreign: take_over).
	TakeOver bool
	// Lossy: the format doesn't give its token back.
	Lossy bool
}

// Schedule is when a token is replaced and how the old one is retired.
type Schedule struct {
	// Lifetime is asked of the API, in whole days, 1 to 365; 0 is never.
	Lifetime time.Duration
	// Every is the age at which a token is replaced; 0 is never by age.
	Every time.Duration
	// Grace is how long old and new both live after the last target was
	// seen to serve the old one.
	Grace time.Duration
	// Hold is how much longer than the grace an old token lives that is
	// still used.
	Hold time.Duration
	// HoldUntilUnused: the hold ends with the use or the expiry alone.
	HoldUntilUnused bool
	// Quiet is how long unused ends a hold.
	Quiet time.Duration
	// Observe is how long a revoked token can be restored before it is
	// deleted.
	Observe time.Duration
}

// Day is the finest lifetime that the API knows.
const Day = 24 * time.Hour

// Days is the lifetime in the API's unit, rounded up; 0 is never.
func (s Schedule) Days() int { return int((s.Lifetime + Day - 1) / Day) }
