package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Explanation is all that there is to say of one slot.
type Explanation struct {
	// Now is what all that is relative refers to.
	Now time.Time `json:"now"`
	// Running: a running agent told it. Else the journal did.
	Running bool            `json:"running"`
	Slot    rotation.Status `json:"slot"`
	// Says are the reasons in it, in sentences for people.
	Says map[rotation.Reason]string `json:"says"`
	// Problems are what a person should look at.
	Problems []string `json:"problems"`
	// Events are the last acts, oldest first.
	Events []rotation.Event `json:"events"`
}

// Explain picks a slot out of a document; false when it isn't there.
func Explain(doc Document, slot string, events []rotation.Event) (Explanation, bool) {
	for _, s := range doc.Slots {
		if s.Slot != slot {
			continue
		}
		e := Explanation{Now: doc.Now, Running: doc.Running, Slot: s, Says: map[rotation.Reason]string{}, Problems: []string{}, Events: events}
		if e.Events == nil {
			e.Events = []rotation.Event{}
		}
		for _, p := range slices.Concat(doc.agentProblems(), pauseProblems(s.Paused, doc.Now), slotProblemsOf(s, doc.Now)) {
			e.Problems = append(e.Problems, p.Text)
		}
		e.say(s.Reason)
		for _, t := range s.Targets {
			e.say(t.Reason)
		}
		for _, t := range s.Retired {
			e.say(t.Reason)
		}
		return e, true
	}
	return Explanation{}, false
}

func (e *Explanation) say(r rotation.Reason) {
	if r != "" {
		e.Says[r] = Says(r)
	}
}

func slotProblemsOf(s rotation.Status, now time.Time) []Problem {
	var all []Problem
	for _, found := range slotProblems(s, now) {
		all = append(all, Problem{Slot: s.Slot, Text: found.text})
	}
	return all
}

// WriteExplanation writes it for people: the token, what each target and each
// older token waits for and until when, then the last acts. It fails as w does.
func WriteExplanation(w io.Writer, e Explanation) error {
	var out bytes.Buffer
	e.writeToken(&out)
	var rows bytes.Buffer
	for _, t := range e.Slot.Targets {
		e.writeTarget(&rows, t)
	}
	e.section(&out, "Targets", rows.Bytes())
	rows.Reset()
	for _, t := range e.Slot.Retired {
		e.writeRetired(&rows, t)
	}
	e.section(&out, "Older tokens", rows.Bytes())
	if len(e.Events) > 0 {
		fmt.Fprintln(&out, "\nLast acts")
		if err := WriteHistory(&out, e.Events); err != nil {
			return err
		}
	}
	return write(w, &out)
}

func (e Explanation) writeToken(out *bytes.Buffer) {
	s := e.Slot
	fmt.Fprintf(out, "%s: %s", plain(s.Slot), s.State)
	if s.Generation > 0 {
		fmt.Fprintf(out, ", generation %d, token %d", s.Generation, s.TokenID)
	}
	fmt.Fprintln(out)
	if !e.Running {
		fmt.Fprintln(out, "no agent runs; this is what its journal says")
	}
	fmt.Fprintf(out, "  %s: %s\n", s.Reason, Says(s.Reason))
	if s.IssuedAt != nil {
		fmt.Fprintf(out, "  issued %s", Relative(s.IssuedAt, e.Now))
		if s.ExpiresAt != nil {
			fmt.Fprintf(out, ", expires %s (%s)", Relative(s.ExpiresAt, e.Now), s.ExpiresAt.Format(time.RFC3339))
		}
		fmt.Fprintf(out, "%s\n", used(s.LastUsedAt, e.Now))
	}
	if next := Next(s, e.Now); next != "-" {
		fmt.Fprintf(out, "  next: %s (%s)\n", next, s.NextAt.Format(time.RFC3339))
	}
	for _, p := range e.Problems {
		fmt.Fprintf(out, "  ! %s\n", p)
	}
}

func used(at *time.Time, now time.Time) string {
	if at == nil {
		return ""
	}
	return ", last used " + Relative(at, now)
}

func (e Explanation) section(out *bytes.Buffer, title string, rows []byte) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", title)
	_ = align(out, rows) // a buffer takes everything
}

func (e Explanation) writeTarget(rows *bytes.Buffer, t rotation.TargetStatus) {
	text := Says(t.Reason)
	if t.Since != nil {
		text += ", since " + Span(e.Now.Sub(*t.Since))
	}
	if t.RetryAt != nil {
		text += "; tried again " + Relative(t.RetryAt, e.Now)
	}
	row(rows, "  "+plain(t.Backend+"/"+t.Path), string(t.State), serves(t.Generation), text)
}

func serves(generation uint64) string {
	if generation == 0 {
		return "none of ours"
	}
	return fmt.Sprintf("serves g%d", generation)
}

func (e Explanation) writeRetired(rows *bytes.Buffer, t rotation.RetiredStatus) {
	text := Says(t.Reason)
	if until := Until(t, e.Now); until != "-" {
		text += "; " + until
	}
	row(rows, fmt.Sprintf("  g%d, token %d", t.Generation, t.TokenID), string(t.State), text+used(t.LastUsedAt, e.Now))
}
