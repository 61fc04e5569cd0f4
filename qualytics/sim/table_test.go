package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTableAsOf(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	teams := newTable[team](10)
	for n, row := range []team{{10, "a"}, {11, "b"}, {10, "A"}, {12, "c"}, {11, "B"}, {10, "AA"}} {
		teams.put(row, at(n))
	}
	if teams.next != 13 {
		t.Errorf("next id %d, want 13", teams.next)
	}
	for newest, want := range []string{"AA B c", "A B c", "A b c", "A b", "a b", "a", "", ""} {
		rows := teams.asOf(func(newer int, _ time.Time) bool { return newer < newest }, func(team) bool { return true })
		if diff := cmp.Diff(want, names(rows)); diff != "" {
			t.Errorf("without the newest %d (-want +got):\n%s", newest, diff)
		}
	}
	rows := teams.asOf(func(_ int, changed time.Time) bool { return changed.After(at(2)) }, func(r team) bool { return r.ID == 11 })
	if got := names(rows); got != "b" {
		t.Errorf("11 as of second 2: got %q, want b", got)
	}
}

func TestTableForgetsOldChanges(t *testing.T) {
	teams := newTable[team](1)
	for n := range 10 * maxPast {
		teams.put(team{ID: 1, Name: fmt.Sprint(n)}, time.Time{})
		if len(teams.past) > 2*maxPast {
			t.Fatalf("%d changes are kept, want %d at most", len(teams.past), 2*maxPast)
		}
	}
	rows := teams.asOf(func(newer int, _ time.Time) bool { return newer < maxPast }, func(team) bool { return true })
	if want := fmt.Sprint(9*maxPast - 1); names(rows) != want {
		t.Errorf("%d changes ago: got %s, want %s", maxPast, names(rows), want)
	}
}

func names(rows []team) string {
	joined := ""
	for _, r := range rows {
		if joined != "" {
			joined += " "
		}
		joined += r.Name
	}
	return joined
}

func TestFieldsRejectWhatAnIntegerIsNot(t *testing.T) {
	f := field{name: "n", kind: integer, min: 1, max: 365}
	for raw, ok := range map[string]bool{
		"1": true, "365": true, "0": false, "366": false, "-1": false, "+1": false, "01x": false, "1.0": false, "1e1": false,
		`"1"`: false, "true": false, "[]": false, "null": false, "1_0": false, "0x1": false, "9223372036854775808": false,
	} {
		if _, typ, _ := f.read([]byte(raw), true); (typ == "") != ok {
			t.Errorf("%s: problem %q, want valid %v", raw, typ, ok)
		}
	}
}
