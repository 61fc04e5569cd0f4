package rotationtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Memory is a journal in memory, for simulated worlds. It keeps the rules that
// [Journal] tests, and copies what it takes and gives. It reads time.Now, which
// is a bubble's under testing/synctest. It is safe for concurrent use.
type Memory struct {
	fence int
	store *store
}

var _ rotation.Journal = (*Memory)(nil)

// store is what several handles share.
type store struct {
	mu       sync.Mutex
	fence    int
	slots    map[string]rotation.Record
	accounts map[string]rotation.AccountRecord
	events   []rotation.Event
	requests []rotation.Request
	// lastEvent and lastRequest are the last IDs given out.
	lastEvent, lastRequest int64
}

// NewMemory returns an empty journal.
func NewMemory() *Memory {
	return &Memory{fence: 1, store: &store{fence: 1, slots: map[string]rotation.Record{},
		accounts: map[string]rotation.AccountRecord{}}}
}

// Takeover opens the same content as another process would, with a higher
// fence: m's commits fail with ErrFenced from now on.
func (m *Memory) Takeover() *Memory {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.store.fence++
	return &Memory{fence: m.store.fence, store: m.store}
}

// Copy returns a backup: a journal of its own with the content of now.
func (m *Memory) Copy() *Memory {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return &Memory{fence: m.store.fence, store: m.store.copyLocked()}
}

// copyLocked needs no copy of the records: they are never changed.
func (s *store) copyLocked() *store {
	return &store{
		fence: s.fence, lastEvent: s.lastEvent, lastRequest: s.lastRequest,
		slots: maps.Clone(s.slots), accounts: maps.Clone(s.accounts),
		events: slices.Clone(s.events), requests: slices.Clone(s.requests),
	}
}

// Restore puts the content of backup in place of m's, as a person does who
// stops the agent and copies an old file back. Restoring a [NewMemory] is
// losing the journal. m and the handles that share its content write on.
func (m *Memory) Restore(backup *Memory) {
	content := backup.Copy().store
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	s := m.store
	s.slots, s.accounts, s.events, s.requests = content.slots, content.accounts, content.events, content.requests
	s.lastEvent, s.lastRequest = content.lastEvent, content.lastRequest
}

// Dump is all that is stored, to be searched for what must not be there.
func (m *Memory) Dump() []byte {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	var all bytes.Buffer
	dumpTable(&all, m.store.slots)
	dumpTable(&all, m.store.accounts)
	dump(&all, "events", m.store.events)
	dump(&all, "requests", m.store.requests)
	return all.Bytes()
}

func dumpTable[R any](to *bytes.Buffer, table map[string]R) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		dump(to, key, table[key])
	}
}

func dump(to *bytes.Buffer, key string, stored any) {
	body, err := json.Marshal(stored)
	fmt.Fprintf(to, "%s %s %v\n", key, body, err)
}

// Slot implements [rotation.Journal].
func (m *Memory) Slot(ctx context.Context, slot string) (rotation.Record, error) {
	rec, err := get(ctx, m.store, m.store.slotTable, slot)
	return copyOf(rec), err
}

// Account implements [rotation.Journal].
func (m *Memory) Account(ctx context.Context, id string) (rotation.AccountRecord, error) {
	return get(ctx, m.store, m.store.accountTable, id)
}

// The tables are asked for under the lock: Restore puts others in their place.
func (s *store) slotTable() map[string]rotation.Record           { return s.slots }
func (s *store) accountTable() map[string]rotation.AccountRecord { return s.accounts }

func get[R any](ctx context.Context, s *store, table func() map[string]R, key string) (rec R, err error) {
	if err := ctx.Err(); err != nil {
		return rec, err
	}
	s.mu.Lock()
	rec, ok := table()[key]
	s.mu.Unlock()
	if !ok {
		return rec, fmt.Errorf("read %s: %w", key, rotation.ErrNoRecord)
	}
	return rec, nil
}

// copyOf copies all of a record that can be changed in place.
func copyOf(rec rotation.Record) rotation.Record {
	rec.Intent = copyTo(rec.Intent)
	rec.Generations = slices.Clone(rec.Generations)
	for i := range rec.Generations {
		g := &rec.Generations[i]
		g.Days, g.Hooks = copyTo(g.Days), slices.Clone(g.Hooks)
	}
	rec.Parting = copyTo(rec.Parting)
	if rec.Emergency = copyTo(rec.Emergency); rec.Emergency != nil {
		rec.Emergency.Requests, rec.Emergency.Revoked = slices.Clone(rec.Emergency.Requests), slices.Clone(rec.Emergency.Revoked)
	}
	rec.Targets = maps.Clone(rec.Targets)
	for key, t := range rec.Targets {
		t.Payloads, t.Other, t.Removal = slices.Clone(t.Payloads), copyTo(t.Other), copyTo(t.Removal)
		t.Hooks = slices.Clone(t.Hooks)
		rec.Targets[key] = t
	}
	return rec
}

func copyTo[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// Slots implements [rotation.Journal]. It yields what stood there when the
// loop began.
func (m *Memory) Slots(ctx context.Context) iter.Seq2[rotation.Record, error] {
	return func(yield func(rotation.Record, error) bool) {
		m.store.mu.Lock()
		table := maps.Clone(m.store.slots)
		m.store.mu.Unlock()
		for _, slot := range slices.Sorted(maps.Keys(table)) {
			if err := ctx.Err(); err != nil {
				yield(rotation.Record{}, err)
				return
			}
			if !yield(copyOf(table[slot]), nil) {
				return
			}
		}
	}
}

// Commit implements [rotation.Journal].
func (m *Memory) Commit(ctx context.Context, rec rotation.Record, event rotation.Event) (rotation.Record, error) {
	next := rec
	next.Revision++
	err := m.commit(ctx, rec.Slot, event, func(s *store) error {
		if was := s.slots[rec.Slot].Revision; was != rec.Revision {
			return stale(rec.Slot, rec.Revision)
		}
		s.slots[rec.Slot] = copyOf(next)
		return nil
	})
	if err != nil {
		return rec, err
	}
	return next, nil
}

// CommitAccount implements [rotation.Journal].
func (m *Memory) CommitAccount(ctx context.Context, rec rotation.AccountRecord, event rotation.Event) (rotation.AccountRecord, error) {
	next := rec
	next.Revision++
	err := m.commit(ctx, rec.ID, event, func(s *store) error {
		if was := s.accounts[rec.ID].Revision; was != rec.Revision {
			return stale(rec.ID, rec.Revision)
		}
		s.accounts[rec.ID] = next
		return nil
	})
	if err != nil {
		return rec, err
	}
	return next, nil
}

func stale(key string, revision int64) error {
	return fmt.Errorf("commit %s at revision %d: %w", key, revision, rotation.ErrStale)
}

var errName = errors.New("a record needs a name, of valid UTF-8 without NUL")

func (m *Memory) commit(ctx context.Context, key string, event rotation.Event, put func(*store) error) error {
	if !usable(key) {
		return errName
	}
	return m.write(ctx, true, func(s *store) error {
		if err := put(s); err != nil {
			return err
		}
		s.lastEvent++
		event.ID, event.At = s.lastEvent, stampOf(event.At)
		event.Actor, event.Target, event.Detail = clean(event.Actor), clean(event.Target), clean(event.Detail)
		s.events = append(s.events, event)
		return nil
	})
}

// write does act under the lock, in no time.
func (m *Memory) write(ctx context.Context, fenced bool, act func(*store) error) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if fenced && m.store.fence > m.fence {
		return fmt.Errorf("commit under fence %d of %d: %w", m.fence, m.store.fence, rotation.ErrFenced)
	}
	return act(m.store)
}

// stampOf is t as a file would give it back; now for the zero time.
func stampOf(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.Round(0).UTC()
}

func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// usable reports whether a file would give name back as it was stored.
func usable(name string) bool { return name != "" && name == clean(name) }

// byID compares for a search by request ID.
func byID(q rotation.Request, id int64) int { return cmp.Compare(q.ID, id) }
