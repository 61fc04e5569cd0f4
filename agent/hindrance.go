package agent

import (
	"slices"

	"github.com/handover-agent/handover/rotation"
)

// hindrances are the reasons of a pass that can't do what is due. The journal
// doesn't tell them: they are the world's, and pass with it.
var hindrances = []rotation.Reason{
	rotation.TooManyLive, rotation.NoTargetReady, rotation.CredentialRefused, rotation.APIThrottled,
	rotation.APIUnavailable, rotation.OutcomeUnknown, rotation.NotValidYet,
	rotation.AccountGone, rotation.AccountDeactivated, rotation.AccountRefused,
	rotation.JournalUnreadable, rotation.TargetUnreachable, rotation.TargetDenied, rotation.TargetThrottled, rotation.TargetRefused,
	rotation.NotTakenUp,
}

func hinders(why rotation.Reason) bool { return slices.Contains(hindrances, why) }

// explain gives a status the reason why nothing goes on, where it says more
// than what the journal tells: not of a slot that waits for a person, nor of
// one whose token has to be replaced. Each target that can't be read gets the
// reason of that, and when it is tried again; its state stays the last known.
func explain(s *rotation.Status, hindrance rotation.Reason, unread map[string]rotation.TargetSeen) {
	for i := range s.Targets {
		t := &s.Targets[i]
		if seen, failed := unread[t.Backend+"/"+t.Path]; failed {
			again := seen.RetryAt.UTC()
			t.Reason, t.RetryAt = seen.Failed, &again
		}
	}
	switch {
	case hindrance == "" || s.State == rotation.SlotBlocked || s.State == rotation.SlotPaused:
	case s.State == rotation.SlotIssuing && s.Reason != rotation.NeverIssued:
	default:
		s.Reason = hindrance
	}
}

// explainTargets gives the targets of an emergency that can't be read the reason
// of that, and when they are tried again.
func explainTargets(targets []rotation.EmergencyTarget, unread map[string]rotation.TargetSeen) {
	for i := range targets {
		t := &targets[i]
		if seen, failed := unread[t.Backend+"/"+t.Path]; failed && !t.Delivered {
			again := seen.RetryAt.UTC()
			t.Reason, t.RetryAt = seen.Failed, &again
		}
	}
}
