package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

// taken is the slots that are due at now, in the order in which they are taken.
func taken(q *queue, now time.Time) []string {
	var slots []string
	for e := q.take(now); e != nil; e = q.take(now) {
		slots = append(slots, e.slot)
	}
	return slots
}

func TestQueueGivesWhatIsDueInItsOrder(t *testing.T) {
	q := newQueue()
	for i, slot := range []string{"c", "a", "e", "b", "d"} {
		q.put(slot, minute([]int{3, 1, 5, 2, 4}[i]))
	}
	if got := q.next(); !got.Equal(minute(1)) {
		t.Errorf("next = %s, the first is due at %s", got, minute(1))
	}
	if got := taken(q, minute(3)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("due at minute 3: %v", got)
	}
	if got := taken(q, minute(9)); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("due at minute 9: %v", got)
	}
	if got := q.next(); !got.IsZero() {
		t.Errorf("next = %s of a queue whose slots all run", got)
	}
}

func TestQueuePutMovesForwardAlone(t *testing.T) {
	q := newQueue()
	q.put("a", minute(5))
	q.put("a", minute(7))
	if got := q.next(); !got.Equal(minute(5)) {
		t.Errorf("a later put moved the slot to %s", got)
	}
	q.put("a", minute(2))
	if got := q.next(); !got.Equal(minute(2)) {
		t.Errorf("an earlier put left the slot at %s", got)
	}
}

// Whoever wants a slot while its pass runs gets another pass: the one that runs
// may have looked too early.
func TestQueuePutWhileRunningMeansOnceMore(t *testing.T) {
	q := newQueue()
	q.put("a", noon)
	e := q.take(noon)
	q.put("a", minute(30))
	if again := q.take(minute(60)); again != nil {
		t.Fatal("the slot was taken a second time while its pass ran")
	}
	q.back(e, minute(90), minute(1))
	if got := q.next(); !got.Equal(minute(1)) {
		t.Errorf("next = %s, at once (%s) was asked for", got, minute(1))
	}
	q.back(q.take(minute(1)), minute(90), minute(2))
	if got := q.next(); !got.Equal(minute(90)) {
		t.Errorf("next = %s: once more came twice", got)
	}
}

// A pass that has nothing to wait for, such as one over a slot that waits for a
// person, must not begin again by itself.
func TestQueueSlotSleepsUntilItIsPut(t *testing.T) {
	q := newQueue()
	q.put("a", noon)
	q.back(q.take(noon), time.Time{}, minute(1))
	if e := q.take(minute(1000)); e != nil || !q.next().IsZero() {
		t.Fatal("a slot that sleeps was taken")
	}
	q.put("a", minute(1001))
	if got := taken(q, minute(1001)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("due after the put: %v", got)
	}
}

func TestQueueDrop(t *testing.T) {
	q := newQueue()
	for i := range 4 {
		q.put(string(rune('a'+i)), minute(i))
	}
	running := q.take(noon)
	q.drop("a")
	q.drop("c")
	q.drop("unknown")
	q.back(running, minute(1), minute(1))
	if got := taken(q, minute(9)); !slices.Equal(got, []string{"b", "d"}) {
		t.Errorf("left are %v", got)
	}
}

// A slot that left the declaration and came back while its old pass runs is a
// new one: the old pass's end doesn't touch it.
func TestQueueDroppedAndPutAgain(t *testing.T) {
	q := newQueue()
	q.put("a", noon)
	old := q.take(noon)
	q.drop("a")
	q.put("a", minute(3))
	q.back(old, minute(1), minute(1))
	if got := q.next(); !got.Equal(minute(3)) {
		t.Errorf("next = %s, the new one is due at %s", got, minute(3))
	}
}

// naive is the queue as one would write it without a heap.
type naive struct {
	at      map[string]time.Time
	running map[string]bool
	again   map[string]bool
}

func (n *naive) put(slot string, at time.Time) {
	switch was, known := n.at[slot]; {
	case n.running[slot]:
		n.again[slot] = true
	case !known || was.IsZero() || at.Before(was):
		n.at[slot] = at
	}
}

func (n *naive) drop(slot string) {
	delete(n.at, slot)
	delete(n.running, slot)
	delete(n.again, slot)
}

// due is how many slots could be taken at now, and the earliest time.
func (n *naive) due(now time.Time) (count int, first time.Time) {
	for slot, at := range n.at {
		if n.running[slot] || at.IsZero() {
			continue
		}
		if !at.After(now) {
			count++
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return count, first
}

func (n *naive) back(slot string, at, now time.Time) {
	if n.again[slot] {
		at = now
	}
	n.at[slot] = at
	delete(n.running, slot)
	delete(n.again, slot)
}

// machine drives queue and naive side by side.
type machine struct {
	q       *queue
	n       *naive
	now     time.Time
	running []*entry // of this queue's passes; a dropped one is still in it
	current map[*entry]bool
}

func (m *machine) slot(t *rapid.T) string {
	return fmt.Sprintf("s%d", rapid.IntRange(0, 5).Draw(t, "slot"))
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			slot, at := m.slot(t), m.now.Add(time.Duration(rapid.IntRange(-3, 9).Draw(t, "in"))*time.Minute)
			m.q.put(slot, at)
			m.n.put(slot, at)
		},
		"drop": func(t *rapid.T) {
			slot := m.slot(t)
			if e := m.q.bySlot[slot]; e != nil {
				m.current[e] = false
			}
			m.q.drop(slot)
			m.n.drop(slot)
		},
		"take": func(t *rapid.T) {
			count, first := m.n.due(m.now)
			e := m.q.take(m.now)
			if (e != nil) != (count > 0) {
				t.Fatalf("take = %v with %d slots due", e, count)
			}
			if e == nil {
				return
			}
			if m.n.running[e.slot] || !m.n.at[e.slot].Equal(first) {
				t.Fatalf("%s was taken, which is due at %s (running: %v); the first is due at %s",
					e.slot, m.n.at[e.slot], m.n.running[e.slot], first)
			}
			m.n.running[e.slot] = true
			m.running, m.current[e] = append(m.running, e), true
		},
		"back": func(t *rapid.T) {
			if len(m.running) == 0 {
				t.Skip("nothing runs")
			}
			i := rapid.IntRange(0, len(m.running)-1).Draw(t, "which")
			e := m.running[i]
			m.running = slices.Delete(m.running, i, i+1)
			at := m.now.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "in")) * time.Minute)
			if rapid.Bool().Draw(t, "sleeps") {
				at = time.Time{}
			}
			m.q.back(e, at, m.now)
			if m.current[e] {
				m.n.back(e.slot, at, m.now)
			}
		},
		"time goes on": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "minutes")) * time.Minute)
		},
		"": m.compare,
	}
}

// compare runs after each action.
func (m *machine) compare(t *rapid.T) {
	if _, first := m.n.due(m.now); !m.q.next().Equal(first) {
		t.Fatalf("next = %s, the first is due at %s", m.q.next(), first)
	}
	if len(m.q.bySlot) != len(m.n.at) {
		t.Fatalf("the queue holds %d slots, %d were put", len(m.q.bySlot), len(m.n.at))
	}
	for i, e := range m.q.order {
		if e.index != i || e.running {
			t.Fatalf("%s stands at %d and says %d (running: %v)", e.slot, i, e.index, e.running)
		}
	}
}

func TestQueueIsAsANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{q: newQueue(), now: noon, current: map[*entry]bool{},
			n: &naive{at: map[string]time.Time{}, running: map[string]bool{}, again: map[string]bool{}}}
		t.Repeat(m.actions())
	})
}

func TestQueueAdd(t *testing.T) {
	q := newQueue()
	q.add("a", time.Time{})
	q.add("b", minute(3))
	if got := taken(q, minute(9)); !slices.Equal(got, []string{"b"}) {
		t.Errorf("due: %v; a sleeps", got)
	}
	q.put("a", minute(1))
	q.add("a", time.Time{})
	if got := taken(q, minute(9)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("due: %v; a was woken", got)
	}
}
