package rotationtest

import (
	"context"
	"errors"

	"github.com/handover-agent/handover/backends"
)

// faultyBackend puts the script before a store. It has the optional interfaces
// that the store has (backends.As asks both).
type faultyBackend struct {
	backends.Backend
	s *Script
}

// Unwrap is what capabilities are found through.
func (f faultyBackend) Unwrap() backends.Backend { return f.Backend }

// act does one act on a store, or hangs.
func (f faultyBackend) act(ctx context.Context, op string, ref backends.Ref, after error, do func() error) error {
	name := op + " " + ref.String()
	unavailable := &backends.Error{Op: op, Ref: ref, Kind: backends.ErrUnavailable}
	if f.s.Hangs != nil && f.s.Hangs(name) {
		<-ctx.Done()
		return &backends.Error{Op: op, Ref: ref, Kind: backends.ErrUnavailable, Err: ctx.Err()}
	}
	if after == nil {
		after = unavailable
	}
	return f.s.act(name, do, unavailable, after)
}

func unknownWrite(op string, ref backends.Ref) error {
	return &backends.Error{Op: op, Ref: ref, Kind: backends.ErrUnknownOutcome}
}

// Put implements backends.Backend.
func (f faultyBackend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (v backends.Version, err error) {
	err = f.act(ctx, "put", ref, unknownWrite("put", ref), func() error {
		v, err = f.Backend.Put(ctx, ref, item, prev)
		return err
	})
	return v, err
}

// Get implements backends.Backend.
func (f faultyBackend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (item backends.Item, v backends.Version, err error) {
	err = f.act(ctx, "get", ref, nil, func() error { item, v, err = f.Backend.Get(ctx, ref, at); return err })
	if err != nil && !errors.Is(err, backends.ErrNotFound) {
		item = backends.Item{}
	}
	return item, v, err
}

// PutPending implements backends.Stager.
func (f faultyBackend) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (v backends.Version, err error) {
	stager, _ := backends.As[backends.Stager](f.Backend)
	err = f.act(ctx, "stage", ref, unknownWrite("stage", ref), func() error {
		v, err = stager.PutPending(ctx, ref, item)
		return err
	})
	return v, err
}

// Promote implements backends.Stager.
func (f faultyBackend) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	stager, _ := backends.As[backends.Stager](f.Backend)
	return f.act(ctx, "promote", ref, unknownWrite("promote", ref), func() error {
		return stager.Promote(ctx, ref, pending, prev)
	})
}

// Remove implements backends.Remover.
func (f faultyBackend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	remover, _ := backends.As[backends.Remover](f.Backend)
	return f.act(ctx, "remove", ref, nil, func() error { return remover.Remove(ctx, ref, version) })
}

// Describe implements backends.Describer.
func (f faultyBackend) Describe(ctx context.Context, ref backends.Ref) (meta backends.Meta, v backends.Version, err error) {
	describer, _ := backends.As[backends.Describer](f.Backend)
	err = f.act(ctx, "describe", ref, nil, func() error { meta, v, err = describer.Describe(ctx, ref); return err })
	return meta, v, err
}

// Check implements backends.Checker.
func (f faultyBackend) Check(ctx context.Context, ref backends.Ref) error {
	checker, _ := backends.As[backends.Checker](f.Backend)
	return f.act(ctx, "check", ref, nil, func() error { return checker.Check(ctx, ref) })
}
