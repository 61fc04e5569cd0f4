package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// whole is the shortest run in which every kind of fault must come.
const whole = time.Minute

// outcome is what a run showed.
type outcome struct {
	duration time.Duration
	lanes    []lane
	counts   map[kind]int
	starts   int // of the agent
	exits    int // by itself, on a full disk
	slots    []string
	targets  []string
	// rotations is, by slot, how many tokens every target of it has served
	// after the first.
	rotations map[string]int
	tally     outside.Tally
	highest   int // of the live tokens of one slot
	looks     int // at the list of tokens
	settled   time.Duration
	leftover  int // -1 when nobody could look
	failures  []string
}

// rotated counts, for each slot, the tokens that all its consumers have read,
// less the first.
func rotated(consumers []outside.Consumer, tokens map[string]int) map[string]int {
	least := map[string]int{}
	for _, c := range consumers {
		n := max(0, tokens[c.Name]-1)
		if had, ok := least[c.Slot]; !ok || n < had {
			least[c.Slot] = n
		}
	}
	return least
}

// wrong lists all that makes a run a failure.
func (o outcome) wrong() []string {
	all := slices.Clone(o.failures)
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if o.tally.Dead > 0 {
		say("%d reads were dead", o.tally.Dead)
	}
	for _, target := range o.targets {
		if o.tally.Reads[target] == 0 {
			say("%s was never read", target)
		}
	}
	if o.tally.Slow > o.tally.Sum()/100 {
		say("%d of %d reads were too slow to count: this machine is too busy", o.tally.Slow, o.tally.Sum())
	}
	for _, slot := range o.slots {
		if o.rotations[slot] == 0 {
			say("%s was never rotated", slot)
		}
	}
	if o.looks == 0 {
		say("the list of tokens could never be seen")
	}
	if o.leftover != 0 {
		say("tokens were left over, or nobody could look")
	}
	for _, l := range o.lanes {
		for _, k := range l.kinds {
			if o.counts[k] == 0 && o.duration >= whole {
				say("no fault of the kind %s came", k)
			}
		}
	}
	return all
}

// print tells of the run. The last line counts the dead reads.
func (o outcome) print(w io.Writer) {
	sum, least := 0, -1
	for _, slot := range o.slots {
		n := o.rotations[slot]
		sum += n
		if least < 0 || n < least {
			least = n
		}
	}
	fmt.Fprintf(w, "rotations: %d of %d slots with %d targets, at least %d of each slot\n", sum, len(o.slots), len(o.targets), least)
	faults := 0
	for _, l := range o.lanes {
		var counts []string
		for _, k := range l.kinds {
			faults += o.counts[k]
			counts = append(counts, fmt.Sprintf("%s %d", k, o.counts[k]))
		}
		fmt.Fprintf(w, "faults, %s: %s\n", l.name, strings.Join(counts, ", "))
	}
	fmt.Fprintf(w, "faults: %d; starts of the agent: %d, of which %d after it ended on a full disk\n", faults, o.starts, o.exits)
	fmt.Fprintf(w, "highest number of live tokens of a slot: %d\n", o.highest)
	leftover := "unknown"
	if o.leftover >= 0 {
		leftover = strconv.Itoa(o.leftover)
	}
	fmt.Fprintf(w, "leftover tokens after settling, which took %s: %s\n", o.settled.Round(100*time.Millisecond), leftover)
	fmt.Fprintf(w, "not reads: %d, for a store or the API didn't answer; %d, for the reader held the token too long\n", o.tally.Unreachable, o.tally.Slow)
	for _, text := range o.wrong() {
		fmt.Fprintf(w, "failed: %s\n", text)
	}
	for _, death := range o.tally.Deaths[:min(len(o.tally.Deaths), 10)] {
		fmt.Fprintf(w, "dead: %s\n", death)
	}
	fmt.Fprintf(w, "dead reads: %d of %d\n", o.tally.Dead, o.tally.Sum())
}
