package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Problem is one thing that a person should look at, in one sentence with what
// to do where that is known.
type Problem struct {
	// Slot is the slot that it is about; "" when it is about the agent.
	Slot string
	// Text is one line without a secret.
	Text string
}

// CredentialWarning is how long before its end the agent's own credential
// becomes a problem: the vendor advises to renew a token 30 days before its end
// (qualytics-api.md, "What the vendor recommends").
const CredentialWarning = 30 * rotation.Day

// Problems lists what a person should look at, the worst first: the agent's
// own, then pauses, open emergencies, expired tokens, blocked slots, then tokens that have to be
// replaced, targets, unclaimed tokens. A target that is behind is none unless a
// delivery to it failed.
func (d Document) Problems() []Problem {
	var ranked [5][]Problem
	for _, status := range d.Slots {
		for _, found := range slotProblems(status, d.Now) {
			ranked[found.rank] = append(ranked[found.rank], Problem{Slot: status.Slot, Text: found.text})
		}
	}
	return slices.Concat(append([][]Problem{d.agentProblems(), pauseProblems(d.Paused, d.Now)}, ranked[:]...)...)
}

// pauseProblems tells each pause once, however many slots it holds.
func pauseProblems(pauses []rotation.PauseStatus, now time.Time) []Problem {
	var list []Problem
	for _, p := range pauses {
		list = append(list, Problem{Text: plain(fmt.Sprintf("%s; 'handover resume %s' ends it", Pause(p, now), ScopeArgument(p.Scope)))})
	}
	return list
}

// Pause tells a pause in a few words: who, since when, why.
func Pause(p rotation.PauseStatus, now time.Time) string {
	what := "account " + p.Scope + " is"
	switch {
	case p.Scope == rotation.WholeAgent:
		what = "the whole agent is"
	case strings.Contains(p.Scope, "/"):
		what = p.Scope + " is"
	}
	text := fmt.Sprintf("%s paused by %s", what, p.Actor)
	if p.Since != nil {
		text += " for " + Span(now.Sub(*p.Since))
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return plain(text)
}

// ScopeArgument is a scope as the command line takes it.
func ScopeArgument(scope string) string {
	if scope == rotation.WholeAgent {
		return "--all"
	}
	return scope
}

func (d Document) agentProblems() []Problem {
	var list []Problem
	if d.Held != nil {
		text := fmt.Sprintf("calls to Qualytics wait: %s; next try %s", d.Held.Reason, Relative(&d.Held.Until, d.Now))
		if d.Held.Reason == rotation.CredentialRefused {
			text += "; renew the agent's credential, or give it the role Admin"
		}
		list = append(list, Problem{Text: text})
	}
	if d.Declaration != nil && d.Declaration.Error != "" {
		list = append(list, Problem{Text: "the last reload failed, the older declaration is in force: " +
			plain(d.Declaration.Error)})
	}
	return append(list, d.credentialProblems()...)
}

// CredentialEnding says that the agent's own credential ends soon, or has ended,
// and what to do; "" while there is time.
func (d Document) CredentialEnding() string {
	at := d.CredentialExpiresAt
	if at == nil {
		return ""
	}
	warn, verb, remedy := at.Add(-CredentialWarning), "expires", "put a new one in its place"
	if d.Credential != nil && d.Credential.WarnAt != nil {
		warn = *d.Credential.WarnAt
	}
	if !d.Now.After(warn) {
		return ""
	}
	if !at.After(d.Now) {
		verb = "expired"
	}
	if d.Credential != nil && d.Credential.Slot != "" {
		remedy = "the agent should have replaced it; see: handover explain " + d.Credential.Slot
	}
	return fmt.Sprintf("the agent's own credential %s %s: %s", verb, Relative(at, d.Now), remedy)
}

func (d Document) credentialProblems() []Problem {
	var list []Problem
	if text := d.CredentialEnding(); text != "" {
		list = append(list, Problem{Text: text})
	}
	own := d.Credential
	if own == nil {
		return list
	}
	switch {
	case own.Error == "":
	case own.Since == nil:
		list = append(list, Problem{Text: "the agent has no credential of its own: " + plain(own.Error)})
	default:
		list = append(list, Problem{Text: fmt.Sprintf("the agent works with the credential from %s, for another that it should work with isn't to be had: %s",
			own.From, plain(own.Error))})
	}
	return list
}

// The ranks of a slot's problems.
const (
	rankLeaked = iota
	rankExpired
	rankBlocked
	rankServing
	rankUnclaimed
)

type ranked struct {
	rank int
	text string
}

func slotProblems(s rotation.Status, now time.Time) []ranked {
	var list []ranked
	add := func(rank int, format string, args ...any) {
		list = append(list, ranked{rank, plain(fmt.Sprintf(format, args...))})
	}
	if e := s.Emergency; e != nil {
		add(rankLeaked, "emergency: %s dead, %s alive, %s left; deadline %s", count(len(e.Revoked), "token"),
			count(len(e.Alive), "token"), count(e.Left(), "target"), Relative(e.Deadline, now))
	}
	expired := s.ExpiresAt != nil && !s.ExpiresAt.After(now)
	if expired {
		add(rankExpired, "token %d (g%d) expired %s", s.TokenID, s.Generation, Relative(s.ExpiresAt, now))
	}
	if s.State == rotation.SlotBlocked {
		why := string(s.Reason)
		if s.Detail != "" {
			why += ": " + s.Detail
		}
		add(rankBlocked, "blocked: %s; mend it, then: handover resume %s", why, s.Slot)
	}
	if !expired && s.State == rotation.SlotIssuing && slices.Contains(losses, s.Reason) {
		add(rankServing, "token %d (g%d) has to be replaced: %s", s.TokenID, s.Generation, s.Reason)
	}
	for _, t := range s.Targets {
		if text, bad := targetProblem(t, now); bad {
			add(rankServing, "%s/%s: %s", t.Backend, t.Path, text)
		}
	}
	for _, h := range s.Hooks {
		if h.Attempts > 0 {
			add(rankServing, "%s", hookProblem(h, now))
		}
	}
	for _, t := range s.Retired {
		if t.State == rotation.Unclaimed {
			add(rankUnclaimed, "token %d (g%d) is unclaimed: if it is ours, handover resume --adopt %s; else it stays until its end%s",
				t.TokenID, t.Generation, s.Slot, ending(t.Until, now))
		}
	}
	return list
}

// losses are the reasons for which a token is replaced that no longer serves.
var losses = []rotation.Reason{rotation.ValueLost, rotation.RevokedByOthers, rotation.TokenGone,
	rotation.TokenRefused, rotation.TokenExpired}

func targetProblem(t rotation.TargetStatus, now time.Time) (string, bool) {
	switch {
	case t.Reason == rotation.JournalUnreadable: // the slot says so
		return "", false
	case t.State == rotation.Foreign:
		return fmt.Sprintf("%s; take the value away, or declare on_foreign: take_over", Why(t, now)), true
	case t.State == rotation.TargetBlocked:
		return fmt.Sprintf("blocked: %s", Why(t, now)), true
	case t.State == rotation.Behind && t.RetryAt != nil:
		return fmt.Sprintf("behind: %s; next try %s", Why(t, now), Relative(t.RetryAt, now)), true
	}
	return "", false
}

// hookProblem tells of a hook that failed: what it was to tell, what waits for
// it, and where to look.
func hookProblem(h rotation.HookStatus, now time.Time) string {
	text := fmt.Sprintf("hook %s after the %s of g%d", h.Hook, h.After, h.Generation)
	if h.After == rotation.AfterDelivery {
		text += fmt.Sprintf(" to %s/%s", h.Backend, h.Path)
	}
	text += " failed " + count(h.Attempts, "time")
	if h.Required {
		text += "; no older token is revoked before it succeeds"
	}
	return text + "; next try " + Relative(h.RetryAt, now) + "; the log says why"
}

// Why is the reason of a target, and for how long it hasn't been in step.
func Why(t rotation.TargetStatus, now time.Time) string {
	if t.State == rotation.InStep || t.Since == nil {
		return dash(string(t.Reason))
	}
	return fmt.Sprintf("%s, for %s", dash(string(t.Reason)), Span(now.Sub(*t.Since)))
}

func ending(at *time.Time, now time.Time) string {
	if at == nil {
		return ", which is never"
	}
	return ", " + Relative(at, now)
}
