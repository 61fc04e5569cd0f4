package rotation

// Reason says why: why a token is due, why a target is behind, why a pass has
// nothing to do. It is a log field and a metric label, so it is a constant.
type Reason string

// Why a new token is due.
const (
	NeverIssued        Reason = "never_issued"
	Requested          Reason = "requested"
	ValueLost          Reason = "value_lost"
	RevokedByOthers    Reason = "revoked_by_others"
	TokenGone          Reason = "token_gone"
	TokenRefused       Reason = "token_refused"
	TokenExpired       Reason = "token_expired"
	Expiring           Reason = "expiring"
	Age                Reason = "age"
	DeclarationChanged Reason = "declaration_changed"
	// Leaked: an operator said that the token is in wrong hands.
	Leaked Reason = "leaked"
)

// Why a pass waits.
const (
	AtRest            Reason = "at_rest"
	BackOff           Reason = "back_off"
	TooManyLive       Reason = "too_many_live_tokens"
	NoTargetReady     Reason = "no_target_ready"
	CredentialRefused Reason = "credential_refused"
	APIThrottled      Reason = "api_throttled"
	APIUnavailable    Reason = "api_unavailable"
	OutcomeUnknown    Reason = "outcome_unknown"
	NotValidYet       Reason = "not_valid_yet"
	// NotDeclared: the slot, or the target, left the declaration.
	NotDeclared Reason = "not_declared"
	// Paused: an operator said so.
	Paused Reason = "paused"
	// EmergencyRunning: until its deadline, for the targets that are left.
	EmergencyRunning Reason = "emergency_running"
)

// Why a slot is blocked: a person is needed.
const (
	AccountGone        Reason = "account_gone"
	AccountDeactivated Reason = "account_deactivated"
	AccountRefused     Reason = "account_refused"
	IssueRefused       Reason = "issue_refused"
	// JournalUnreadable: a row of the journal isn't what the agent wrote. It
	// isn't recorded there, and ends when the row is mended or deleted.
	JournalUnreadable Reason = "journal_unreadable"
	// RevokedOnRequest: an operator had the current token revoked, and nothing
	// issued in its place.
	RevokedOnRequest Reason = "revoked_on_request"
	// NumbersUsedUp: somebody made a label with the highest number there is.
	NumbersUsedUp Reason = "numbers_used_up"
)

// Why a target is as it is.
const (
	TargetNew            Reason = "target_new"
	TargetEmpty          Reason = "target_empty"
	TargetOlder          Reason = "target_serves_another_generation"
	TargetReshaped       Reason = "target_holds_another_shape"
	TargetHoldsForeign   Reason = "target_holds_foreign_value"
	TargetHoldsOther     Reason = "target_holds_other_token_of_account"
	TargetUnreachable    Reason = "target_unreachable"
	TargetDenied         Reason = "target_denied"
	TargetThrottled      Reason = "target_throttled"
	TargetChanged        Reason = "target_changed_by_others"
	TargetRefused        Reason = "target_refused"
	TargetOutcomeUnknown Reason = "target_outcome_unknown"
	TargetServes         Reason = "target_serves"
)

// Why a retired token is where it is.
const (
	Superseded      Reason = "superseded"
	Ghost           Reason = "ghost"
	FoundUnclaimed  Reason = "unclaimed"
	Adopted         Reason = "adopted"
	StillServed     Reason = "still_served"
	GraceRunning    Reason = "grace_running"
	StillUsed       Reason = "still_used"
	ObserveRunning  Reason = "observe_running"
	RestoredByHand  Reason = "restored_by_others"
	Restored        Reason = "restored_on_request"
	DeadAlready     Reason = "dead_already"
	NeverListed     Reason = "never_listed"
	DeletedByOthers Reason = "deleted_by_others"
	Retired         Reason = "retired"
	// NotTakenUp: the agent doesn't work with the newer one yet.
	NotTakenUp      Reason = "own_credential_not_taken_up"
	OldVersionsLeft Reason = "old_versions_left"
	// HookRequired: a hook that must succeed first has not.
	HookRequired Reason = "hook_required"
)

// Why others aren't told yet, or any more.
const (
	HookRunning Reason = "hook_running"
	HookFailed  Reason = "hook_failed"
	HookGivenUp Reason = "hook_given_up"
)

// DetailDrift is in the event of a target that was seen and doesn't serve the
// current token any more, though nobody here changed that.
const DetailDrift = "drift"

// Act names what an event of the history tells.
type Act string

// The acts. An act in the present participle is an intent; its past tense says
// that it took place.
const (
	ActRebuilt         Act = "rebuilt"
	ActCreatingAccount Act = "creating_account"
	ActCreatedAccount  Act = "created_account"
	ActFoundAccount    Act = "found_account"
	ActUpdatedAccount  Act = "updated_account"
	ActAccountMissing  Act = "account_missing"
	ActAccountBlocked  Act = "account_blocked"
	ActAccountResumed  Act = "account_resumed"
	ActAccountFailed   Act = "account_failed"
	ActDeactivating    Act = "deactivating_account"
	ActDeactivated     Act = "deactivated_account"
	ActIntended        Act = "intended"
	ActIssued          Act = "issued"
	ActIssueFailed     Act = "issue_failed"
	ActBurnt           Act = "burnt"
	ActProved          Act = "proved"
	ActNotProved       Act = "not_proved"
	ActLost            Act = "lost"
	ActSeen            Act = "seen"
	ActSending         Act = "sending"
	ActDelivered       Act = "delivered"
	ActDeliverFailed   Act = "deliver_failed"
	ActForgotTarget    Act = "forgot_target"
	ActFound           Act = "found"
	ActMissing         Act = "missing"
	ActMoved           Act = "moved"
	ActRevoking        Act = "revoking"
	ActRevoked         Act = "revoked"
	ActRevokeFailed    Act = "revoke_failed"
	ActDeleting        Act = "deleting"
	ActDeleted         Act = "deleted"
	ActDeleteFailed    Act = "delete_failed"
	ActRestoring       Act = "restoring"
	ActRestored        Act = "restored"
	ActRestoreFailed   Act = "restore_failed"
	ActDeclined        Act = "declined"
	ActRemovedOld      Act = "removed_old_versions"
	ActRemoveFailed    Act = "remove_failed"
	ActHookDone        Act = "hook_done"
	ActHookFailed      Act = "hook_failed"
	ActEmergency       Act = "emergency"
	ActEmergencyOver   Act = "emergency_over"
	ActOnRemove        Act = "on_remove"
	ActParted          Act = "parted"
	ActBlocked         Act = "blocked"
	ActResumed         Act = "resumed"
	ActPruned          Act = "pruned"
)
