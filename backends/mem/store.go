package mem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/handover-agent/handover/backends"
)

// Store is what stands behind the backends that [Store.Backend] makes. It
// outlives them: closing one loses nothing. It is safe for concurrent use.
type Store struct {
	options Options

	mu      sync.Mutex
	entries map[string]entry
	denied  map[string]bool
	marks   map[string]bool
	down    bool
}

// New makes an empty store.
func New(o Options) *Store {
	return &Store{options: o, entries: map[string]entry{}, denied: map[string]bool{}, marks: map[string]bool{}}
}

// entry is one place. Versions count from 1 and are never given twice, also
// not after a deletion; 0 is none. It is a value: an operation works on a copy
// and stores it.
type entry struct {
	last                       int
	current, previous, pending int
	deleted                    bool
	kept                       map[int]backends.Item
}

// at is the number at a stage; 0 when nothing stands there.
func (e entry) at(stage backends.Stage) int {
	switch stage {
	case backends.Previous:
		return e.previous
	case backends.Pending:
		return e.pending
	}
	if e.deleted {
		return 0
	}
	return e.current
}

// version is what a Put has to expect: a deletion doesn't turn it back.
func (e entry) version() backends.Version { return name(e.current) }

// add keeps item under a new number.
func (e entry) add(item backends.Item) (entry, int) {
	e.last++
	e.kept = maps.Clone(e.kept)
	if e.kept == nil {
		e.kept = map[int]backends.Item{}
	}
	e.kept[e.last] = item
	return e, e.last
}

// promote makes number n current, and what it replaces previous.
func (e entry) promote(n int) entry {
	if e.current != n && !e.deleted {
		e.previous = e.current
	}
	e.current, e.deleted = n, false
	if e.pending == n {
		e.pending = 0
	}
	return e
}

// forget drops what stands at no stage.
func (e entry) forget() entry {
	kept := map[int]backends.Item{}
	for _, n := range []int{e.current, e.previous, e.pending} {
		if item, ok := e.kept[n]; ok {
			kept[n] = item
		}
	}
	e.kept = kept
	return e
}

func name(n int) backends.Version {
	if n == 0 {
		return backends.Absent
	}
	return backends.Version(strconv.Itoa(n))
}

// enter begins an operation: it takes the lock and asks whether the store would
// answer. The caller calls leave on every path.
func (s *Store) enter(ctx context.Context, op string, ref backends.Ref) (leave func(), err error) {
	s.mu.Lock()
	switch {
	case ctx.Err() != nil:
		err = fail(op, ref, backends.ErrUnavailable, ctx.Err())
	case s.refuses(ref.Path) != nil:
		err = fail(op, ref, backends.ErrInvalid, s.refuses(ref.Path))
	case s.down:
		err = fail(op, ref, backends.ErrUnavailable, errors.New("the store is down"))
	case s.denied[ref.Path]:
		err = fail(op, ref, backends.ErrDenied, nil)
	}
	return s.mu.Unlock, err
}

// refuses says what is wrong with a path. One where something stands is right.
func (s *Store) refuses(path string) error {
	if _, stands := s.entries[path]; stands {
		return nil
	}
	return properties(s.options).Path.Check(path)
}

// accept refuses an item that the store doesn't take.
func (s *Store) accept(op string, ref backends.Ref, item backends.Item) error {
	switch most := s.options.MaxPayload; {
	case item.Payload.IsZero():
		return fail(op, ref, backends.ErrInvalid, errors.New("the payload is empty"))
	case most > 0 && item.Payload.Len() > most:
		return fail(op, ref, backends.ErrInvalid,
			fmt.Errorf("the payload has %d bytes, the store takes at most %d", item.Payload.Len(), most))
	case s.options.Metadata && s.options.MaxMeta > 0 && len(item.Meta.Slot) > s.options.MaxMeta:
		return fail(op, ref, backends.ErrInvalid,
			fmt.Errorf("the slot has %d bytes, the store keeps at most %d", len(item.Meta.Slot), s.options.MaxMeta))
	}
	return nil
}

// store writes an entry back, without the versions that this kind of store
// doesn't keep.
func (s *Store) store(path string, e entry) {
	if !s.options.Versions {
		e.previous = 0
	}
	s.entries[path] = e.forget()
}

// keep is item as this kind of store keeps it.
func (s *Store) keep(item backends.Item) backends.Item {
	if !s.options.Metadata {
		item.Meta = backends.Meta{}
	}
	return item
}

func fail(op string, ref backends.Ref, kind, cause error) error {
	return &backends.Error{Op: op, Ref: ref, Kind: kind, Err: cause}
}
