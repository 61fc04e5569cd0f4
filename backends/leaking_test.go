package backends_test

import (
	"context"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
)

// leaking fails one operation after its act, with an error that a driver made
// badly.
type leaking struct {
	backends.Backend
	op  faulty.Op
	err error
}

func (l leaking) Unwrap() backends.Backend { return l.Backend }

func (l leaking) leak(op faulty.Op, err error) error {
	if op == l.op {
		return l.err
	}
	return err
}

func (l leaking) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	v, err := l.Backend.Put(ctx, ref, item, prev)
	return v, l.leak(faulty.Put, err)
}

func (l leaking) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	item, v, err := l.Backend.Get(ctx, ref, at)
	return item, v, l.leak(faulty.Get, err)
}

func (l leaking) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	s, _ := backends.As[backends.Stager](l.Backend)
	v, err := s.PutPending(ctx, ref, item)
	return v, l.leak(faulty.Stage, err)
}

func (l leaking) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	s, _ := backends.As[backends.Stager](l.Backend)
	return l.leak(faulty.Promote, s.Promote(ctx, ref, pending, prev))
}
