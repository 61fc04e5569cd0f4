package main

import (
	"fmt"
	"io"
	"time"
)

// many is from how many slots on an emergency is counted instead of told: the
// table at its end has them all.
const many = 20

// tally is how often a count is told where no bar can be drawn.
const tally = 5 * time.Second

// counting tells how many slots of many are done: as a bar to a person at a
// terminal, else in a line from time to time. A nil counting tells nothing.
type counting struct {
	to    io.Writer
	bar   *bar
	total int
	// told is what was told last, next when it is told again.
	told int
	next time.Time
}

// newCounting is nil for few slots.
func newCounting(to io.Writer, total int) *counting {
	if total < many {
		return nil
	}
	return &counting{to: to, bar: newBar(to, int64(total), "slots"), total: total}
}

func (c *counting) show(done int) {
	switch {
	case c == nil:
	case c.bar != nil:
		c.bar.show(int64(done))
	case done > c.told && (done == c.total || !time.Now().Before(c.next)):
		c.told, c.next = done, time.Now().Add(tally)
		fmt.Fprintf(c.to, "%d of %d slots are done\n", done, c.total)
	}
}

// end takes the bar away.
func (c *counting) end() {
	if c != nil {
		c.bar.clear()
	}
}
