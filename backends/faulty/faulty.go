// Package faulty wraps a backend for tests and lets a script decide what goes
// wrong with each call: before the act, after it, or by an act that lands late.
package faulty

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/handover-agent/handover/backends"
)

// errInjected is the cause in every error that is made here.
var errInjected = errors.New("injected by the test")

// Backend passes calls on as its script says. It has the optional interfaces
// that the backend inside has: [backends.As] sees to that.
type Backend struct {
	inner  backends.Backend
	script Script

	mu    sync.Mutex
	calls []Call
}

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Unwrapper = (*Backend)(nil)
	_ backends.Stager    = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
	_ backends.Checker   = (*Backend)(nil)
	_ backends.Remover   = (*Backend)(nil)
)

// Wrap puts script between the caller and inner.
func Wrap(inner backends.Backend, script Script) *Backend {
	return &Backend{inner: inner, script: script}
}

// Unwrap implements backends.Unwrapper.
func (b *Backend) Unwrap() backends.Backend { return b.inner }

// Calls lists the calls so far, also those that failed before the act.
func (b *Backend) Calls() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// Properties implements backends.Backend.
func (b *Backend) Properties() backends.Properties { return b.inner.Properties() }

// Close implements backends.Backend.
func (b *Backend) Close() error { return b.inner.Close() }

// Put implements backends.Backend.
func (b *Backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	return do(ctx, b, Call{Op: Put, Ref: ref}, func(ctx context.Context) (backends.Version, error) {
		return b.inner.Put(ctx, ref, item, prev)
	})
}

// found is the answer to a Get or Describe.
type found struct {
	item    backends.Item
	version backends.Version
}

// Get implements backends.Backend.
func (b *Backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	f, err := do(ctx, b, Call{Op: Get, Ref: ref, At: at}, func(ctx context.Context) (found, error) {
		item, v, err := b.inner.Get(ctx, ref, at)
		return found{item, v}, err
	})
	return f.item, f.version, err
}

// PutPending implements backends.Stager.
func (b *Backend) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	return do(ctx, b, Call{Op: Stage, Ref: ref}, func(ctx context.Context) (backends.Version, error) {
		s, ok := backends.As[backends.Stager](b.inner)
		if !ok {
			return "", lacks(Stage, ref)
		}
		return s.PutPending(ctx, ref, item)
	})
}

// Promote implements backends.Stager.
func (b *Backend) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	_, err := do(ctx, b, Call{Op: Promote, Ref: ref}, func(ctx context.Context) (struct{}, error) {
		s, ok := backends.As[backends.Stager](b.inner)
		if !ok {
			return struct{}{}, lacks(Promote, ref)
		}
		return struct{}{}, s.Promote(ctx, ref, pending, prev)
	})
	return err
}

// Describe implements backends.Describer.
func (b *Backend) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	f, err := do(ctx, b, Call{Op: Describe, Ref: ref}, func(ctx context.Context) (found, error) {
		d, ok := backends.As[backends.Describer](b.inner)
		if !ok {
			return found{}, lacks(Describe, ref)
		}
		meta, v, err := d.Describe(ctx, ref)
		return found{backends.Item{Meta: meta}, v}, err
	})
	return f.item.Meta, f.version, err
}

// Check implements backends.Checker.
func (b *Backend) Check(ctx context.Context, ref backends.Ref) error {
	_, err := do(ctx, b, Call{Op: Check, Ref: ref}, func(ctx context.Context) (struct{}, error) {
		c, ok := backends.As[backends.Checker](b.inner)
		if !ok {
			return struct{}{}, lacks(Check, ref)
		}
		return struct{}{}, c.Check(ctx, ref)
	})
	return err
}

// Remove implements backends.Remover.
func (b *Backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	_, err := do(ctx, b, Call{Op: Remove, Ref: ref}, func(ctx context.Context) (struct{}, error) {
		r, ok := backends.As[backends.Remover](b.inner)
		if !ok {
			return struct{}{}, lacks(Remove, ref)
		}
		return struct{}{}, r.Remove(ctx, ref, version)
	})
	return err
}

// do makes one call as the script says. An answer of the backend inside is
// passed on whole, with its error.
func do[T any](ctx context.Context, b *Backend, call Call, act func(context.Context) (T, error)) (T, error) {
	var none T
	fault := b.next(call)
	if fault.Before != nil {
		if err := fault.Before(ctx); err != nil {
			return none, call.fail(err)
		}
	}
	if fault.Late != nil && call.Op.Writes() {
		landing := context.WithoutCancel(ctx)
		fault.Late(func() { _, _ = act(landing) })
		return none, call.fail(backends.ErrUnknownOutcome)
	}
	answer, err := act(ctx)
	if fault.After != nil {
		if err := fault.After(err); err != nil {
			return none, call.fail(err)
		}
	}
	return answer, err
}

// next notes a call and asks the script.
func (b *Backend) next(call Call) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	call.N = len(b.calls) + 1
	b.calls = append(b.calls, call)
	return b.script(call)
}

// fail makes err what a driver would return.
func (c Call) fail(err error) error {
	var e *backends.Error
	if errors.As(err, &e) {
		return err
	}
	failed := &backends.Error{Op: string(c.Op), Ref: c.Ref, Kind: backends.ErrUnavailable, Err: err}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			failed.Kind, failed.Err = kind, errInjected
		}
	}
	return failed
}

var kinds = []error{
	backends.ErrNotFound, backends.ErrDenied, backends.ErrConflict, backends.ErrThrottled,
	backends.ErrUnavailable, backends.ErrInvalid, backends.ErrUnknownOutcome,
}

func lacks(op Op, ref backends.Ref) error {
	return &backends.Error{
		Op: string(op), Ref: ref, Kind: backends.ErrInvalid,
		Err: errors.New("the backend inside can't do this"),
	}
}
