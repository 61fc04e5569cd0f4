package plan

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// signs are what a line begins with, for the eye.
var signs = map[Act]string{CreateAccount: "+", UpdateAccount: "~", Issue: "+", Deliver: ">",
	Revoke: "-", Delete: "-", DropTarget: "!"}

// Write writes the plan for people: a line for each change, then one for each
// wait, then the summary. It fails as w does.
func Write(w io.Writer, p Plan) error {
	var out bytes.Buffer
	for _, c := range p.Changes {
		fmt.Fprintf(&out, "%s %s\n", signs[c.Act], c)
	}
	if len(p.Waits) > 0 && len(p.Changes) > 0 {
		fmt.Fprintln(&out)
	}
	for _, wait := range p.Waits {
		fmt.Fprintf(&out, ". %s\n", wait)
	}
	if out.Len() > 0 {
		fmt.Fprintln(&out)
	}
	fmt.Fprintln(&out, p.Summary)
	_, err := w.Write(out.Bytes())
	return err
}

// String is the change in words.
func (c Change) String() string {
	var text string
	switch c.Act {
	case CreateAccount:
		return fmt.Sprintf("create account %s (%s)", c.Account, c.Detail)
	case UpdateAccount:
		return fmt.Sprintf("update account %s (%s)", c.Account, c.Detail)
	case Issue:
		text = fmt.Sprintf("issue %s g%d", c.Slot, c.Generation)
	case Deliver:
		text = fmt.Sprintf("deliver %s, g%d of %s", c.Target, c.Generation, c.Slot)
	case DropTarget:
		return fmt.Sprintf("drop target %s of %s: %s", c.Target, c.Slot, c.Detail)
	default:
		text = fmt.Sprintf("%s %s", c.Act, token(c.Slot, c.Generation, c.TokenID))
	}
	if c.Reason != "" {
		text += fmt.Sprintf(" (%s)", c.Reason)
	}
	return text
}

// String is the wait in words.
func (w Wait) String() string {
	until := ""
	if w.Until != nil {
		until = ", not before " + w.Until.UTC().Format(time.RFC3339)
	}
	switch w.Act {
	case "":
		return fmt.Sprintf("wait %s: %s%s", w.Slot, w.Reason, until)
	case Deliver:
		return fmt.Sprintf("wait %s, target %s: %s%s", w.Slot, w.Target, w.Reason, until)
	}
	return fmt.Sprintf("later %s %s: %s%s", w.Act, token(w.Slot, w.Generation, w.TokenID), w.Reason, until)
}

func token(slot string, generation uint64, id int64) string {
	if id == 0 {
		return fmt.Sprintf("%s g%d", slot, generation)
	}
	return fmt.Sprintf("%s g%d, token %d", slot, generation, id)
}

// String is the summary in one sentence: "Plan: 1 account to create, …"; or "No
// changes."
func (s Summary) String() string {
	if s == (Summary{}) {
		return "No changes."
	}
	parts := []string{number(s.CreateAccounts, "account", "accounts") + " to create"}
	if s.UpdateAccounts > 0 {
		parts = append(parts, number(s.UpdateAccounts, "account", "accounts")+" to update")
	}
	parts = append(parts, number(s.Issues, "token", "tokens")+" to issue",
		number(s.Deliveries, "delivery", "deliveries"), number(s.Revocations, "revocation", "revocations"))
	if s.Deletions > 0 {
		parts = append(parts, number(s.Deletions, "deletion", "deletions"))
	}
	if s.DroppedTargets > 0 {
		parts = append(parts, number(s.DroppedTargets, "target", "targets")+" dropped")
	}
	return "Plan: " + strings.Join(parts, ", ") + "."
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
