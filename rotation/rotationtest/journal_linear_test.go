package rotationtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

func TestMemoryIsLinear(t *testing.T) {
	histories := uint64(300)
	if testing.Short() {
		histories = 60
	}
	Linear(t, histories, func(*testing.T) *Memory { return NewMemory() },
		func(_ *testing.T, m *Memory) *Memory { return m.Takeover() })
}

// Journals that lack a rule. The callers must find each of them out.

// careless has no compare-and-set: the later of two commits wins.
type careless struct{ rotation.Journal }

func (c careless) Commit(ctx context.Context, rec rotation.Record, e rotation.Event) (rotation.Record, error) {
	for {
		stored, err := c.Journal.Commit(ctx, rec, e)
		if !errors.Is(err, rotation.ErrStale) {
			return stored, err
		}
		now, err := c.Slot(ctx, rec.Slot)
		if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
			return rec, err
		}
		rec.Revision = now.Revision
	}
}

// unfenced lets every handle write by the newest one's lease.
type unfenced struct {
	rotation.Journal
	newest *newest
}

type newest struct {
	mu sync.Mutex
	m  *Memory
}

func (u unfenced) Commit(ctx context.Context, rec rotation.Record, e rotation.Event) (rotation.Record, error) {
	u.newest.mu.Lock()
	defer u.newest.mu.Unlock()
	return u.newest.m.Commit(ctx, rec, e)
}

// forgetful gives out what it read before.
type forgetful struct {
	rotation.Journal
	read *sync.Map
}

func (f forgetful) Slot(ctx context.Context, slot string) (rotation.Record, error) {
	if rec, ok := f.read.Load(slot); ok {
		return rec.(rotation.Record), nil
	}
	rec, err := f.Journal.Slot(ctx, slot)
	if err == nil {
		f.read.Store(slot, rec)
	}
	return rec, err
}

// halved stores the first of many requests alone, and tells of all.
type halved struct{ rotation.Journal }

func (h halved) AddRequests(ctx context.Context, list []rotation.Request) ([]rotation.Request, error) {
	stored, err := h.Journal.AddRequests(ctx, list[:1])
	if err != nil {
		return nil, err
	}
	second := list[1]
	second.ID = stored[0].ID + 1
	return append(stored, second), nil
}

func TestLinearFindsBrokenJournals(t *testing.T) {
	for name, over := range map[string]func(m *Memory, lease *newest) rotation.Journal{
		"no compare-and-set": func(m *Memory, _ *newest) rotation.Journal { return careless{m} },
		"no fence":           func(m *Memory, lease *newest) rotation.Journal { return unfenced{m, lease} },
		"old reads":          func(m *Memory, _ *newest) rotation.Journal { return forgetful{m, new(sync.Map)} },
		"half of a batch":    func(m *Memory, _ *newest) rotation.Journal { return halved{m} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				lease := &newest{m: NewMemory()}
				calls, err := playCallers(t.Context(), seed, over(lease.m, lease), func(rotation.Journal) rotation.Journal {
					lease.mu.Lock()
					defer lease.mu.Unlock()
					lease.m = lease.m.Takeover()
					return over(lease.m, lease)
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := inSomeOrder(calls); err != nil {
					if !strings.Contains(err.Error(), "caller 0: take over") {
						t.Errorf("it isn't told what was called: %v", err)
					}
					t.Logf("found by seed %d", seed)
					return
				}
			}
			t.Error("50 histories, and nobody noticed")
		})
	}
}
