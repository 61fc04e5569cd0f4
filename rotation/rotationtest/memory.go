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
// [Journal] tests, and stores what a file would: records as JSON. It reads
// time.Now, which is a bubble's under testing/synctest. It is safe for
// concurrent use.
type Memory struct {
	fence int
	store *store
}

var _ rotation.Journal = (*Memory)(nil)

// store is what several handles share.
type store struct {
	mu       sync.Mutex
	fence    int
	slots    map[string]entry
	accounts map[string]entry
	events   []rotation.Event
	requests []rotation.Request
	// lastEvent and lastRequest are the last IDs given out.
	lastEvent, lastRequest int64
}

type entry struct {
	revision int64
	body     []byte
}

// NewMemory returns an empty journal.
func NewMemory() *Memory {
	return &Memory{fence: 1, store: &store{fence: 1, slots: map[string]entry{}, accounts: map[string]entry{}}}
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

// copyLocked needs no copy of bodies: they are never changed.
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
	for _, table := range []map[string]entry{m.store.slots, m.store.accounts} {
		for _, key := range slices.Sorted(maps.Keys(table)) {
			fmt.Fprintf(&all, "%s %s\n", key, table[key].body)
		}
	}
	for _, event := range m.store.events {
		fmt.Fprintf(&all, "%+v\n", event)
	}
	for _, request := range m.store.requests {
		fmt.Fprintf(&all, "%+v\n", request)
	}
	return all.Bytes()
}

// Slot implements [rotation.Journal].
func (m *Memory) Slot(ctx context.Context, slot string) (rec rotation.Record, err error) {
	rec.Revision, err = get(ctx, m.store, m.store.slotTable, slot, &rec)
	return rec, err
}

// Account implements [rotation.Journal].
func (m *Memory) Account(ctx context.Context, id string) (rec rotation.AccountRecord, err error) {
	rec.Revision, err = get(ctx, m.store, m.store.accountTable, id, &rec)
	return rec, err
}

// The tables are asked for under the lock: Restore puts others in their place.
func (s *store) slotTable() map[string]entry    { return s.slots }
func (s *store) accountTable() map[string]entry { return s.accounts }

func get(ctx context.Context, s *store, table func() map[string]entry, key string, rec any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	stored, ok := table()[key]
	s.mu.Unlock()
	if !ok {
		return 0, fmt.Errorf("read %s: %w", key, rotation.ErrNoRecord)
	}
	return stored.revision, json.Unmarshal(stored.body, rec)
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
			var rec rotation.Record
			err := json.Unmarshal(table[slot].body, &rec)
			rec.Revision = table[slot].revision
			if !yield(rec, err) {
				return
			}
		}
	}
}

// Commit implements [rotation.Journal].
func (m *Memory) Commit(ctx context.Context, rec rotation.Record, event rotation.Event) (rotation.Record, error) {
	err := m.commit(ctx, m.store.slotTable, rec.Slot, rec.Revision, rec, event)
	if err == nil {
		rec.Revision++
	}
	return rec, err
}

// CommitAccount implements [rotation.Journal].
func (m *Memory) CommitAccount(ctx context.Context, rec rotation.AccountRecord, event rotation.Event) (rotation.AccountRecord, error) {
	err := m.commit(ctx, m.store.accountTable, rec.ID, rec.Revision, rec, event)
	if err == nil {
		rec.Revision++
	}
	return rec, err
}

var errName = errors.New("a record needs a name, of valid UTF-8 without NUL")

func (m *Memory) commit(ctx context.Context, table func() map[string]entry, key string, revision int64, rec any, event rotation.Event) error {
	if !usable(key) {
		return errName
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("commit %s: %w", key, err)
	}
	return m.write(ctx, true, func(s *store) error {
		if table()[key].revision != revision {
			return fmt.Errorf("commit %s at revision %d: %w", key, revision, rotation.ErrStale)
		}
		table()[key] = entry{revision: revision + 1, body: body}
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
