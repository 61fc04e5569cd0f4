package backendtest

import (
	"context"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// call is one method of a backend, the same shape for all.
type call struct {
	op     string
	writes bool
	do     func(ctx context.Context, ref backends.Ref) error
}

// version is one that the store has given, of a value that isn't current any
// more where it keeps such.
func (s *suite) version(t *testing.T) backends.Version {
	t.Helper()
	b, ref := s.open(t), s.Ref(t)
	v := put(t, b, ref, newItem(1), backends.Absent)
	put(t, b, ref, newItem(2), v)
	return v
}

// calls lists every method that b has and that takes a place. version is what
// is promoted and removed.
func calls(b backends.Backend, item backends.Item, version backends.Version) []call {
	all := []call{
		{op: "get", do: func(ctx context.Context, ref backends.Ref) error {
			_, _, err := b.Get(ctx, ref, backends.Current)
			return err
		}},
		{op: "put", writes: true, do: func(ctx context.Context, ref backends.Ref) error {
			_, err := b.Put(ctx, ref, item, backends.Absent)
			return err
		}},
	}
	if d, ok := backends.As[backends.Describer](b); ok {
		all = append(all, call{op: "describe", do: func(ctx context.Context, ref backends.Ref) error {
			_, _, err := d.Describe(ctx, ref)
			return err
		}})
	}
	if c, ok := backends.As[backends.Checker](b); ok {
		all = append(all, call{op: "check", do: c.Check})
	}
	if s, ok := backends.As[backends.Stager](b); ok {
		all = append(all, call{op: "stage", writes: true, do: func(ctx context.Context, ref backends.Ref) error {
			_, err := s.PutPending(ctx, ref, item)
			return err
		}}, call{op: "promote", writes: true, do: func(ctx context.Context, ref backends.Ref) error {
			return s.Promote(ctx, ref, version, backends.Absent)
		}})
	}
	if r, ok := backends.As[backends.Remover](b); ok {
		all = append(all, call{op: "remove", writes: true, do: func(ctx context.Context, ref backends.Ref) error {
			return r.Remove(ctx, ref, version)
		}})
	}
	return all
}
