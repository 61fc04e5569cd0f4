package rotationtest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/handover-agent/handover/rotation"
)

// What callers do to a journal.
const (
	actRead     = "read"
	actCommit   = "commit"
	actAsk      = "ask"
	actClose    = "close"
	actList     = "list"
	actLook     = "look"
	actTakeover = "take over"
)

// acts are drawn from; what changes a record is drawn more often.
var acts = []string{actCommit, actCommit, actCommit, actCommit, actRead, actRead, actAsk, actClose, actList, actLook}

// anAccount is one of the keys; the others are slots.
const anAccount = "an account"

var keys = []string{slotA, slotB, anAccount}

// asked is a call.
type asked struct {
	act string
	// handle is by whose lease: the number of takeovers before it.
	handle int
	// key, revision and value are a record's.
	key      string
	revision int64
	value    uint64
	// id is a request's.
	id int64
}

// String tells the call in short.
func (a asked) String() string {
	switch a.act {
	case actCommit:
		return fmt.Sprintf("handle %d: commit %s at %d: %d", a.handle, a.key, a.revision, a.value)
	case actClose, actLook:
		return fmt.Sprintf("handle %d: %s request %d", a.handle, a.act, a.id)
	case actTakeover:
		return a.act
	}
	return fmt.Sprintf("handle %d: %s %s", a.handle, a.act, a.key)
}

// saw is what a call returned.
type saw struct {
	// refused is the kind of error: "stale", "fenced", "none".
	refused  string
	revision int64
	value    uint64
	// ids are of requests that were stored, or are open.
	ids    []int64
	closed bool
}

// String tells it in short.
func (s saw) String() string {
	if s.refused != "" {
		return s.refused
	}
	return fmt.Sprintf("revision %d, value %d, requests %d, closed %v", s.revision, s.value, s.ids, s.closed)
}

// do does the call.
func (a asked) do(ctx context.Context, j rotation.Journal) (s saw, err error) {
	switch a.act {
	case actRead, actCommit:
		return a.record(ctx, j)
	case actAsk: // one, or two of both slots at once
		if a.value%2 == 0 {
			q, err := j.AddRequest(ctx, ask(a.slot()))
			return saw{ids: []int64{q.ID}}, err
		}
		all, err := j.AddRequests(ctx, []rotation.Request{ask(slotA), ask(slotB)})
		return saw{ids: idsOf(all)}, err
	case actClose:
		return s, j.CloseRequest(ctx, a.id, "done")
	case actList:
		open, err := j.Requests(ctx, a.slot())
		return saw{ids: idsOf(open)}, err
	default:
		q, err := j.Request(ctx, a.id)
		return saw{closed: !q.ClosedAt.IsZero()}, err
	}
}

func (a asked) record(ctx context.Context, j rotation.Journal) (saw, error) {
	switch {
	case a.act == actRead && a.key == anAccount:
		rec, err := j.Account(ctx, a.key)
		return saw{revision: rec.Revision, value: uint64(rec.UserID)}, err
	case a.act == actRead:
		rec, err := j.Slot(ctx, a.key)
		return saw{revision: rec.Revision, value: rec.High}, err
	case a.key == anAccount:
		rec, err := j.CommitAccount(ctx, rotation.AccountRecord{ID: a.key, Revision: a.revision, UserID: int64(a.value)}, event(""))
		return saw{revision: rec.Revision}, err
	}
	rec, err := j.Commit(ctx, rotation.Record{Slot: a.key, Revision: a.revision, High: a.value}, event(a.key))
	return saw{revision: rec.Revision}, err
}

// slot is the one whose requests are meant.
func (a asked) slot() string {
	if a.key == anAccount {
		return slotA
	}
	return a.key
}

func idsOf(list []rotation.Request) []int64 {
	ids := make([]int64, len(list))
	for i, q := range list {
		ids[i] = q.ID
	}
	return ids
}

// plain is the plainest journal there is: what it holds between two calls.
type plain struct {
	fence    int
	records  map[string]stored
	requests []wish // by rising ID
}

type stored struct {
	revision int64
	value    uint64
}

type wish struct {
	id     int64
	slot   string
	closed bool
}

// plainJournal says which answers a plain journal may give.
var plainJournal = porcupine.Model{
	Init: func() any { return plain{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(plain).step(input.(asked), output.(saw))
	},
	Equal: func(a, b any) bool { return reflect.DeepEqual(a, b) },
	DescribeOperation: func(input, output any) string {
		return strings.Join([]string{input.(asked).String(), output.(saw).String()}, ": ")
	},
}

// step reports whether the plain journal may answer so, and what it holds then.
func (p plain) step(a asked, s saw) (bool, plain) {
	if fenced := a.handle < p.fence; fenced && (a.act == actCommit || a.act == actClose) {
		return s.refused == "fenced", p
	}
	if a.handle > p.fence {
		return false, p // nobody can have the lease before it was taken
	}
	switch a.act {
	case actTakeover:
		p.fence++
		return true, p
	case actRead:
		have, there := p.records[a.key]
		return s.refused == "" && there && s.revision == have.revision && s.value == have.value || s.refused == "none" && !there, p
	case actCommit:
		return p.commit(a, s)
	case actAsk:
		return p.ask(a, s)
	case actList:
		var open []int64
		for _, w := range p.requests {
			if w.slot == a.slot() && !w.closed {
				open = append(open, w.id)
			}
		}
		return slices.Equal(open, s.ids), p
	}
	i := slices.IndexFunc(p.requests, func(w wish) bool { return w.id == a.id })
	if i < 0 {
		return s.refused == "none", p
	}
	if a.act == actLook {
		return s.refused == "" && s.closed == p.requests[i].closed, p
	}
	p.requests = slices.Clone(p.requests)
	p.requests[i].closed = true
	return s.refused == "", p
}

func (p plain) commit(a asked, s saw) (bool, plain) {
	if p.records[a.key].revision != a.revision {
		return s.refused == "stale", p
	}
	p.records = maps.Clone(p.records)
	if p.records == nil {
		p.records = map[string]stored{}
	}
	p.records[a.key] = stored{revision: a.revision + 1, value: a.value}
	return s.refused == "" && s.revision == a.revision+1, p
}

// ask: each ID is above all that were given out before.
func (p plain) ask(a asked, s saw) (bool, plain) {
	slots := []string{slotA, slotB}
	if len(s.ids) == 1 {
		slots = []string{a.slot()}
	}
	p.requests = slices.Clone(p.requests)
	for i, id := range s.ids {
		if last := len(p.requests) - 1; last >= 0 && id <= p.requests[last].id {
			return false, p
		}
		p.requests = append(p.requests, wish{id: id, slot: slots[i]})
	}
	return s.refused == "", p
}
