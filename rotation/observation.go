package rotation

import (
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Observation is what one pass has seen of the world so far. Next asks for
// what it lacks; the engine looks and fills it in. What isn't in it was not
// looked at, which is never the same as "isn't there".
type Observation struct {
	// Process names this run of the agent.
	Process string
	// Began is the API's time when the pass began.
	Began time.Time
	// Held is set while calls to the API have to wait, for every slot.
	Held Held
	// Account is nil until the account was ensured in this pass.
	Account *AccountSeen
	// Tokens is nil until a complete list is at hand.
	Tokens *TokensSeen
	// Targets is what was read in this pass, by Target.Key, and failures of
	// earlier ones whose RetryAt has not come.
	Targets map[string]TargetSeen
	// Checks is the answer of each target's preflight, "" for ready.
	Checks map[string]Reason
	// Proofs is the outcome of using a generation's token once.
	Proofs map[uint64]Proof
	// Others is the same for tokens of this account that aren't ours.
	Others map[secret.Fingerprint]Proof
	// Own is nil until the agent was asked which token it works with, where
	// that is a token of the slot.
	Own *OwnSeen
	// Found says whether a generation's value is at hand.
	Found map[uint64]Finding
	// Posted is when this process last posted the label of a generation.
	Posted map[uint64]time.Time
	// Checked is when this process last read each target with success, or was
	// told by its store that what was read there stands there still.
	Checked map[string]time.Time
	// Versions is where each target stood when this process last read it, if
	// its store can tell whether that is so still.
	Versions map[string]backends.Version
	// Unhanded is a place that a slot which left the declaration had, and where
	// its heir doesn't serve its own token yet; "" is none.
	Unhanded string
	// Hooks are the runs of hooks by this process that aren't noted yet.
	Hooks map[HookRun]HookSeen
	// Mute: no hook can be run here; what is owed stays owed.
	Mute bool
	// Requests are the slot's open requests, by rising ID.
	Requests []Request
}

// Held says until when no call is to be made to the API, and why.
type Held struct {
	Until  time.Time
	Reason Reason
}

// AccountSeen is the slot's account as ensured.
type AccountSeen struct {
	// At is the API's time when the list was asked for.
	At     time.Time
	UserID int64
	// Blocked or RetryAt say why it isn't ready; both zero when it is.
	Blocked Reason
	RetryAt time.Time
	// Deactivating: an operator wants it out of use, and it isn't yet.
	Deactivating bool
}

// Ready reports whether tokens can be issued to the account.
func (a *AccountSeen) Ready() bool {
	return a != nil && a.UserID != 0 && a.Blocked == "" && a.RetryAt.IsZero() && !a.Deactivating
}

// TokensSeen is a complete list, cut down to the slot's account.
type TokensSeen struct {
	// At is the API's time when the list was asked for. It is never from
	// before the engine's own last change to the slot's tokens.
	At   time.Time
	Mine []Token
	// Patched: the engine's own change was put into a list from before.
	Patched bool
}

// TargetSeen is one look at a target.
type TargetSeen struct {
	At time.Time
	// Failed is why it could not be read; "" when it could.
	Failed Reason
	// RetryAt is when to try again after a failure.
	RetryAt time.Time
	Reading backends.Reading
	// Reshaped: it holds the current token in another shape than is declared
	// now.
	Reshaped bool
}

// Proof is what using a token once told.
type Proof struct {
	At     time.Time
	Result ProofResult
}

// ProofResult is the answer to a proof.
type ProofResult string

// The results of a proof.
const (
	// ProvedLive: the API took the token.
	ProvedLive ProofResult = "live"
	// ProvedDead: the API refused the token.
	ProvedDead ProofResult = "dead"
	// NotProved: the API could not be asked.
	NotProved ProofResult = "unknown"
	// ProvedElse: the API took the token, of another account.
	ProvedElse ProofResult = "another_account"
	// NoValue: nobody has the value, so the list has to tell.
	NoValue ProofResult = "no_value"
)

// Finding says whether a token's value is at hand.
type Finding string

// The findings.
const (
	// AtHand: in memory, or extracted from a target of the slot.
	AtHand Finding = "at_hand"
	// NotFound: every target answered, and none has it.
	NotFound Finding = "not_found"
	// NotKnown: some target could not be read.
	NotKnown Finding = "not_known"
)
