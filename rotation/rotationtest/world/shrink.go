package world

import (
	"slices"
	"strconv"
	"strings"
)

// Shrink looks for the fewest faults with which a broken world still breaks. It
// leaves out one after the other for as long as a promise breaks without it,
// by playing the world again and again. It returns the numbers of those that
// are left, as -world-only takes them, and the result of the last world that
// broke. A world that breaks without a fault has the number 0.
func Shrink(broken Result, play func(only map[string]bool) Result) (numbers string, last Result) {
	left := map[string]bool{}
	for _, s := range broken.Struck {
		left[s.ID] = true
	}
	last = broken
	for again := true; again; {
		again = false
		for _, s := range slices.Backward(broken.Struck) {
			if !left[s.ID] {
				continue
			}
			delete(left, s.ID)
			if r := play(left); len(r.Broken) > 0 {
				last, again = r, true
			} else {
				left[s.ID] = true
			}
		}
	}
	var all []string
	for i, s := range broken.Struck {
		if left[s.ID] {
			all = append(all, strconv.Itoa(i+1))
		}
	}
	if len(all) == 0 {
		return "0", last
	}
	return strings.Join(all, ","), last
}
