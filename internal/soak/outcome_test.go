package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// good is an outcome with nothing wrong.
func good() outcome {
	o := outcome{
		duration: time.Minute, lanes: lanes(), counts: map[kind]int{}, starts: 9, exits: 2,
		slots: []string{"a@service/x"}, targets: []string{"file x"}, rotations: map[string]int{"a@service/x": 4},
		tally:   outside.Tally{Reads: map[string]int{"file x": 700}, Held: 300, Unreachable: 12, Slow: 10},
		highest: 3, looks: 100, settled: 7 * time.Second,
	}
	for _, l := range o.lanes {
		for _, k := range l.kinds {
			o.counts[k] = 2
		}
	}
	return o
}

// TestWrong: each thing that makes a run a failure does so alone.
func TestWrong(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*outcome)
		want  string
	}{
		"good":            {func(*outcome) {}, ""},
		"dead read":       {func(o *outcome) { o.tally.Dead = 1 }, "1 reads were dead"},
		"no rotation":     {func(o *outcome) { o.rotations = nil }, "a@service/x was never rotated"},
		"no fault":        {func(o *outcome) { o.counts[pause] = 0 }, "no fault of the kind pause"},
		"a short run":     {func(o *outcome) { o.counts[pause], o.duration = 0, 59*time.Second }, ""},
		"left out":        {func(o *outcome) { o.counts[pause] = 0; o.lanes = options{without: kinds{pause}}.lanes() }, ""},
		"not read":        {func(o *outcome) { o.tally.Reads = map[string]int{"file y": 700} }, "file x was never read"},
		"slow readers":    {func(o *outcome) { o.tally.Slow = 11 }, "too slow to count"},
		"not looked":      {func(o *outcome) { o.looks = 0 }, "could never be seen"},
		"left over":       {func(o *outcome) { o.leftover = 1 }, "left over"},
		"unknown":         {func(o *outcome) { o.leftover = -1 }, "nobody could look"},
		"another failure": {func(o *outcome) { o.failures = []string{"the agent ended by itself"} }, "ended by itself"},
	} {
		o := good()
		o.counts, o.rotations = maps.Clone(o.counts), maps.Clone(o.rotations)
		test.spoil(&o)
		got := strings.Join(o.wrong(), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestPrint: the last line counts the dead reads, whatever else was wrong.
func TestPrint(t *testing.T) {
	o := good()
	o.tally.Dead, o.tally.Deaths, o.failures = 3, []string{"vault web: refused"}, []string{"the agent ended by itself"}
	var b strings.Builder
	o.print(&b)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; last != "dead reads: 3 of 1000" {
		t.Errorf("the last line is %q", last)
	}
	for _, want := range []string{
		"rotations: 4 of 1 slots with 1 targets, at least 4 of each slot", "faults, agent: kill 2, kill_wait 2, pause 2, disk_full 2",
		"faults: 40; starts of the agent: 9, of which 2", "highest number of live tokens of a slot: 3",
		"leftover tokens after settling, which took 7s: 0", "failed: the agent ended by itself", "dead: vault web: refused",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("no line begins with %q:\n%s", want, b.String())
		}
	}
}

// TestRotated: a slot has rotated as often as its laziest target was seen to.
func TestRotated(t *testing.T) {
	at := func(name, slot string) outside.Consumer {
		return outside.Consumer{Name: name, Slot: slot, Read: func(context.Context) (string, error) { return "", nil }}
	}
	got := rotated([]outside.Consumer{at("a", "s"), at("b", "s"), at("c", "u"), at("d", "v")}, map[string]int{"a": 5, "b": 3, "c": 1})
	if want := map[string]int{"s": 2, "u": 0, "v": 0}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
