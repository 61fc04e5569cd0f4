package qualytics

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a local clock and the API's, which differ.
type world struct {
	local time.Time     // what the local clock shows
	skew  time.Duration // API time minus local time
}

func (w *world) now() time.Time { return w.local }
func (w *world) api() time.Time { return w.local.Add(w.skew) }

// ask lets a request take there and back, with a Date that is kept for age.
func (w *world) ask(k *clock, there, back, age time.Duration) {
	sent := k.elapsed()
	w.local = w.local.Add(there)
	date := w.api().Add(-age).Truncate(time.Second)
	w.local = w.local.Add(back)
	k.answered(http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}, sent, k.elapsed())
}

func (w *world) off(k *clock) time.Duration { return k.Now().Sub(w.api()).Abs() }

func start() time.Time { return time.Date(2026, 11, 5, 12, 0, 0, 123456789, time.UTC) }

// Whatever the clocks, the round trips and the ages of the Dates: the estimate
// is never further off than the best answer since the clocks last moved
// allows, and a right local clock is left alone.
func TestClockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.Int64Range(0, int64(3*time.Second))
		skews := rapid.Int64Range(-int64(100*24*time.Hour), int64(100*24*time.Hour))
		w := &world{local: start(), skew: time.Duration(skews.Draw(t, "skew"))}
		if rapid.Bool().Draw(t, "right") {
			w.skew = 0
		}
		k := newClock(w.now)
		best := time.Duration(1 << 62)
		for range rapid.IntRange(1, 30).Draw(t, "answers") {
			w.local = w.local.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "pause")))
			moved := rapid.IntRange(0, 9).Draw(t, "moves") == 0
			if moved { // by more than what may pass for imprecision
				w.skew += time.Duration(rapid.Int64Range(int64(20*time.Second), int64(24*time.Hour)).Draw(t, "move"))
			}
			there, back := time.Duration(short.Draw(t, "there")), time.Duration(short.Draw(t, "back"))
			age := time.Duration(rapid.Int64Range(0, int64(dateAge)-1).Draw(t, "age"))
			w.ask(k, there, back, age)
			width := dateGrain + dateAge + there + back
			if moved {
				best = width
			}
			best = min(best+2*(time.Hour+there+back)/driftPart, width)
			if off := w.off(k); off > best+standStill {
				t.Fatalf("off by %v, the best answer allows %v", off, best)
			}
			if w.skew == 0 && !k.Now().Equal(w.local) {
				t.Fatalf("a right local clock was corrected by %v", k.Now().Sub(w.local))
			}
		}
	})
}

// A clock that runs wrong by 100 parts in a million is followed, without a
// contradiction between answers.
func TestClockDrift(t *testing.T) {
	w := &world{local: start(), skew: -time.Hour}
	k := newClock(w.now)
	for range 24 * 60 {
		w.local = w.local.Add(time.Minute)
		w.skew += 6 * time.Millisecond
		w.ask(k, 20*time.Millisecond, 20*time.Millisecond, 0)
		if off := w.off(k); off > dateGrain+dateAge+40*time.Millisecond {
			t.Fatalf("off by %v", off)
		}
	}
}

// A small step back is waited out, a large one is made.
func TestClockStandsStillForASmallStepBack(t *testing.T) {
	w := &world{local: start()}
	k := newClock(w.now)
	w.ask(k, time.Millisecond, time.Millisecond, 0)
	before := k.Now()
	w.skew = -8 * time.Second
	w.ask(k, time.Millisecond, time.Millisecond, 0)
	if got := k.Now(); !got.Equal(before) {
		t.Errorf("it went by %v", got.Sub(before))
	}
	w.local = w.local.Add(10 * time.Second)
	if got := k.Now(); !got.After(before) || w.off(k) > dateGrain+dateAge {
		t.Errorf("ten seconds later it is at %v, off by %v", got.Sub(before), w.off(k))
	}
	w.skew = -time.Minute
	w.ask(k, time.Millisecond, time.Millisecond, 0)
	if off := w.off(k); off > dateGrain+dateAge+time.Second {
		t.Errorf("after a large step it is off by %v", off)
	}
}

func TestClockSteps(t *testing.T) {
	w := &world{local: start(), skew: 90 * time.Minute}
	k := newClock(w.now)
	if !k.Now().Equal(w.local) {
		t.Errorf("before the first answer: %v, want the local %v", k.Now(), w.local)
	}
	w.ask(k, time.Millisecond, time.Millisecond, 0)
	if off := w.off(k); off > 2*time.Second+2*time.Millisecond {
		t.Errorf("after the first answer: off by %v", off)
	}
	for range 50 { // sampled at many parts of a second
		w.local = w.local.Add(123 * time.Millisecond)
		w.ask(k, time.Millisecond, time.Millisecond, 0)
	}
	if off := w.off(k); off > 1200*time.Millisecond {
		t.Errorf("after fifty answers: off by %v", off)
	}
	before := k.Now()
	w.local = w.local.Add(time.Hour)
	if got := k.Now().Sub(before); got != time.Hour {
		t.Errorf("carried on by %v in an hour", got)
	}
	w.skew = -90 * time.Minute
	w.ask(k, time.Millisecond, time.Millisecond, 0)
	if off := w.off(k); off > 2*time.Second+2*time.Millisecond {
		t.Errorf("after a step: off by %v", off)
	}
}

// What tells nothing changes nothing.
func TestClockIgnores(t *testing.T) {
	w := &world{local: start()}
	k := newClock(w.now)
	later := w.local.Add(48 * time.Hour).Format(http.TimeFormat)
	k.answered(http.Header{}, 0, 0)
	k.answered(http.Header{"Date": {"yesterday"}}, 0, 0)
	k.answered(http.Header{"Date": {later}, "Age": {"7"}}, 0, 0)
	k.answered(http.Header{"Date": {later}}, time.Second, 0)
	if !k.Now().Equal(w.local) {
		t.Errorf("Now = %v, want %v", k.Now(), w.local)
	}
}

// The client's time follows successes alone: a gateway that refuses has a
// clock of its own.
func TestNowFollowsAnswers(t *testing.T) {
	local := start()
	date := func(d time.Duration) string { return "Date: " + local.Add(d).Format(http.TimeFormat) }
	s := &script{answers: []answer{say(404, "", date(24*time.Hour)), say(200, "", date(-3*time.Hour))}}
	c := client(t, Options{Transport: s, Now: func() time.Time { return local }})
	for _, want := range []time.Duration{0, -3 * time.Hour} {
		_ = c.Delete(t.Context(), 9)
		if off := c.Now().Sub(local.Add(want)).Abs(); off > 2*time.Second {
			t.Errorf("Now is off by %v from %v", off, want)
		}
	}
	if c.Now().Location() != time.UTC {
		t.Error("Now is not in UTC")
	}
}

// The wall clock may be set while the agent runs: time is carried on by the
// monotonic reading, and what goes out has none.
func TestNowIsMonotonic(t *testing.T) {
	k := newClock(time.Now)
	if !strings.Contains(k.start.String(), "m=") {
		t.Errorf("the start %v has no monotonic reading", k.start)
	}
	if got := k.Now(); strings.Contains(got.String(), "m=") || time.Since(got).Abs() > time.Minute {
		t.Errorf("Now = %v", got)
	}
}

// A monotonic clock stands still while the machine is suspended; the wall's goes
// on. One that is set back is left out.
func TestClockGoesOnWhileTheMachineIsSuspended(t *testing.T) {
	for name, tt := range map[string]struct{ monotonic, wall, want time.Duration }{
		"suspended": {time.Minute, 5 * time.Hour, 5 * time.Hour},
		"set back":  {time.Hour, -time.Hour, time.Hour},
		"as ever":   {time.Hour, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{local: start()}
			k := newClock(w.now)
			w.local = start().Add(tt.monotonic)
			k.wallNow = func() time.Time { return start().Add(tt.wall) }
			if got := k.elapsed(); got != tt.want {
				t.Errorf("%v have gone by, want %v", got, tt.want)
			}
		})
	}
}
