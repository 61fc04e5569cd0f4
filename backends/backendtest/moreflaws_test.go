package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// The methods of a driver that a flaw replaces.
type (
	putter   = func(context.Context, backends.Ref, backends.Item, backends.Version) (backends.Version, error)
	getter   = func(context.Context, backends.Ref, backends.Stage) (backends.Item, backends.Version, error)
	promoter = func(context.Context, backends.Ref, backends.Version, backends.Version) error
)

// putting changes a put before or after it is done; the others do the same for
// their methods.
func putting(change func(w *whole, s *mem.Store, put putter) putter) func(*whole, *mem.Store) {
	return func(w *whole, s *mem.Store) { w.put = change(w, s, w.put) }
}

func getting(change func(w *whole, s *mem.Store, get getter) getter) func(*whole, *mem.Store) {
	return func(w *whole, s *mem.Store) { w.get = change(w, s, w.get) }
}

func promoting(change func(w *whole, s *mem.Store, promote promoter) promoter) func(*whole, *mem.Store) {
	return func(w *whole, s *mem.Store) { w.promote = change(w, s, w.promote) }
}

func metaFlaws() []flaw {
	return []flaw{
		{name: "metadata stays as it was first", found: "MetaFollowsARepeatedPut", make: putting(func(_ *whole, s *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if s.Peek(ref.Path).Equal(item.Payload) {
					return prev, nil
				}
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "metadata that isn't given is made up", found: "MetaMayBeUnknown", make: putting(func(_ *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if item.Meta.IsZero() {
					item.Meta.Slot = "unknown"
				}
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "a long slot is cut", found: "LongestSlotIsKept", make: putting(func(_ *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				item.Meta.Slot = item.Meta.Slot[:min(len(item.Meta.Slot), 100)]
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "the value is written before its slot is refused", found: "TooLongSlotIsInvalid", make: putting(func(w *whole, s *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				if err != nil && len(item.Meta.Slot) > w.props().MaxMeta {
					s.Overwrite(ref.Path, item.Payload)
				}
				return v, err
			}
		})},
		{name: "a put wipes what others have noted", found: "OthersMetadataSurvives", make: putting(func(_ *whole, s *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				s.Mark(ref.Path, false)
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "promoting wipes what others have noted", found: "OthersMetadataSurvives", make: promoting(func(_ *whole, s *mem.Store, promote promoter) promoter {
			return func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				s.Mark(ref.Path, false)
				return promote(ctx, ref, pending, prev)
			}
		})},
	}
}

// lookFlaws are of looking and of taking away.
func lookFlaws() []flaw {
	return []flaw{
		{name: "describe tells of what was deleted", found: "DescribeOfNothingIsNotFound", make: func(w *whole, _ *mem.Store) {
			describe := w.describe
			w.describe = func(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
				m, v, err := describe(ctx, ref)
				if errors.Is(err, backends.ErrNotFound) {
					err = nil
				}
				return m, v, err
			}
		}},
		{name: "what is staged can't be removed", found: "RemovedStagedIsNotFound", make: func(w *whole, _ *mem.Store) {
			remove := w.remove
			w.remove = func(ctx context.Context, ref backends.Ref, version backends.Version) error {
				if _, v, err := w.get(ctx, ref, backends.Pending); err == nil && v == version {
					return nil
				}
				return remove(ctx, ref, version)
			}
		}},
	}
}

func nameFlaws() []flaw {
	renamed := func(change func(string) string) func(*whole, *mem.Store) {
		return func(w *whole, _ *mem.Store) {
			put, get := w.put, w.get
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				ref.Path = change(ref.Path)
				return put(ctx, ref, item, prev)
			}
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				ref.Path = change(ref.Path)
				return get(ctx, ref, at)
			}
		}
	}
	return []flaw{
		{name: "all paths are one", found: "PathsAreApart", make: renamed(func(string) string { return "one" })},
		{name: "a name that the rule allows is refused", found: "EveryAllowedNameGoes", make: renamed(func(path string) string {
			return strings.ReplaceAll(path, "~", "//")
		})},
		{name: "a long name is cut", found: "EveryAllowedNameGoes", make: putting(func(_ *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				ref.Path = ref.Path[:min(len(ref.Path), 500)]
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "the store is asked about every name", found: "OtherNamesAreRefusedUnasked", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if _, _, err := get(ctx, backends.Ref{Backend: ref.Backend, Path: "probe"}, at); backends.KindOf(err) == backends.ErrUnavailable {
					return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrUnavailable}
				}
				return get(ctx, ref, at)
			}
		})},
	}
}

func faultFlaws() []flaw {
	return []flaw{
		{name: "throttled is unavailable", found: "ThrottledIsTold", make: kinds(backends.ErrThrottled, backends.ErrUnavailable)},
		{name: "the time to wait is lost", found: "ThrottledIsTold", make: kinds(backends.ErrThrottled, backends.ErrThrottled)},
		{name: "a lost answer to a promote is a success", found: "LostPromoteIsUnknownOutcome", make: promoting(func(_ *whole, _ *mem.Store, promote promoter) promoter {
			return func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				if err := promote(ctx, ref, pending, prev); !errors.Is(err, backends.ErrUnknownOutcome) {
					return err
				}
				return nil
			}
		})},
		{name: "the end of a deadline is not told", found: "HangingStoreEndsWithContext", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if errors.Is(err, context.DeadlineExceeded) {
					err = &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrUnavailable}
				}
				return item, v, err
			}
		})},
		{name: "the payload is logged", found: "LogsHoldNoSecret", make: putting(func(w *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				_, _ = fmt.Fprintf(w.log, "put %s at %s\n", item.Payload.Reveal(), ref)
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "a backend prints what was put", found: "NothingPrintsASecret", make: putting(func(w *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				w.note = item.Payload.Reveal()
				return put(ctx, ref, item, prev)
			}
		})},
		{name: "a backend prints its credential", found: "NothingPrintsASecret", make: func(w *whole, _ *mem.Store) { w.note = credential.Reveal() }},
	}
}

// newPayloadLen is less than the length of what the suite writes, and more than
// half of it.
const newPayloadLen = 90

func raceFlaws() []flaw {
	var seen atomic.Bool // a reader of the run has found a half
	return []flaw{
		{name: "a put compares and then sets", found: "ConcurrentPuts", make: blindPut},
		{name: "a promote that has lost says nothing", found: "ConcurrentPromotes", make: promoting(func(_ *whole, _ *mem.Store, promote promoter) promoter {
			return func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				if err := promote(ctx, ref, pending, prev); !errors.Is(err, backends.ErrConflict) {
					return err
				}
				return nil
			}
		})},
		{name: "a value is written in two halves", found: "ReadersSeeWholeValues", make: func(w *whole, s *mem.Store) {
			put, get := w.put, w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if n := item.Payload.Len(); n > 0 && n < newPayloadLen {
					seen.Store(true)
				}
				return item, v, err
			}
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if s.Peek(ref.Path).IsZero() || seen.Load() {
					return put(ctx, ref, item, prev)
				}
				s.Overwrite(ref.Path, secret.New(item.Payload.Reveal()[:item.Payload.Len()/2]))
				for !seen.Load() {
					runtime.Gosched()
				}
				_, v, _ := get(ctx, ref, backends.Current)
				return put(ctx, ref, item, v)
			}
		}},
		{name: "two values have one version", found: "PutReplaces", make: putting(func(_ *whole, _ *mem.Store, put putter) putter {
			return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				_, err := put(ctx, ref, item, prev)
				return "latest", err
			}
		})},
		{name: "what was read is kept", found: "AnothersWriteIsSeen", make: func(w *whole, _ *mem.Store) {
			put, get, last := w.put, w.get, map[string]backends.Item{}
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				last[ref.Path] = item
				return put(ctx, ref, item, prev)
			}
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				_, v, err := get(ctx, ref, at)
				return last[ref.Path], v, err
			}
		}},
		{name: "another's value is not kept", found: "AnothersValueIsKept", make: getting(func(_ *whole, _ *mem.Store, get getter) getter {
			return func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if at == backends.Previous && err == nil && item.Meta.IsZero() {
					return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrNotFound}
				}
				return item, v, err
			}
		})},
	}
}
