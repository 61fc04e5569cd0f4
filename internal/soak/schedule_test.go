package main

import (
	"slices"
	"testing"
	"time"
)

// TestDealer: the same seed deals the same again, another one something else,
// and each kind comes once before any comes again.
func TestDealer(t *testing.T) {
	deal := func(seed, lane uint64, n int) (all []hit) {
		d := newDealer(seed, lane, lanes()[2].kinds)
		for range n {
			all = append(all, d.next())
		}
		return all
	}
	kinds := len(lanes()[2].kinds)
	first := deal(7, 2, 5*kinds)
	if !slices.Equal(first, deal(7, 2, 5*kinds)) {
		t.Error("the same seed dealt something else")
	}
	if slices.Equal(first, deal(8, 2, 5*kinds)) || slices.Equal(first, deal(7, 3, 5*kinds)) {
		t.Error("another seed, or another lane, dealt the same")
	}
	for deck := range slices.Chunk(first, kinds) {
		seen := map[kind]bool{}
		for _, h := range deck {
			seen[h.kind] = true
			for _, d := range []time.Duration{h.after, h.length} {
				if d < shortest || d >= longest {
					t.Errorf("%s comes after %s for %s", h.kind, h.after, h.length)
				}
			}
		}
		if len(seen) != kinds {
			t.Errorf("a deck has %d of %d kinds", len(seen), kinds)
		}
	}
}

// TestAllKindsFitIntoAMinute: in the shortest run in which each must come.
func TestAllKindsFitIntoAMinute(t *testing.T) {
	seen := map[kind]bool{}
	for _, l := range lanes() {
		if most := time.Duration(len(l.kinds)) * 2 * longest; most >= whole {
			t.Errorf("the %d kinds of %s may take %s", len(l.kinds), l.name, most)
		}
		for _, k := range l.kinds {
			if seen[k] {
				t.Errorf("%s is in two lanes", k)
			}
			seen[k] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("there are %d kinds", len(seen))
	}
}
