package rotation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newList is a shared list whose fetch takes a second.
func newList(fetches *atomic.Int64, seq *atomic.Uint64, fail func(n int64) error) *shared[int] {
	return newShared(time.Now, seq.Load, func(a, b int) bool { return a == b }, func(ctx context.Context) (map[string]int, error) {
		n := fetches.Add(1)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := fail(n); err != nil {
			return nil, err
		}
		return map[string]int{"n": int(n)}, nil
	})
}

func never(int64) error { return nil }

func TestSharedListIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		var seq atomic.Uint64
		list := newList(&fetches, &seq, never)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := list.get(t.Context(), time.Time{}, 0); err != nil || got.byKey["n"] != 1 {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
		all.Wait()
		if n := fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestSharedListIsAsNewAsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		var seq atomic.Uint64
		list := newList(&fetches, &seq, never)
		get := func(after time.Time, changes uint64) int {
			t.Helper()
			got, err := list.get(t.Context(), after, changes)
			if err != nil {
				t.Fatal(err)
			}
			return got.byKey["n"]
		}
		began := time.Now()
		for name, tt := range map[string]struct{ got, want int }{
			"the first":                                {get(time.Time{}, 0), 1},
			"asked for when the first was asked for":   {get(began, 0), 1},
			"asked for a moment after":                 {get(began.Add(1), 0), 2},
			"after a change that it can't tell of yet": {func() int { seq.Store(5); return get(time.Time{}, 5) }(), 3},
			"after that change, again":                 {get(time.Time{}, 5), 3},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: list %d, want %d", name, tt.got, tt.want)
			}
		}
	})
}

func TestSharedListFailsForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		var seq atomic.Uint64
		broken := errors.New("broken")
		list := newList(&fetches, &seq, func(n int64) error {
			if n == 1 {
				return broken
			}
			return nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := list.get(t.Context(), time.Time{}, 0); !errors.Is(err, broken) {
					t.Errorf("%v, want what failed for the first", err)
				}
			})
		}
		all.Wait()
		if n := fetches.Load(); n != 1 {
			t.Errorf("%d fetches for those who waited together, want 1", n)
		}
		if got, err := list.get(t.Context(), time.Time{}, 0); err != nil || got.byKey["n"] != 2 {
			t.Errorf("later: %+v, %v", got, err)
		}
	})
}

func TestSharedListOfOneWhoLeftIsFetchedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		var seq atomic.Uint64
		list := newList(&fetches, &seq, never)
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := list.get(leaving, time.Time{}, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if got, err := list.get(t.Context(), time.Time{}, 0); err != nil || got.byKey["n"] != 2 {
				t.Errorf("the next: %+v, %v", got, err)
			}
		})
		all.Go(func() { // leaves while it waits for its turn
			if _, err := list.get(leaving, time.Time{}, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("one who waited: %v", err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
	})
}

func TestKeyLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks keyLocks
		var all sync.WaitGroup
		inside := map[string]*atomic.Int64{"a": {}, "b": {}}
		began := time.Now()
		for n := range 20 {
			all.Go(func() {
				key := string(rune('a' + n%2))
				unlock, err := locks.lock(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				defer unlock()
				if others := inside[key].Add(1); others != 1 {
					t.Errorf("%d are in for %s", others, key)
				}
				time.Sleep(time.Second)
				inside[key].Add(-1)
			})
		}
		all.Wait()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("two keys took %s, ten turns of a second each are 10s", took)
		}
		if len(locks.locks) != 0 {
			t.Errorf("%d locks are kept", len(locks.locks))
		}
	})
}

func TestKeyLocksLetOneLeaveWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks keyLocks
		unlock, err := locks.lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := locks.lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one who waited: %v", err)
		}
		unlock()
		if len(locks.locks) != 0 {
			t.Errorf("%d locks are kept", len(locks.locks))
		}
	})
}
