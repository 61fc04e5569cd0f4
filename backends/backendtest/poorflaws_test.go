package backendtest_test

import (
	"context"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// poorFlaws are those of stores that lack something, and of staging.
func poorFlaws() []flaw {
	return append(stagingFlaws(),
		flaw{name: "prev is compared where that is not said", found: "StaleVersionIsIgnored", make: putting(func(w *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if _, v, _ := w.get(ctx, ref, backends.Current); v != prev {
					return "", &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrConflict}
				}
				return put(ctx, ref, item, prev)
			}
		}), lacks: func(o *mem.Options) { o.CompareAndSet = false }},
		flaw{name: "any value is the previous one", found: "PreviousIsNothingElse", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if at == backends.Previous {
					at = backends.Current
				}
				return get(ctx, ref, at)
			}
		}), lacks: func(o *mem.Options) { o.Versions = false }},
		flaw{name: "metadata comes back where that is not said", found: "MetaIsNotKept", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				item.Meta.Generation = 1
				return item, v, err
			}
		}), lacks: func(o *mem.Options) { o.Metadata = false }},
		flaw{name: "the first value waits where that is not said", found: "StagedFirstIsCurrent", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if at == backends.Pending {
					at = backends.Current
				}
				return get(ctx, ref, at)
			}
		}), lacks: func(o *mem.Options) { o.FirstIsCurrent = true }},
	)
}

func stagingFlaws() []flaw {
	type stager = func(context.Context, backends.Ref, backends.Item) (backends.Version, error)
	staging := func(change func(w *whole, s *mem.Store, stage stager) stager) func(*whole, *mem.Store) {
		return func(w *whole, s *mem.Store) { w.stage = change(w, s, w.stage) }
	}
	return []flaw{
		{name: "the first value is current at once", found: "StagedFirstIsNotCurrent", make: staging(func(w *whole, s *mem.Store, stage stager) stager {
			return func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				if s.Written(ref.Path) == 0 {
					return w.put(ctx, ref, item, backends.Absent)
				}
				return stage(ctx, ref, item)
			}
		})},
		{name: "staging again makes another version", found: "StagingIsIdempotent", make: staging(func(w *whole, _ *mem.Store, stage stager) stager {
			return func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				if _, _, err := w.get(ctx, ref, backends.Pending); err == nil {
					_, _ = stage(ctx, ref, backends.Item{Payload: secret.New("in between")})
				}
				return stage(ctx, ref, item)
			}
		})},
		{name: "what is staged stays", found: "StagingReplacesStaged", make: staging(func(w *whole, _ *mem.Store, stage stager) stager {
			return func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				if _, v, err := w.get(ctx, ref, backends.Pending); err == nil {
					return v, nil
				}
				return stage(ctx, ref, item)
			}
		})},
		{name: "a promote does nothing", found: "PromoteMakesCurrent", make: func(w *whole, _ *mem.Store) {
			w.promote = func(context.Context, backends.Ref, backends.Version, backends.Version) error { return nil }
		}},
		{name: "staging ignores a done context", found: "CancelledStaging", make: staging(func(_ *whole, _ *mem.Store, stage stager) stager {
			return func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				return stage(context.WithoutCancel(ctx), ref, item)
			}
		})},
		{name: "promoting ignores a done context", found: "CancelledStaging", make: promoting(func(_ *whole, _ *mem.Store, promote promoter) promoter {
			return func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				return promote(context.WithoutCancel(ctx), ref, pending, prev)
			}
		})},
	}
}
