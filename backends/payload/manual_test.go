package payload_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends/payload"
)

// docs/formats.md tells every format and every consumer as the code has them.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{} // by the first cell, which holds one name
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if strings.HasPrefix(line, "| `") {
			rows[strings.Trim(cells[0], " `")] = cells
		}
	}
	for _, format := range payload.Names() {
		if len(rows[format]) == 0 {
			t.Errorf("the manual has no row for the format %s", format)
		}
		consumer := payload.Consumer(format)
		for name, cells := range rows {
			if _, known := payload.Floors[name]; !known {
				continue
			}
			if implied := strings.Contains(cells[3], "`"+format+"`"); implied != (name == consumer) {
				t.Errorf("the manual is wrong on whether %s implies %s", format, name)
			}
		}
	}
	for consumer, floor := range payload.Floors {
		want := fmt.Sprintf("%.0f h", floor.Hours())
		if cells := rows[consumer]; len(cells) != 4 || cells[2] != want {
			t.Errorf("the manual's row of the consumer %s doesn't say %s", consumer, want)
		}
	}
	for name := range rows {
		if _, known := payload.Floors[name]; !known && name != "format" && name != "consumer" && !strings.Contains(strings.Join(payload.Names(), " "), name) {
			t.Errorf("the manual has a row for %s, which is neither a format nor a consumer", name)
		}
	}
}
