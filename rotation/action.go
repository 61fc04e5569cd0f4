package rotation

import "time"

// Action is one thing to do next. The actions of one set don't depend on each
// other. They come in three classes: a look fills in the observation, a note
// changes the record alone, a deed changes the world.
type Action interface{ class() class }

type class int

const (
	look class = iota
	note
	deed
)

// Looks.
type (
	// LookTokens asks for the list of tokens, no older than After.
	LookTokens struct{ After time.Time }
	// EnsureAccount finds, makes or updates the account, and looks again if
	// what is known is older than After. Known: what the journal has of it
	// will do. Look: nothing is made or updated.
	EnsureAccount struct {
		After time.Time
		Known bool
		Look  bool
	}
	// Read looks at a target's current value.
	Read struct{ Target string }
	// Glance asks a target's store, without reading the secret, whether what
	// was read there last stands there still.
	Glance struct{ Target string }
	// Check asks a target whether a delivery would be allowed.
	Check struct{ Target string }
	// Find looks for a generation's value, in memory and in every stage of
	// every target.
	Find struct{ Generation uint64 }
	// Prove uses a generation's token once.
	Prove struct{ Generation uint64 }
	// ProveOther uses the token of this account once that stands at Target
	// and isn't ours.
	ProveOther struct{ Target string }
	// TakeUp has the agent work with what stands at its own credential's place.
	TakeUp struct{}
)

// Notes: what was seen or decided, to be committed.
type (
	// Rebuild makes the first record of a slot from what is listed and
	// stored.
	Rebuild struct{}
	// See records what a target serves.
	See struct {
		Target  string
		Serving Serving
	}
	// Forget drops a target that isn't declared any more.
	Forget struct{ Target string }
	// Discover records a token that is listed under our label and isn't in
	// the record.
	Discover struct {
		Token      Token
		Generation uint64
	}
	// Intend records the will to issue.
	Intend struct {
		Generation uint64
		Label      string
		Reason     Reason
		Request    int64
	}
	// Burn gives up an intended generation, whose label is taken. Created is
	// when the token under it was made, if it is listed.
	Burn struct {
		TokenID int64
		Created time.Time
		Claimed bool
	}
	// Lose records that the current token has to be replaced.
	Lose struct{ Reason Reason }
	// Unprove counts a proof of the current token that failed while the
	// list calls it live.
	Unprove struct{ Generation uint64 }
	// Miss records whether a complete list lacked the token.
	Miss struct {
		Generation uint64
		At         time.Time
	}
	// Move changes the state of a retired generation.
	Move struct {
		Generation uint64
		To         State
		Reason     Reason
		// TokenID is set when the list told it first; Created is when the
		// token of a Ghost was made.
		TokenID     int64
		Created     time.Time
		RevokeAfter time.Time
		HoldUntil   time.Time
	}
	// Block records that a person is needed.
	Block struct{ Reason Reason }
	// Resume applies a person's "go on"; Adopt claims what is unclaimed,
	// Rotate says that an earlier request to rotate is still to be carried
	// out.
	Resume struct {
		Request int64
		Adopt   bool
		Rotate  bool
	}
	// Alarm takes an emergency up. Rotate is as in Resume; Posted: a token may
	// come to be under the label of the intent. Removed: the slot isn't
	// declared, so that nothing can be issued.
	Alarm struct {
		Request Request
		Rotate  bool
		Posted  bool
		Removed bool
	}
	// Spare notes that a revoked token is to be restored.
	Spare struct {
		Request    int64
		Generation uint64
		Rotate     bool
	}
	// Deactivate notes that the account is to be taken out of use.
	Deactivate struct {
		Request int64
		Rotate  bool
	}
	// Decline closes a request that can't be carried out.
	Decline struct {
		Request int64
		Rotate  bool
		Outcome string
	}
	// Reckon counts an emergency's time anew: the API's answer put right a
	// clock that was ahead.
	Reckon struct{}
	// Finish ends an emergency with that outcome, or with the common one; Left
	// counts the targets that don't serve the new token yet.
	Finish struct {
		Outcome string
		Left    int
	}
	// Told notes how a run of a hook has ended. GiveUp: it isn't tried again.
	Told struct {
		Run            HookRun
		Failed, GiveUp bool
	}
	// Remember notes what is to become of the tokens when the slot leaves the
	// declaration; nil: nothing.
	Remember struct{ Parting *Parting }
	// Part retires the current token of a slot that has left it. Posted: a
	// token may come to be under the label of the intent.
	Part struct{ Posted bool }
	// CloseRequest reports a request as done.
	CloseRequest struct {
		Request int64
		Outcome string
	}
)

// Deeds.
type (
	// Issue mints the intended token.
	Issue struct{ UserID int64 }
	// Deliver puts the current token at a target and reads it back.
	Deliver struct{ Target string }
	// Revoke kills a retired token. Expired: it is dead already, whoever
	// serves it, and has to be revoked before it can be deleted. Condemned: an
	// operator's emergency says so, whatever its targets serve.
	Revoke struct {
		Generation uint64
		Expired    bool
		Condemned  bool
	}
	// RevokeForeign kills the token that an emergency names and that isn't one
	// of the slot's.
	RevokeForeign struct{}
	// Delete removes a revoked token for good.
	Delete struct{ Generation uint64 }
	// Restore undoes a revocation.
	Restore struct{ Generation uint64 }
	// RemoveOld takes a store's versions of revoked tokens out of reach.
	RemoveOld struct{ Target string }
	// RunHook begins to tell others of a change. It doesn't wait for them.
	RunHook struct{ Run HookRun }
)

// Wait ends a pass: nothing can be done before Until.
type Wait struct{ Until time.Time }

func (LookTokens) class() class    { return look }
func (EnsureAccount) class() class { return look }
func (Read) class() class          { return look }
func (Glance) class() class        { return look }
func (Check) class() class         { return look }
func (Find) class() class          { return look }
func (Prove) class() class         { return look }
func (ProveOther) class() class    { return look }
func (TakeUp) class() class        { return look }
func (Rebuild) class() class       { return note }
func (See) class() class           { return note }
func (Remember) class() class      { return note }
func (Part) class() class          { return note }
func (Forget) class() class        { return note }
func (Discover) class() class      { return note }
func (Intend) class() class        { return note }
func (Burn) class() class          { return note }
func (Lose) class() class          { return note }
func (Unprove) class() class       { return note }
func (Miss) class() class          { return note }
func (Move) class() class          { return note }
func (Block) class() class         { return note }
func (Resume) class() class        { return note }
func (Alarm) class() class         { return note }
func (Reckon) class() class        { return note }
func (Spare) class() class         { return note }
func (Deactivate) class() class    { return note }
func (Decline) class() class       { return note }
func (Finish) class() class        { return note }
func (CloseRequest) class() class  { return note }
func (Told) class() class          { return note }
func (Issue) class() class         { return deed }
func (Deliver) class() class       { return deed }
func (Revoke) class() class        { return deed }
func (RevokeForeign) class() class { return deed }
func (Restore) class() class       { return deed }
func (Delete) class() class        { return deed }
func (RemoveOld) class() class     { return deed }
func (RunHook) class() class       { return deed }
func (Wait) class() class          { return look }
