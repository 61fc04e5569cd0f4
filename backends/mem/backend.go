package mem

import (
	"context"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Backend opens a backend on the store, with just the optional interfaces that
// the options chose; [backends.Remover] is always there. The interfaces are
// embedded one by one, so that a type assertion finds what the store can do and
// nothing more.
func (s *Store) Backend() backends.Backend {
	b, st, de, ch := base{s}, staging{s}, describing{s}, checking{s}
	switch o := s.options; {
	case o.Staging && o.Describing && o.Checking:
		return struct {
			base
			staging
			describing
			checking
		}{b, st, de, ch}
	case o.Staging && o.Describing:
		return struct {
			base
			staging
			describing
		}{b, st, de}
	case o.Staging && o.Checking:
		return struct {
			base
			staging
			checking
		}{b, st, ch}
	case o.Describing && o.Checking:
		return struct {
			base
			describing
			checking
		}{b, de, ch}
	case o.Staging:
		return struct {
			base
			staging
		}{b, st}
	case o.Describing:
		return struct {
			base
			describing
		}{b, de}
	case o.Checking:
		return struct {
			base
			checking
		}{b, ch}
	}
	return b
}

// base is what every store can do.
type base struct{ s *Store }

// Put implements backends.Backend.
func (b base) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	leave, err := b.s.enter(ctx, "put", ref)
	defer leave()
	if err != nil {
		return "", err
	}
	if err := b.s.accept("put", ref, item); err != nil {
		return "", err
	}
	e := b.s.entries[ref.Path]
	if n := e.at(backends.Current); n != 0 && same(e.kept[n].Payload, item.Payload) {
		e.kept[n] = b.s.keep(item)
		return name(n), nil
	}
	if b.s.options.CompareAndSet && prev != e.version() {
		return "", moved("put", ref, e, prev)
	}
	e, n := e.add(b.s.keep(item))
	b.s.store(ref.Path, e.promote(n))
	return name(n), nil
}

// Get implements backends.Backend.
func (b base) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	leave, err := b.s.enter(ctx, "get", ref)
	defer leave()
	if err != nil {
		return backends.Item{}, "", err
	}
	return b.s.find("get", ref, at)
}

// Properties implements backends.Backend.
func (b base) Properties() backends.Properties { return properties(b.s.options) }

// Close implements backends.Backend; there is nothing to end.
func (b base) Close() error { return nil }

// Remove implements backends.Remover.
func (b base) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	leave, err := b.s.enter(ctx, "remove", ref)
	defer leave()
	if err != nil {
		return err
	}
	e := b.s.entries[ref.Path]
	switch version {
	case e.version():
		return fail("remove", ref, backends.ErrConflict, errors.New("the version is current"))
	case name(e.previous):
		e.previous = 0
	case name(e.pending):
		e.pending = 0
	}
	b.s.store(ref.Path, e)
	return nil
}

// find returns what stands at a stage. The caller holds the lock.
func (s *Store) find(op string, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	e := s.entries[ref.Path]
	n := e.at(at)
	if n == 0 {
		return backends.Item{}, e.version(), fail(op, ref, backends.ErrNotFound, nil)
	}
	return e.kept[n], name(n), nil
}

// staging is the part of a store with stages.
type staging struct{ s *Store }

// PutPending implements backends.Stager.
func (b staging) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	leave, err := b.s.enter(ctx, "stage", ref)
	defer leave()
	if err != nil {
		return "", err
	}
	if err := b.s.accept("stage", ref, item); err != nil {
		return "", err
	}
	e := b.s.entries[ref.Path]
	for _, at := range []backends.Stage{backends.Pending, backends.Current} {
		if n := e.at(at); n != 0 && same(e.kept[n].Payload, item.Payload) {
			e.kept[n] = b.s.keep(item)
			return name(n), nil
		}
	}
	first := e.last == 0
	e, n := e.add(b.s.keep(item))
	if e.pending = n; first && b.s.options.FirstIsCurrent {
		e = e.promote(n)
	}
	b.s.store(ref.Path, e)
	return name(n), nil
}

// Promote implements backends.Stager.
func (b staging) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	leave, err := b.s.enter(ctx, "promote", ref)
	defer leave()
	if err != nil {
		return err
	}
	e := b.s.entries[ref.Path]
	switch {
	case pending != backends.Absent && pending == name(e.at(backends.Current)):
		return nil
	case prev != e.version():
		return moved("promote", ref, e, prev)
	case pending == backends.Absent || pending != name(e.pending):
		return fail("promote", ref, backends.ErrConflict, fmt.Errorf("version %s is not pending any more", pending))
	}
	b.s.store(ref.Path, e.promote(e.pending))
	return nil
}

// describing is the part of a store that tells versions without values.
type describing struct{ s *Store }

// Describe implements backends.Describer.
func (b describing) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	leave, err := b.s.enter(ctx, "describe", ref)
	defer leave()
	if err != nil {
		return backends.Meta{}, "", err
	}
	item, v, err := b.s.find("describe", ref, backends.Current)
	return item.Meta, v, err
}

// checking is the part of a store that can be asked beforehand.
type checking struct{ s *Store }

// Check implements backends.Checker.
func (b checking) Check(ctx context.Context, ref backends.Ref) error {
	leave, err := b.s.enter(ctx, "check", ref)
	defer leave()
	return err
}

func same(a, b secret.Value) bool { return a.Fingerprint() == b.Fingerprint() }

func moved(op string, ref backends.Ref, e entry, prev backends.Version) error {
	return fail(op, ref, backends.ErrConflict, fmt.Errorf("version %q stands there, expected was %q", e.version(), prev))
}
