package report

import "github.com/handover-agent/handover/rotation"

// says is each reason in a sentence for people: what it means, and what ends it
// or is to be done.
var says = map[rotation.Reason]string{
	rotation.NeverIssued:        "no token was issued yet",
	rotation.Requested:          "somebody asked for a new token",
	rotation.ValueLost:          "no target that can be read holds the token's value any more, so it is replaced",
	rotation.RevokedByOthers:    "the token was revoked, and not by this agent",
	rotation.TokenGone:          "the token is gone from Qualytics, and not by this agent",
	rotation.TokenRefused:       "Qualytics refuses the token, although its list calls it live",
	rotation.TokenExpired:       "the token has expired",
	rotation.Expiring:           "the token nears its end",
	rotation.Age:                "the token has reached the declared age",
	rotation.DeclarationChanged: "the declaration asks for another lifetime",

	rotation.AtRest:            "nothing is to be done",
	rotation.BackOff:           "an attempt failed; it waits before the next",
	rotation.TooManyLive:       "so many tokens of the slot live that no more are made: see what keeps the old ones from being retired",
	rotation.NoTargetReady:     "no target could take a new token, so none is issued",
	rotation.CredentialRefused: "Qualytics refuses the agent's own credential: renew it, or give it the role Admin",
	rotation.APIThrottled:      "Qualytics asks to come back later",
	rotation.APIUnavailable:    "Qualytics can't be reached, or doesn't answer",
	rotation.OutcomeUnknown:    "a call may have taken place; Qualytics' list will tell",
	rotation.NotValidYet:       "Qualytics doesn't take the new token yet",
	rotation.Paused:            "an operator paused it",
	rotation.NotDeclared:       "it isn't declared any more, so nothing is issued or delivered there",

	rotation.AccountGone:        "the account was deleted by others: the agent makes it again only after handover resume",
	rotation.AccountDeactivated: "the account was deactivated by others: activate it, or take it out of the declaration",
	rotation.AccountRefused:     "Qualytics refuses the account's role or teams: correct them",
	rotation.IssueRefused:       "Qualytics refuses to make the token: the log has its words",
	rotation.JournalUnreadable:  "a row of the journal was changed by another hand: mend it, or delete it",
	rotation.RevokedOnRequest:   "an operator had the token revoked, with no other in its place",
	rotation.NumbersUsedUp:      "somebody made a token with the highest number there is under this label: delete it",

	rotation.TargetNew:            "nothing was delivered here yet",
	rotation.TargetEmpty:          "nothing stands here any more",
	rotation.TargetOlder:          "it serves another generation",
	rotation.TargetReshaped:       "it holds the token in another shape than is declared",
	rotation.TargetHoldsForeign:   "it holds what isn't the agent's: move that away, or declare on_foreign: take_over",
	rotation.TargetHoldsOther:     "it holds another token of the account, which the next rotation replaces",
	rotation.TargetUnreachable:    "the store can't be reached, or doesn't answer",
	rotation.TargetDenied:         "the store refuses the agent: look at its login and policy",
	rotation.TargetThrottled:      "the store asks to come back later",
	rotation.TargetChanged:        "somebody else wrote there at the same time; it is looked at again",
	rotation.TargetRefused:        "the store won't take the payload: the log says why",
	rotation.TargetOutcomeUnknown: "a write may have taken place; it is looked at again",
	rotation.TargetServes:         "it serves the token",

	rotation.Leaked:           "somebody said that it is in wrong hands",
	rotation.EmergencyRunning: "an emergency is under way",
	rotation.OldVersionsLeft:  "older versions that hold it are still to be taken out of the stores",

	rotation.HookRequired: "a hook that is required hasn't succeeded yet, so the token isn't revoked: see why it fails",
	rotation.HookRunning:  "a hook tells others of a change",
	rotation.HookFailed:   "a hook failed; it is run again",
	rotation.HookGivenUp:  "a hook failed too often and isn't run again; nothing waited for it",

	rotation.Superseded:      "a newer token took its place",
	rotation.Ghost:           "it was made, and its value was lost in a crash",
	rotation.FoundUnclaimed:  "it stands under the agent's label, and this journal didn't issue it: handover resume --adopt, if it is ours",
	rotation.Adopted:         "a person said that it is ours",
	rotation.NotTakenUp:      "the agent itself doesn't work with its newer credential yet, so the older one is kept: status says why",
	rotation.StillServed:     "a target may still serve it",
	rotation.GraceRunning:    "no target serves it any more; consumers may still hold it",
	rotation.StillUsed:       "somebody still uses it",
	rotation.ObserveRunning:  "it is revoked, and can still be restored",
	rotation.RestoredByHand:  "a person restored it",
	rotation.Restored:        "an operator had it restored",
	rotation.DeadAlready:     "it was dead before the agent revoked it",
	rotation.NeverListed:     "it never came to be",
	rotation.DeletedByOthers: "it was deleted by others",
	rotation.Retired:         "it was retired as planned",
}

// Says is a reason in a sentence for people; the reason itself where there is
// none.
func Says(r rotation.Reason) string {
	if text := says[r]; text != "" {
		return text
	}
	return string(r)
}
