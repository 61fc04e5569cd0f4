package pace

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// day is what is scaled.
const day = 24 * time.Hour

// tick is how often a Scaled clock moves on, in real time.
const tick = time.Millisecond

// Scaled is a clock on which a day takes another time than a day. It stands
// still while anybody is busy, and stops at each instant that somebody waits
// for: a slow machine makes it slower, and nothing else. It moves on only while
// Run runs.
type Scaled struct {
	step time.Duration // of this clock's time, for each tick

	mu      sync.Mutex
	idle    *sync.Cond // nobody is busy, or the clock is stopped
	now     time.Time
	busy    int
	waiting waits
	stopped bool
}

// wait is one caller of Wait.
type wait struct {
	until time.Time
	come  chan struct{}
	index int // in the heap; -1 once it has come
}

// NewScaled makes a clock that shows start, on which a day takes the given
// real time, more than zero.
func NewScaled(start time.Time, dayTakes time.Duration) (*Scaled, error) {
	if dayTakes <= 0 {
		return nil, errors.New("a day must take some time: give a duration above 0, such as 1s")
	}
	s := &Scaled{now: start, step: time.Duration(float64(tick) * (float64(day) / float64(dayTakes)))}
	s.idle = sync.NewCond(&s.mu)
	return s, nil
}

// Now is the time that the clock shows.
func (s *Scaled) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Busy keeps the clock still until done is called.
func (s *Scaled) Busy() (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	return s.release
}

func (s *Scaled) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked()
}

func (s *Scaled) releaseLocked() {
	if s.busy--; s.busy == 0 {
		s.idle.Broadcast()
	}
}

// Wait gives the caller's share of busyness back while it waits.
func (s *Scaled) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) {
	s.mu.Lock()
	if !until.IsZero() && !until.After(s.now) {
		s.mu.Unlock()
		return
	}
	w := &wait{until: until, come: make(chan struct{}), index: -1}
	if !until.IsZero() {
		heap.Push(&s.waiting, w)
	}
	s.releaseLocked()
	s.mu.Unlock()
	select {
	case <-w.come: // whoever let it come has made it busy
		return
	case <-wake:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.come:
		return
	default:
	}
	if w.index >= 0 {
		heap.Remove(&s.waiting, w.index)
	}
	s.busy++
}

// Run moves the clock on until ctx is done, or until the clock shows end, if
// end isn't zero.
func (s *Scaled) Run(ctx context.Context, end time.Time) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stopped = true
		s.idle.Broadcast()
	})
	defer stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if !s.advance(s.step, end) {
			return
		}
	}
}

// advance moves the clock on by d, from one awaited instant to the next. It
// returns false when the clock is stopped or shows end.
func (s *Scaled) advance(d time.Duration, end time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	goal := s.now.Add(d)
	for {
		for s.busy > 0 && !s.stopped {
			s.idle.Wait()
		}
		if s.stopped || !end.IsZero() && !s.now.Before(end) {
			return false
		}
		if len(s.waiting) == 0 || s.waiting[0].until.After(goal) {
			s.now = goal
			return true
		}
		w := heap.Pop(&s.waiting).(*wait)
		s.now = w.until
		s.busy++
		close(w.come)
	}
}

// waits is a heap by time.
type waits []*wait

func (h waits) Len() int           { return len(h) }
func (h waits) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h waits) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop serve container/heap.
func (h *waits) Push(x any) {
	w := x.(*wait)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop takes the last one off.
func (h *waits) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	w.index = -1
	*h = old[:len(old)-1]
	return w
}
