package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// problemLines is how many problems a table tells before it counts the rest.
const problemLines = 20

// WriteTable writes the document for people, without colour: the agent, the
// problems, then one line for each slot. wide adds a line for each target and
// each token on its way out. It fails as w does.
func WriteTable(w io.Writer, doc Document, wide bool) error {
	var out bytes.Buffer
	writeHead(&out, doc)
	if len(doc.Slots) == 0 {
		fmt.Fprintln(&out, "\nno slots: the declaration declares no tokens")
		return write(w, &out)
	}
	fmt.Fprintln(&out)
	var rows bytes.Buffer
	row(&rows, "SLOT", "STATE", "GEN", "TOKEN", "NEXT", "REASON")
	for _, s := range doc.Slots {
		row(&rows, plain(s.Slot), string(s.State), number(s.Generation), number(s.TokenID), Next(s, doc.Now), dash(string(s.Reason)))
		if wide {
			writeParts(&rows, s, doc.Now)
		}
	}
	if err := align(&out, rows.Bytes()); err != nil {
		return err
	}
	return write(w, &out)
}

func writeHead(out *bytes.Buffer, doc Document) {
	how := "not running; this is what its journal says"
	if doc.Running {
		how = "running"
	}
	fmt.Fprintf(out, "agent %s, %s, %s\n", dash(doc.Agent), how, doc.Now.UTC().Format(time.RFC3339))
	fmt.Fprintln(out, summary(doc))
	problems := doc.Problems()
	if len(problems) > 0 {
		fmt.Fprintln(out)
	}
	for i, p := range problems {
		if i == problemLines {
			fmt.Fprintf(out, "! and %d more problems\n", len(problems)-i)
			break
		}
		fmt.Fprintf(out, "! %s\n", p)
	}
}

// String is the problem with its slot in front.
func (p Problem) String() string {
	if p.Slot == "" {
		return p.Text
	}
	return plain(p.Slot) + ": " + p.Text
}

// summary counts the slots by state: "3 slots: 1 blocked, 2 current".
func summary(doc Document) string {
	var parts []string
	for _, state := range States() {
		if n := doc.Counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	text := count(len(doc.Slots), "slot")
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if doc.Unclaimed > 0 {
		text += "; " + count(doc.Unclaimed, "unclaimed token")
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Next tells what comes next for a slot and when: "rotate in 3d"; "-" when
// nothing does by time alone.
func Next(s rotation.Status, now time.Time) string {
	if s.NextAt == nil {
		return "-"
	}
	return plain(s.Next) + " " + Relative(s.NextAt, now)
}

// writeParts writes the lines of a slot's targets and retired tokens.
func writeParts(rows *bytes.Buffer, s rotation.Status, now time.Time) {
	for _, t := range s.Targets {
		what := "-"
		if t.RetryAt != nil {
			what = "deliver " + Relative(t.RetryAt, now)
		}
		row(rows, "  target "+plain(t.Backend+"/"+t.Path), string(t.State), number(t.Generation), "-", what, Why(t, now))
	}
	for _, t := range s.Retired {
		row(rows, fmt.Sprintf("  retired g%d", t.Generation), string(t.State), number(t.Generation), number(t.TokenID),
			Until(t, now), dash(string(t.Reason)))
	}
}

// Until tells how a retired token's state ends and when: "revoke in 2d"; "-"
// when no time ends it.
func Until(t rotation.RetiredStatus, now time.Time) string {
	if t.Until == nil {
		return "-"
	}
	verb := "expire"
	switch t.State {
	case rotation.Grace, rotation.Hold, rotation.Revoking:
		verb = "revoke"
	case rotation.Observing, rotation.Deleting:
		verb = "delete"
	}
	return verb + " " + Relative(t.Until, now)
}

// row adds one line of cells; align brings the cells of all lines in step.
func row(rows *bytes.Buffer, cells ...string) { fmt.Fprintln(rows, strings.Join(cells, "\t")) }

func align(out *bytes.Buffer, rows []byte) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := table.Write(rows); err != nil {
		return err
	}
	return table.Flush()
}

func write(w io.Writer, out *bytes.Buffer) error {
	_, err := w.Write(out.Bytes())
	return err
}
