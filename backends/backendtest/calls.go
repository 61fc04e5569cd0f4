package backendtest

import (
	"context"

	"github.com/handover-agent/handover/backends"
)

// call is one method of a backend, the same shape for all.
type call struct {
	op     string
	writes bool
	do     func(ctx context.Context, ref backends.Ref) error
}

// calls lists every method that b has and that takes a place.
func calls(b backends.Backend, item backends.Item) []call {
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
		}})
	}
	return all
}
