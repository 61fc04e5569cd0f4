// Package notify tells people what they should look at, while the agent runs:
// once for as long as it is so, and again from time to time.
package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// Event is a kind of notice, as the declaration names it.
type Event string

// The events.
const (
	// Blocked: a slot or a target needs a person.
	Blocked Event = "blocked"
	// Hold: a token is over its grace and still used.
	Hold Event = "hold"
	// Emergency: one began, lasts, or is over.
	Emergency Event = "emergency"
	// Expiring: a token that should have been replaced nears its end, or the
	// agent's own credential does.
	Expiring Event = "expiring"
	// Drift: what a target served was changed by somebody else.
	Drift Event = "drift"
	// Foreign: a target holds what isn't the agent's.
	Foreign Event = "foreign"
)

// Notice is one thing that a person should know. It holds no secret.
type Notice struct {
	Event Event     `json:"event"`
	Agent string    `json:"agent"`
	At    time.Time `json:"at"`
	// Text says in plain English what is so and what to do.
	Text string `json:"text"`
	// Slots are those that it is about, the first few of many.
	Slots   []string        `json:"slots,omitempty"`
	Backend string          `json:"backend,omitempty"`
	Path    string          `json:"path,omitempty"`
	Reason  rotation.Reason `json:"reason,omitempty"`
	// Count is how many things of this kind it tells of.
	Count int `json:"count"`

	// about tells notices apart: two of the same are told once. passing: it
	// stands for no longer than it takes to tell it.
	about   string
	passing bool
}

const (
	// tokenSoon is that of a token that the agent replaces itself, long before:
	// a twentieth of its life, and this at most.
	tokenSoon = 14 * rotation.Day
	// lasting is how long an emergency is under way before that is told
	// beside its beginning and its end.
	lasting = 5 * time.Minute
)

// standing are the notices of how things stand.
func standing(doc report.Document) []Notice {
	var all []Notice
	add := func(n Notice) {
		n.Agent, n.At, n.Count = doc.Agent, doc.Now, 1
		n.about = key(n.Event, strings.Join(n.Slots, " "), n.Backend, n.Path, n.Reason, n.about)
		all = append(all, n)
	}
	if text := doc.CredentialEnding(); text != "" {
		add(Notice{Event: Expiring, about: "own", Text: text + ". Without one nothing is rotated."})
	}
	for _, s := range doc.Slots {
		slotStanding(s, doc.Now, add)
	}
	return all
}

// key joins what tells notices apart.
func key(parts ...any) string { return fmt.Sprintf("%q", parts) }

func slotStanding(s rotation.Status, now time.Time, add func(Notice)) {
	slots := []string{s.Slot}
	if e := s.Emergency; e != nil && e.TakenUpAt != nil && now.Sub(*e.TakenUpAt) >= lasting {
		add(Notice{Event: Emergency, Slots: slots, Text: fmt.Sprintf("An emergency of %s is still under way. Tokens revoked: %d, alive: %d; targets without "+
			"the new token: %d. See: handover explain %s", s.Slot, len(e.Revoked), len(e.Alive), e.Left(), s.Slot)})
	}
	if s.State == rotation.SlotBlocked {
		text := fmt.Sprintf("%s is blocked: %s.", s.Slot, report.Says(s.Reason))
		if s.Detail != "" {
			text += " " + s.Detail + "."
		}
		add(Notice{Event: Blocked, Slots: slots, Reason: s.Reason, Text: text + " Mend that, then: handover resume " + s.Slot})
	}
	if end := s.ExpiresAt; end != nil && s.IssuedAt != nil && end.Sub(now) < min(tokenSoon, end.Sub(*s.IssuedAt)/20) {
		add(Notice{Event: Expiring, Slots: slots, about: fmt.Sprint(s.Generation), Text: fmt.Sprintf("Token %d (generation %d) of %s ends %s (%s) and isn't replaced yet: %s. "+
			"See: handover explain %s", s.TokenID, s.Generation, s.Slot, report.Relative(end, now), day(end), report.Says(s.Reason), s.Slot)})
	}
	for _, t := range s.Targets {
		targetStanding(s.Slot, t, add)
	}
	for _, t := range s.Retired {
		if t.State == rotation.Hold {
			text := fmt.Sprintf("Token %d (generation %d) of %s is over its grace and still used", t.TokenID, t.Generation, s.Slot)
			if t.LastUsedAt != nil {
				text += ", last " + report.Relative(t.LastUsedAt, now)
			}
			if t.Until != nil {
				text += fmt.Sprintf(". It is revoked %s at the latest", report.Relative(t.Until, now))
			}
			add(Notice{Event: Hold, Slots: slots, about: fmt.Sprint(t.Generation), Text: text + ". Find its user, and have it read the new token."})
		}
	}
}

func targetStanding(slot string, t rotation.TargetStatus, add func(Notice)) {
	n := Notice{Slots: []string{slot}, Backend: t.Backend, Path: t.Path, Reason: t.Reason}
	place := t.Backend + "/" + t.Path
	switch {
	case t.Reason == rotation.JournalUnreadable: // the slot says so
	case t.State == rotation.Foreign:
		n.Event = Foreign
		n.Text = fmt.Sprintf("%s, a target of %s: %s.", place, slot, report.Says(t.Reason))
		add(n)
	case t.State == rotation.TargetBlocked:
		n.Event = Blocked
		n.Text = fmt.Sprintf("%s, a target of %s, is blocked: %s. Mend that, then: handover resume %s", place, slot, report.Says(t.Reason), slot)
		add(n)
	}
}

func day(at *time.Time) string { return at.Format(time.DateOnly) }

// passing is the notice of what is over as soon as it is told; false for most
// events.
func passing(agent string, e rotation.Event) (Notice, bool) {
	n := Notice{Agent: agent, At: e.At.UTC(), Slots: []string{e.Slot}, Reason: e.Reason, Count: 1, passing: true}
	switch {
	case e.Act == rotation.ActEmergencyOver:
		n.Event = Emergency
		n.Text = fmt.Sprintf("The emergency of %s is over: %s. See: handover explain %s", e.Slot, e.Detail, e.Slot)
		n.about = key(e.Act, e.Slot, e.At.UnixNano())
	case e.Act == rotation.ActEmergency:
		n.Event = Emergency
		n.Text = fmt.Sprintf("An emergency of %s began, by %s: its leaked tokens are replaced and revoked now. See: handover explain %s", e.Slot, e.Actor, e.Slot)
		n.about = key(e.Act, e.Slot, e.At.UnixNano())
	case e.Act == rotation.ActSeen && e.Detail == rotation.DetailDrift:
		n.Event = Drift
		n.Backend, n.Path, _ = strings.Cut(e.Target, "/")
		n.Text = fmt.Sprintf("%s, a target of %s, was changed by somebody else: %s. The agent puts it right; find out who writes there.",
			e.Target, e.Slot, report.Says(e.Reason))
		n.about = key(Drift, e.Slot, e.Target)
	default:
		return Notice{}, false
	}
	return n, true
}

// calls reports whether how things stand may be worth a notice since that event.
func calls(e rotation.Event) bool {
	switch e.Act {
	case rotation.ActBlocked, rotation.ActAccountBlocked:
		return true
	case rotation.ActMoved:
		return e.Detail == string(rotation.Hold)
	case rotation.ActSeen:
		return e.Reason == rotation.TargetHoldsForeign || e.Reason == rotation.TargetHoldsOther
	case rotation.ActDeliverFailed:
		return e.Reason == rotation.TargetRefused
	}
	return false
}

// most is how many notices of one event are told one by one at the same time.
const most = 5

// gathered tells many notices of one event as one.
func gathered(all []Notice) []Notice {
	if len(all) <= most {
		return all
	}
	one := Notice{Event: all[0].Event, Agent: all[0].Agent, At: all[0].At, Count: len(all)}
	lines := []string{fmt.Sprintf("%d notices of %q at the same time; the first are:", len(all), one.Event)}
	for _, n := range all[:most] {
		lines = append(lines, n.Text)
		one.Slots = append(one.Slots, n.Slots...)
	}
	one.Text = strings.Join(append(lines, "See: handover status"), "\n")
	return []Notice{one}
}
