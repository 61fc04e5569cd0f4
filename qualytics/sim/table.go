package sim

import "time"

// maxPast is how many changes of a table can at least be undone by asOf.
const maxPast = 1024

// table keeps rows by rising number, and its last changes, so that a list can
// be answered as it was. It is not safe for concurrent use.
type table[T interface{ rowID() int64 }] struct {
	next int64
	rows map[int64]T
	ids  []int64 // rising; rows are never taken out
	past []past[T]
}

// past is what a row was before one change.
type past[T any] struct {
	at      time.Time
	id      int64
	before  T
	existed bool
}

func newTable[T interface{ rowID() int64 }](first int64) *table[T] {
	return &table[T]{next: first, rows: map[int64]T{}}
}

// get returns the row of that number.
func (t *table[T]) get(id int64) (T, bool) {
	r, ok := t.rows[id]
	return r, ok
}

// put stores a row and remembers what it replaces.
func (t *table[T]) put(r T, at time.Time) {
	before, existed := t.rows[r.rowID()]
	if len(t.past) >= 2*maxPast {
		t.past = append([]past[T](nil), t.past[len(t.past)-maxPast:]...)
	}
	t.past = append(t.past, past[T]{at: at, id: r.rowID(), before: before, existed: existed})
	t.set(r)
}

// set stores a row; asOf doesn't see the change.
func (t *table[T]) set(r T) {
	id := r.rowID()
	if _, existed := t.rows[id]; !existed {
		t.ids = append(t.ids, id)
		t.next = max(t.next, id+1)
	}
	t.rows[id] = r
}

// all returns the rows that keep says yes to, by rising number.
func (t *table[T]) all(keep func(T) bool) []T { return t.asOf(nil, keep) }

// asOf is all with the changes undone that undo says yes to: it is asked from
// the newest to the oldest, with how many are newer, until it says no.
func (t *table[T]) asOf(undo func(newer int, at time.Time) bool, keep func(T) bool) []T {
	was := map[int64]past[T]{}
	for i := len(t.past) - 1; undo != nil && i >= 0; i-- {
		if p := t.past[i]; undo(len(t.past)-1-i, p.at) {
			was[p.id] = p
			continue
		}
		break
	}
	out := make([]T, 0, len(t.ids))
	for _, id := range t.ids {
		r := t.rows[id]
		if p, changed := was[id]; changed {
			if !p.existed {
				continue
			}
			r = p.before
		}
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}
