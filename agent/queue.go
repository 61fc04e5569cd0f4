package agent

import (
	"container/heap"
	"time"
)

// queue holds the slots by when they are to be looked at. A slot may also
// sleep: it has no time, and is looked at when somebody puts it. The queue is
// not safe for concurrent use: its owner is the loop of Run.
type queue struct {
	order  entries
	bySlot map[string]*entry
}

// entry is one slot in the queue.
type entry struct {
	slot string
	at   time.Time
	// index is the place in order; -1 while a pass runs, and asleep.
	index int
	// running: a pass is under way.
	running bool
	// again: wanted at once, while its pass was running.
	again bool
	// failures counts the passes that failed one after the other.
	failures int
}

func newQueue() *queue { return &queue{bySlot: map[string]*entry{}} }

// put schedules a slot at the given time, or earlier if it is scheduled
// earlier already. It wakes a slot that sleeps. For a slot whose pass is
// running it means: once more.
func (q *queue) put(slot string, at time.Time) {
	e := q.bySlot[slot]
	switch {
	case e == nil:
		e = &entry{slot: slot, at: at}
		q.bySlot[slot] = e
		heap.Push(&q.order, e)
	case e.running:
		e.again = true
	case e.index < 0:
		e.at = at
		heap.Push(&q.order, e)
	case at.Before(e.at):
		e.at = at
		heap.Fix(&q.order, e.index)
	}
}

// add is put for a slot that may sleep: with the zero time it does.
func (q *queue) add(slot string, at time.Time) {
	switch {
	case !at.IsZero():
		q.put(slot, at)
	case q.bySlot[slot] == nil:
		q.bySlot[slot] = &entry{slot: slot, index: -1}
	}
}

// drop takes a slot out; a pass that is running ends by itself.
func (q *queue) drop(slot string) {
	if e := q.bySlot[slot]; e != nil {
		delete(q.bySlot, slot)
		if e.index >= 0 {
			heap.Remove(&q.order, e.index)
		}
	}
}

// take returns the first slot that is due at now and marks it as running, or
// nil.
func (q *queue) take(now time.Time) *entry {
	if len(q.order) == 0 || q.order[0].at.After(now) {
		return nil
	}
	e := heap.Pop(&q.order).(*entry)
	e.index, e.running = -1, true
	return e
}

// back puts a slot whose pass has ended in again: at the given time; at now if
// it was wanted meanwhile; else, with the zero time, it sleeps.
func (q *queue) back(e *entry, at, now time.Time) {
	if q.bySlot[e.slot] != e {
		return // dropped in the meantime
	}
	if e.again {
		at = now
	}
	e.at, e.running, e.again = at, false, false
	if !at.IsZero() {
		heap.Push(&q.order, e)
	}
}

// next is when the first slot is due; zero when none is.
func (q *queue) next() time.Time {
	if len(q.order) == 0 {
		return time.Time{}
	}
	return q.order[0].at
}

// entries is a heap by time.
type entries []*entry

func (s entries) Len() int           { return len(s) }
func (s entries) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s entries) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push and Pop serve container/heap.
func (s *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*s)
	*s = append(*s, e)
}

// Pop takes the last one off.
func (s *entries) Pop() any {
	old := *s
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	return e
}
