package report

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// WriteHistory writes events for people, one line each, in the order given.
// Times are UTC. It fails as w does.
func WriteHistory(w io.Writer, events []rotation.Event) error {
	var out, rows bytes.Buffer
	row(&rows, "TIME", "ACT", "ON", "GEN", "TOKEN", "REASON", "ACTOR", "DETAIL")
	for _, e := range events {
		on := e.Slot
		if on == "" {
			on = e.Account
		}
		detail := e.Detail
		if e.Target != "" {
			detail = strings.TrimSpace(e.Target + " " + e.Detail)
		}
		row(&rows, e.At.UTC().Format(time.RFC3339), dash(string(e.Act)), dash(on), number(e.Generation),
			number(e.TokenID), dash(string(e.Reason)), dash(e.Actor), dash(detail))
	}
	if err := align(&out, rows.Bytes()); err != nil {
		return err
	}
	return write(w, &out)
}
