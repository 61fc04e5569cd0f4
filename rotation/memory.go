package rotation

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// memory is what the engine knows of a slot beside the journal. It is lost
// with the process.
type memory struct {
	values  map[uint64]secret.Value
	posted  map[uint64]time.Time
	checked map[string]time.Time
	// versions are where the targets stood when they were last read, of those
	// whose store can say later whether that is so still.
	versions map[string]backends.Version
	proved   map[uint64]time.Time // our own uses that no commit has told of
	unread   map[string]unread
	// looks are checked and versions while no pass runs.
	looks []lookAt
	// rested spares a pass; nil: the next one asks Next. asked counts
	// Engine.Asked.
	rested atomic.Pointer[rested]
	// interrupt cuts off what the pass under way may be cut off from; nil: no
	// pass is.
	interrupt atomic.Pointer[context.CancelFunc]
	asked     atomic.Uint64
	// tellings are the hooks that run.
	tellings tellings
	seq      uint64 // Engine.mutations after the slot's own last change
	edition  uint64 // Declared.Edition of the last pass
}

// unread is a target whose last read failed.
type unread struct {
	times int // one after the other
	seen  TargetSeen
}

// lookAt is a target, when it was last read, and where it stood.
type lookAt struct {
	target  string
	at      time.Time
	version backends.Version
}

func (e *Engine) memoryOf(slot string) *memory {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.memory[slot]
	if m == nil {
		m = &memory{}
		e.memory[slot] = m
	}
	return m
}

// Forget drops what the engine keeps of a slot beside the journal: it isn't
// declared any more. The slot may be passed over again later.
func (e *Engine) Forget(slot string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.memory, slot)
}

// wake makes the maps that a pass writes into. Only the pass over the slot may
// call it, and rest.
func (m *memory) wake() {
	if m.checked == nil {
		m.checked = make(map[string]time.Time, len(m.looks))
		m.versions = map[string]backends.Version{}
		for _, l := range m.looks {
			m.checked[l.target] = l.at
			if l.version != backends.Absent {
				m.versions[l.target] = l.version
			}
		}
		m.looks = nil
	}
	makeMap(&m.values)
	makeMap(&m.posted)
	makeMap(&m.proved)
	makeMap(&m.unread)
}

// rest keeps what there is in as little room as it takes: of ten thousand slots
// most are at rest, and a map with one entry has room for eight.
func (m *memory) rest() {
	m.looks = make([]lookAt, 0, len(m.checked))
	for target, at := range m.checked {
		m.looks = append(m.looks, lookAt{target, at, m.versions[target]})
	}
	m.checked, m.versions = nil, nil
	dropMap(&m.values)
	dropMap(&m.posted)
	dropMap(&m.proved)
	dropMap(&m.unread)
}

func makeMap[K comparable, V any](m *map[K]V) {
	if *m == nil {
		*m = map[K]V{}
	}
}

func dropMap[K comparable, V any](m *map[K]V) {
	if len(*m) == 0 {
		*m = nil
	}
}
