package rotationtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// AddRequest implements [rotation.Journal].
func (m *Memory) AddRequest(ctx context.Context, q rotation.Request) (rotation.Request, error) {
	stored, err := m.AddRequests(ctx, []rotation.Request{q})
	if err != nil {
		return q, err
	}
	return stored[0], nil
}

// AddRequests implements [rotation.Journal].
func (m *Memory) AddRequests(ctx context.Context, list []rotation.Request) (stored []rotation.Request, err error) {
	for _, q := range list {
		if err := q.Check(); err != nil {
			return nil, err
		}
	}
	err = m.write(ctx, false, func(s *store) error {
		for _, q := range list {
			s.lastRequest++
			q.ID, q.At, q.ClosedAt, q.Outcome = s.lastRequest, stampOf(q.At), time.Time{}, ""
			q.Reason, q.Actor = clean(q.Reason), clean(q.Actor)
			stored = append(stored, q)
		}
		s.requests = append(s.requests, stored...)
		return nil
	})
	return stored, err
}

// Requests implements [rotation.Journal].
func (m *Memory) Requests(ctx context.Context, slot string) ([]rotation.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	scopes := rotation.Scopes(slot)
	var open []rotation.Request
	for _, q := range m.store.requests {
		if slices.Contains(scopes[:], q.Slot) && q.ClosedAt.IsZero() {
			open = append(open, q)
		}
	}
	return open, nil
}

// OpenRequests implements [rotation.Journal].
func (m *Memory) OpenRequests(ctx context.Context) ([]rotation.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.store.requests), func(q rotation.Request) bool { return !q.ClosedAt.IsZero() }), nil
}

// Request implements [rotation.Journal].
func (m *Memory) Request(ctx context.Context, id int64) (rotation.Request, error) {
	if err := ctx.Err(); err != nil {
		return rotation.Request{}, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	i, ok := slices.BinarySearchFunc(m.store.requests, id, byID)
	if !ok {
		return rotation.Request{}, fmt.Errorf("read request %d: %w", id, rotation.ErrNoRecord)
	}
	return m.store.requests[i], nil
}

// CloseRequest implements [rotation.Journal].
func (m *Memory) CloseRequest(ctx context.Context, id int64, outcome string) error {
	return m.write(ctx, true, func(s *store) error {
		i, ok := slices.BinarySearchFunc(s.requests, id, byID)
		if !ok {
			return fmt.Errorf("close request %d: %w", id, rotation.ErrNoRecord)
		}
		if q := &s.requests[i]; q.ClosedAt.IsZero() {
			q.ClosedAt, q.Outcome = stampOf(time.Time{}), clean(outcome)
		}
		return nil
	})
}

// History implements [rotation.Journal].
func (m *Memory) History(ctx context.Context, filter rotation.HistoryFilter) ([]rotation.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := filter.Limit
	if limit <= 0 {
		limit = 100
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	var found []rotation.Event
	for _, e := range slices.Backward(m.store.events) {
		if len(found) == limit {
			break
		}
		if (filter.Slot == "" || e.Slot == filter.Slot) && !e.At.Before(filter.Since) {
			found = append(found, e)
		}
	}
	slices.Reverse(found)
	return found, nil
}
