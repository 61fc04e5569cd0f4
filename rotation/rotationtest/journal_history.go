package rotationtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

var historyRules = []rule{
	{"EventComesBack", eventComesBack},
	{"EventTimes", eventTimes},
	{"EventWithoutTimeGetsIt", eventWithoutTimeGetsIt},
	{"EventWithBrokenText", eventWithBrokenText},
	{"HistoryOfNothing", historyOfNothing},
	{"HistoryNewestOldestFirst", historyNewestOldestFirst},
	{"HistoryBySlot", historyBySlot},
	{"HistorySince", historySince},
}

// commitEvent stores e with a record of its own.
func commitEvent(t *testing.T, j rotation.Journal, e rotation.Event) {
	t.Helper()
	rec, _ := j.Slot(t.Context(), slotA) // zero before the first
	rec.Slot = slotA
	if _, err := j.Commit(t.Context(), rec, e); err != nil {
		t.Fatal(err)
	}
}

func history(t *testing.T, j rotation.Journal, f rotation.HistoryFilter) []rotation.Event {
	t.Helper()
	events, err := j.History(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func eventComesBack(t *testing.T, j rotation.Journal) {
	var want rotation.Event
	fill(reflect.ValueOf(&want).Elem())
	commitEvent(t, j, want)
	if _, err := j.CommitAccount(t.Context(), rotation.AccountRecord{ID: "a@service"}, want); err != nil {
		t.Fatal(err)
	}
	got := history(t, j, rotation.HistoryFilter{})
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	if got[0].ID <= 0 || got[1].ID <= got[0].ID {
		t.Errorf("IDs %d and %d don't rise", got[0].ID, got[1].ID)
	}
	for _, e := range got {
		want.ID = e.ID // the journal's, not the caller's
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
}

func eventTimes(t *testing.T, j rotation.Journal) {
	east := time.FixedZone("east", 5*3600+1800)
	times := []time.Time{
		time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(2026, 1, 1, 2, 0, 0, 0, east), // the year before in UTC
		time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	}
	for _, at := range times {
		e := event(slotA)
		e.At = at
		commitEvent(t, j, e)
	}
	for i, e := range history(t, j, rotation.HistoryFilter{}) {
		if !e.At.Equal(times[i]) || e.At.Location() != time.UTC {
			t.Errorf("time %v, want %v in UTC", e.At, times[i])
		}
	}
}

func eventWithoutTimeGetsIt(t *testing.T, j rotation.Journal) {
	e := event(slotA)
	e.At = time.Time{}
	commitEvent(t, j, e)
	if got := history(t, j, rotation.HistoryFilter{}); len(got) != 1 || got[0].At.IsZero() {
		t.Errorf("%+v, want one event with a time", got)
	}
}

// eventWithBrokenText: what a store answered may stand in a detail. It is no
// reason to lose a commit.
func eventWithBrokenText(t *testing.T, j rotation.Journal) {
	e := event(slotA)
	e.Detail = "before\xff\xfe\x00after"
	commitEvent(t, j, e)
	got := history(t, j, rotation.HistoryFilter{})
	if len(got) != 1 || !utf8.ValidString(got[0].Detail) {
		t.Fatalf("%+v, want one event of valid text", got)
	}
	if d := got[0].Detail; d[:6] != "before" || d[len(d)-5:] != "after" {
		t.Errorf("detail %q lost more than its broken part", d)
	}
}

func historyOfNothing(t *testing.T, j rotation.Journal) {
	for _, f := range []rotation.HistoryFilter{{}, {Slot: slotA}, {Since: time.Unix(0, 0)}, {Limit: 1}} {
		if got := history(t, j, f); len(got) != 0 {
			t.Errorf("%+v finds %d events in an empty journal", f, len(got))
		}
	}
}

func historyNewestOldestFirst(t *testing.T, j rotation.Journal) {
	for i := range 120 {
		e := event(slotA)
		e.Detail = fmt.Sprint(i)
		commitEvent(t, j, e)
	}
	for limit, want := range map[int]int{0: 100, 1: 1, 7: 7, 1000: 120, -1: 100} {
		got := history(t, j, rotation.HistoryFilter{Limit: limit})
		if len(got) != want {
			t.Errorf("limit %d: %d events, want %d", limit, len(got), want)
			continue
		}
		if first, last := got[0].Detail, got[want-1].Detail; first != fmt.Sprint(120-want) || last != "119" {
			t.Errorf("limit %d: events %s to %s, want %d to 119", limit, first, last, 120-want)
		}
		if !slices.IsSortedFunc(got, func(a, b rotation.Event) int { return int(a.ID - b.ID) }) {
			t.Errorf("limit %d: not in order", limit)
		}
	}
}

func historyBySlot(t *testing.T, j rotation.Journal) {
	for i := range 60 {
		commitEvent(t, j, event([]string{slotA, slotB, ""}[i%3]))
	}
	for limit, want := range map[int]int{0: 20, 5: 5} {
		f := rotation.HistoryFilter{Slot: slotB, Limit: limit}
		got := history(t, j, f)
		if len(got) != want {
			t.Errorf("%+v: %d events, want %d", f, len(got), want)
		}
		for _, e := range got {
			if e.Slot != slotB {
				t.Errorf("%+v finds an event of %q", f, e.Slot)
			}
		}
	}
	if got := history(t, j, rotation.HistoryFilter{Slot: "no such"}); len(got) != 0 {
		t.Errorf("an unknown slot has %d events", len(got))
	}
}

func historySince(t *testing.T, j rotation.Journal) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		e := event([]string{slotA, slotB}[i%2])
		e.At = start.Add(time.Duration(i) * time.Nanosecond)
		commitEvent(t, j, e)
	}
	tests := []struct {
		filter rotation.HistoryFilter
		want   int
	}{
		{rotation.HistoryFilter{Since: start}, 10},
		{rotation.HistoryFilter{Since: start.Add(4)}, 6}, // the fifth is in
		{rotation.HistoryFilter{Since: start.Add(4), Slot: slotA}, 3},
		{rotation.HistoryFilter{Since: start.Add(4), Limit: 2}, 2},
		{rotation.HistoryFilter{Since: start.Add(10)}, 0},
		{rotation.HistoryFilter{Since: start.Add(4).In(time.FixedZone("west", -3600))}, 6},
	}
	for _, tt := range tests {
		if got := history(t, j, tt.filter); len(got) != tt.want {
			t.Errorf("%+v: %d events, want %d", tt.filter, len(got), tt.want)
		}
	}
}
