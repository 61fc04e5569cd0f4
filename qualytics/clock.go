package qualytics

import (
	"net/http"
	"sync"
	"time"
)

const (
	// dateGrain is the finest step of a Date header; it is cut, not rounded.
	dateGrain = time.Second
	// dateAge is how old a Date may be when it is sent: servers keep it for
	// up to a second.
	dateAge = time.Second
	// driftPart is how much a local clock may drift: one part of so many.
	driftPart = 5000
	// standStill is the longest step back that Now doesn't make: it waits for
	// the estimate to catch up. What was seen before stays before what is
	// seen after, as long as no clock was set.
	standStill = 10 * time.Second
)

// clock estimates the API's time from Date headers (that they tell the API's
// time is G).
//
// Each answer bounds the correction, API time minus local time: the API read
// its clock after the request was sent and before the answer came. The bounds
// of successive answers are intersected, after the older ones were widened by
// what a clock drifts; where they contradict, one of the clocks was set, and
// the newest stands alone. Of the corrections in the bounds, the one nearest
// to none is taken: a right local clock stays as it is.
type clock struct {
	// now reads the local clocks, wallNow the wall's alone.
	now, wallNow func() time.Time
	// start has a monotonic reading, if now gives one; wall is the same
	// instant without.
	start, wall time.Time

	mu        sync.Mutex
	known     bool
	low, high time.Duration
	// asOf is when the bounds were last set.
	asOf time.Duration
	// last is what Now told last.
	last time.Time
}

func newClock(now func() time.Time) *clock {
	start := now()
	return &clock{now: now, wallNow: func() time.Time { return now().Round(0) }, start: start, wall: start.Round(0).UTC()}
}

// elapsed is the local time since the start, by the monotonic clock or by the
// wall's, whichever is ahead: the monotonic one stands still while the machine
// is suspended. A wall clock that is set back changes nothing; one that is set
// ahead counts until the next answer.
func (k *clock) elapsed() time.Duration {
	return max(k.now().Sub(k.start), k.wallNow().Sub(k.wall))
}

// Now is the API's time as estimated, in UTC, or up to standStill later.
func (k *clock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.wall.Add(k.elapsed() + k.correction())
	if back := k.last.Sub(now); back <= 0 || back > standStill {
		k.last = now
	}
	return k.last
}

func (k *clock) correction() time.Duration {
	switch {
	case !k.known:
		return 0
	case k.low > 0:
		return k.low
	case k.high < 0:
		return k.high
	}
	return 0
}

// answered takes in the Date of an answer to a request that was sent and
// received at these elapsed times. An answer out of a cache, or without a
// readable Date, tells nothing.
func (k *clock) answered(header http.Header, sent, received time.Duration) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || header.Get("Age") != "" || received < sent {
		return
	}
	low := date.Sub(k.wall.Add(received))
	high := date.Add(dateGrain + dateAge).Sub(k.wall.Add(sent))
	k.mu.Lock()
	defer k.mu.Unlock()
	drift := max(received-k.asOf, 0) / driftPart
	narrowLow, narrowHigh := max(low, k.low-drift), min(high, k.high+drift)
	if k.known && narrowLow <= narrowHigh {
		low, high = narrowLow, narrowHigh
	}
	k.known, k.low, k.high, k.asOf = true, low, high, received
}
