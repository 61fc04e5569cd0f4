package rotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RequestKind is what an operator asks for.
type RequestKind string

// The kinds of requests.
const (
	// RequestRotate: replace the current token by the planned road.
	RequestRotate RequestKind = "rotate"
	// RequestResume: a person has looked at what blocked the slot. It ends
	// the slot's own pauses too.
	RequestResume RequestKind = "resume"
	// RequestAdopt: resume, and claim the slot's unclaimed tokens.
	RequestAdopt RequestKind = "adopt"
	// RequestEmergency: the slot's tokens are in wrong hands, or the one that
	// TokenID names: replace and revoke them now.
	RequestEmergency RequestKind = "emergency"
	// RequestRevoke: the same, and nothing is issued in the place of what is
	// revoked. A slot whose current token goes is blocked until a resume.
	RequestRevoke RequestKind = "revoke"
	// RequestRestore: undo the revocation of the token that TokenID names, or
	// of the newest that is observed.
	RequestRestore RequestKind = "restore"
	// RequestDeactivate: take the slot's account out of use.
	RequestDeactivate RequestKind = "deactivate"
	// RequestPause: nothing is issued, delivered, revoked or deleted as long as
	// it is open. It may be for a slot, an account, or WholeAgent.
	RequestPause RequestKind = "pause"
)

// kinds are all of them.
var kinds = []RequestKind{RequestRotate, RequestResume, RequestAdopt, RequestEmergency, RequestRevoke, RequestRestore,
	RequestDeactivate, RequestPause}

// WholeAgent is Request.Slot of a pause of every slot.
const WholeAgent = "*"

// Scopes are the names under which requests concern a slot: its own, its
// account's, and WholeAgent.
func Scopes(slot string) [3]string {
	account, _, _ := strings.Cut(slot, "/")
	return [3]string{slot, account, WholeAgent}
}

// Known reports whether k is one of the kinds. No journal takes another one:
// it would be carried out as what it isn't.
func (k RequestKind) Known() bool { return slices.Contains(kinds, k) }

// Urgent reports whether it goes ahead of planned work, and a pass under way makes
// room for it.
func (k RequestKind) Urgent() bool { return k == RequestEmergency || k == RequestRevoke }

// named reports whether it may name one token.
func (k RequestKind) named() bool {
	return k == RequestEmergency || k == RequestRevoke || k == RequestRestore
}

// defaultDeadline is Request.Deadline when it is 0.
const defaultDeadline = 30 * time.Second

// Request is an operator's command, on its way to the slot.
type Request struct {
	ID   int64       `json:"id"`
	Kind RequestKind `json:"kind"`
	// Slot is its name; a pause may have an account's, or WholeAgent.
	Slot   string `json:"slot"`
	Reason string `json:"reason,omitempty"`
	// Actor is who asked: "uid 1000".
	Actor string `json:"actor"`
	// At is when, by the API's time where the caller knows it.
	At time.Time `json:"at"`
	// RevokeFirst: an emergency revokes before it issues.
	RevokeFirst bool `json:"revoke_first,omitempty"`
	// Deadline is how long after it was taken up an emergency keeps a leaked
	// token alive for targets that can't be reached; 0 is 30 s.
	Deadline time.Duration `json:"deadline,omitempty"`
	// TokenID names one token of the slot's account, in Qualytics' number; 0
	// is all of the slot.
	TokenID int64 `json:"token_id,omitempty"`
	// ClosedAt is zero while it is open; Outcome is how it ended.
	ClosedAt time.Time `json:"closed_at,omitzero"`
	Outcome  string    `json:"outcome,omitempty"`
}

// Check says what is wrong with a request that is to be stored; nil is nothing.
func (q Request) Check() error {
	switch {
	case !q.Kind.Known():
		return fmt.Errorf("there is no kind of request %q", q.Kind)
	case q.Slot == "" || q.Slot != strings.ReplaceAll(strings.ToValidUTF8(q.Slot, "?"), "\x00", "?"):
		return errors.New("a request names its slot, in UTF-8 without NUL")
	case q.TokenID < 0 || q.Deadline < 0:
		return errors.New("a token's number and a deadline can't be below 0")
	case q.Kind != RequestPause && !strings.Contains(q.Slot, "/"):
		return fmt.Errorf("a request to %s is for one slot, and %q is none", q.Kind, q.Slot)
	case q.Kind != RequestEmergency && (q.RevokeFirst || q.Deadline > 0):
		return fmt.Errorf("a request to %s has no order and no deadline", q.Kind)
	case q.TokenID > 0 && !q.Kind.named():
		return fmt.Errorf("a request to %s names no token", q.Kind)
	}
	return nil
}
