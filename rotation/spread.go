package rotation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// fraction is a number in [0, 1) that belongs to key: drawn once for ever, so
// that nothing has to record it.
func fraction(key string) float64 {
	sum := sha256.Sum256([]byte(key))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// spread is d or up to a quarter less, so that what began together doesn't
// stay together.
func spread(d time.Duration, key string) time.Duration {
	return d - time.Duration(fraction(key)*float64(d)/4)
}

const (
	firstBackOff   = time.Second
	longestBackOff = 5 * time.Minute
)

// backOff is how long to wait after the given number of failures, 1 or more:
// one second, doubled each time, five minutes at most, less a share that
// belongs to key.
func backOff(attempts int, key string) time.Duration {
	d := longestBackOff
	if attempts < 10 {
		d = min(d, firstBackOff<<max(0, attempts-1))
	}
	return spread(d, key)
}

// nextCheck is the slot's first turn after a time at which a target was looked
// at. Each slot has one turn in every drift check: all slots together ask their
// stores evenly, from the first hour on, and one slot's targets are looked at in
// one pass.
func (p *Policy) nextCheck(at time.Time) time.Time {
	turn := at.Truncate(p.DriftCheck).Add(time.Duration(fraction(p.Slot) * float64(p.DriftCheck)))
	if !turn.After(at) {
		turn = turn.Add(p.DriftCheck)
	}
	return turn
}

// relistAfter is how old a list may be before a slot at rest asks for the next:
// a sweep, and up to an eighth of it more, so that not all ask at once.
func (p *Policy) relistAfter() time.Duration {
	return p.Sweep + time.Duration(fraction(p.Slot)*float64(p.Sweep)/8) + time.Millisecond
}

// sooner is the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
