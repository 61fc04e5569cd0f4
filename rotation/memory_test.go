package rotation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
)

// What a slot's memory holds is the same after a rest, and an empty one holds no
// map.
func TestMemoryRests(t *testing.T) {
	at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	m := &memory{}
	m.wake()
	m.checked["vault/a"], m.checked["vault/b"] = at, at.Add(time.Hour)
	m.posted[3], m.proved[2] = at, at
	m.unread["vault/c"] = unread{times: 2}
	m.values[3] = secret.New("value")
	for range 2 {
		m.rest()
		if m.checked != nil || len(m.looks) != 2 {
			t.Fatalf("at rest it keeps %d looks and the map %v", len(m.looks), m.checked)
		}
		m.wake()
	}
	m.wake() // of a pass after one that failed
	want := map[string]time.Time{"vault/a": at, "vault/b": at.Add(time.Hour)}
	if diff := cmp.Diff(want, m.checked); diff != "" {
		t.Error(diff)
	}
	if !m.posted[3].Equal(at) || !m.proved[2].Equal(at) || m.unread["vault/c"].times != 2 || m.values[3].IsZero() {
		t.Errorf("something was forgotten: %v, %v, %v", m.posted, m.proved, m.unread)
	}
	clear(m.posted)
	clear(m.proved)
	clear(m.unread)
	clear(m.values)
	m.rest()
	if m.posted != nil || m.proved != nil || m.unread != nil || m.values != nil {
		t.Error("at rest it keeps empty maps")
	}
}

func TestForgetDropsWhatASlotLeft(t *testing.T) {
	e := New(Options{Issuer: clockIssuer{}})
	e.memoryOf("a").seq, e.memoryOf("b").seq = 7, 8
	e.Forget("a")
	if e.memoryOf("a").seq != 0 || e.memoryOf("b").seq != 8 {
		t.Errorf("after a was forgotten, a has %d and b has %d", e.memoryOf("a").seq, e.memoryOf("b").seq)
	}
}
