package plan

import (
	"context"
	"sync"

	"github.com/handover-agent/handover/backends"
)

// shelf is one place of a store as it is, and as it would be after what the
// engine has put there. Each target has its own.
//
// It has no Unwrap: a capability that is found through it would write past it.
type shelf struct {
	base backends.Backend

	mu  sync.Mutex
	put *backends.Item
}

var (
	_ backends.Backend = (*shelf)(nil)
	_ backends.Checker = (*shelf)(nil)
)

// planned is the version of what would be put.
const planned backends.Version = "planned"

// Put keeps the item in memory.
func (s *shelf) Put(ctx context.Context, _ backends.Ref, item backends.Item, _ backends.Version) (backends.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s.put = &item
	return planned, nil
}

// Get returns what would stand there: what was put, with what stands there now
// before it.
func (s *shelf) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	s.mu.Lock()
	put := s.put
	s.mu.Unlock()
	switch {
	case put != nil && at == backends.Current:
		return *put, planned, nil
	case put != nil && at == backends.Previous:
		at = backends.Current
	}
	return s.base.Get(ctx, ref, at)
}

// Properties are the store's.
func (s *shelf) Properties() backends.Properties { return s.base.Properties() }

// Check asks the store, where it can be asked.
func (s *shelf) Check(ctx context.Context, ref backends.Ref) error {
	if checker, ok := backends.As[backends.Checker](s.base); ok {
		return checker.Check(ctx, ref)
	}
	return nil
}

// Close does nothing: the store is its owner's to close.
func (s *shelf) Close() error { return nil }
