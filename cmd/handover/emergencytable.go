package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// emergencies is what rotate --emergency prints.
type emergencies struct {
	Emergencies []rotation.EmergencyReport `json:"emergencies"`
}

func (all emergencies) write(w io.Writer) error {
	rows := [][]any{{"SLOT", "WHAT", "STATE", "AT", "REASON"}}
	for _, e := range all.Emergencies {
		rows = append(rows, emergencyRows(e)...)
	}
	if len(rows) > 1 {
		if err := columns(w, rows...); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	for _, e := range all.Emergencies {
		if _, err := fmt.Fprintf(w, "%s: %s\n", e.Slot, verdictOf(e)); err != nil {
			return err
		}
	}
	return nil
}

// emergencyRows are the tokens and targets of one slot.
func emergencyRows(e rotation.EmergencyReport) (rows [][]any) {
	row := func(what, state, at, reason string) { rows = append(rows, []any{e.Slot, what, state, at, reason}) }
	for _, t := range e.Revoked {
		why := "-"
		if t.Missing {
			why = "it was gone already"
		}
		row(token(t.TokenID, t.Generation), "revoked", stamp(&t.At), why)
	}
	for _, t := range e.Alive {
		row(token(t.TokenID, t.Generation), "alive", nextTry(t.RetryAt), "-")
	}
	if e.NewTokenID != 0 {
		row(token(e.NewTokenID, e.Generation), "issued", "-", "-")
	}
	for _, t := range e.Targets {
		where := t.Backend + "/" + t.Path
		switch {
		case e.RevokeOnly && t.Delivered:
			row(where, "serves", stamp(t.At), "another token")
		case e.RevokeOnly && t.Dead:
			why := "it serves a dead token"
			if t.Reason == rotation.NotDeclared {
				why += "; it isn't declared any more"
			}
			row(where, "cut off", "-", why)
		case e.RevokeOnly:
			row(where, "cut off", "-", string(t.Reason))
		case t.Delivered:
			row(where, "delivered", stamp(t.At), "-")
		case t.Dead:
			row(where, "left", nextTry(t.RetryAt), string(t.Reason)+"; it serves a dead token")
		default:
			row(where, "left", nextTry(t.RetryAt), string(t.Reason))
		}
	}
	return rows
}

// verdictOf is how an emergency went, in one line.
func verdictOf(e rotation.EmergencyReport) string {
	text := e.Outcome
	switch {
	case e.Over:
	case e.TakenUpAt == nil:
		text = "not taken up yet"
	default:
		text = fmt.Sprintf("not over: %s alive, %s left", number(len(e.Alive), "token"), number(e.Left(), "target"))
	}
	switch {
	case e.Removed:
		text += "; it isn't declared any more: nothing is issued, and nothing is delivered"
	case e.Blocked != "":
		text += fmt.Sprintf("; it gets no new token before 'handover resume %s': %s", e.Slot, e.Blocked)
	}
	if e.RevokedAfter != nil {
		text += fmt.Sprintf("; %.1f s from the command to the last revocation", *e.RevokedAfter)
	}
	return text
}

// newsOf is all that has happened in an emergency, a line each. A line stays as
// it is once it was told.
func newsOf(e rotation.EmergencyReport) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, e.Slot+": "+fmt.Sprintf(format, args...)) }
	if e.TakenUpAt == nil {
		return nil
	}
	add("taken up; deadline %s", stamp(e.Deadline))
	if e.NewTokenID != 0 {
		add("issued %s", token(e.NewTokenID, e.Generation))
	}
	for _, t := range e.Targets {
		switch {
		case e.RevokeOnly: // nothing is delivered for it
		case t.Delivered && t.At != nil && !t.At.Before(*e.TakenUpAt):
			add("delivered to %s/%s", t.Backend, t.Path)
		case !t.Delivered && t.RetryAt != nil:
			add("%s/%s is away or refuses: %s", t.Backend, t.Path, t.Reason)
		}
	}
	for _, t := range e.Revoked {
		add("revoked %s", token(t.TokenID, t.Generation))
	}
	for _, t := range e.Alive {
		if t.RetryAt != nil {
			add("%s could not be revoked yet", token(t.TokenID, t.Generation))
		}
	}
	if e.Over {
		add("over: %s", e.Outcome)
	}
	return lines
}

// token names one: "token 4711 (g3)".
func token(id int64, generation uint64) string {
	var name strings.Builder
	name.WriteString("token")
	if id != 0 {
		fmt.Fprintf(&name, " %d", id)
	}
	if generation != 0 {
		fmt.Fprintf(&name, " (g%d)", generation)
	}
	return name.String()
}

// stamp is a moment in a table.
func stamp(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

func nextTry(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return "next try " + stamp(at)
}
