package backendtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The load of the concurrency tests: small, for a real store is behind some.
const (
	writers = 8
	rounds  = 20
	readers = 3
)

func concurrencyTests() []subtest {
	return []subtest{
		{name: "ConcurrentPuts", run: concurrentPuts},
		{name: "ConcurrentPromotes", run: concurrentPromotes, needs: []property{stages}},
		{name: "ReadersSeeWholeValues", run: readersSeeWholeValues},
	}
}

// concurrentPuts: two agents at once leave one of their values, whole; where the
// store compares, just one of them is told that it succeeded.
func concurrentPuts(t *testing.T, s *suite) {
	agents := []backends.Backend{s.open(t), s.open(t)}
	ref := s.Ref(t)
	items := make([]backends.Item, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range items {
		items[i] = newItem(uint64(i + 1))
		wg.Go(func() {
			_, errs[i] = agents[i%2].Put(t.Context(), ref, items[i], backends.Absent)
		})
	}
	wg.Wait()

	var won []secret.Value
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, items[i].Payload)
		case !s.properties.CompareAndSet || !errors.Is(err, backends.ErrConflict):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if s.properties.CompareAndSet && len(won) != 1 {
		t.Errorf("%d of %d writers succeeded where nothing stood, want 1", len(won), writers)
	}
	current, _ := get(t, agents[0], ref, backends.Current)
	if !among(current.Payload, won) {
		t.Error("what stands there is not a value of a writer that succeeded")
	}
}

// concurrentPromotes is the same by the road of two steps: one of them at most
// is told that it succeeded, and who wasn't told has changed nothing.
func concurrentPromotes(t *testing.T, s *suite) {
	agents := []backends.Backend{s.open(t), s.open(t)}
	ref, first := s.Ref(t), newItem(1)
	v1 := put(t, agents[0], ref, first, backends.Absent)
	items := make([]backends.Item, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range items {
		items[i] = newItem(uint64(i + 2))
		stager, _ := backends.As[backends.Stager](agents[i%2])
		wg.Go(func() {
			var v backends.Version
			if v, errs[i] = stager.PutPending(t.Context(), ref, items[i]); errs[i] == nil {
				errs[i] = stager.Promote(t.Context(), ref, v, v1)
			}
		})
	}
	wg.Wait()

	stands := []secret.Value{first.Payload}
	for i, err := range errs {
		switch {
		case err == nil && len(stands) > 0 && stands[0].Equal(first.Payload):
			stands = []secret.Value{items[i].Payload}
		case err == nil:
			t.Error("two writers succeeded in replacing one version")
		case !errors.Is(err, backends.ErrConflict):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	current, _ := get(t, agents[0], ref, backends.Current)
	if !among(current.Payload, stands) {
		t.Error("what stands there is neither the value of the writer that succeeded nor, without one, the first")
	}
}

// readersSeeWholeValues: while values are replaced, every read finds one.
func readersSeeWholeValues(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	items := make([]backends.Item, rounds)
	written := make([]secret.Value, rounds)
	for i := range items {
		items[i] = newItem(uint64(i + 1))
		written[i] = items[i].Payload
	}
	v := put(t, b, ref, items[0], backends.Absent)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range readers {
		reader := s.open(t)
		wg.Go(func() { readUntil(ctx, t, reader, ref, written) })
	}
	for _, item := range items[1:] {
		next, err := b.Put(t.Context(), ref, item, v)
		if err != nil {
			t.Errorf("put: %v", err)
			break
		}
		v = next
	}
	stop()
	wg.Wait()
}

// readUntil reads until ctx is done, at least once.
func readUntil(ctx context.Context, t *testing.T, b backends.Backend, ref backends.Ref, written []secret.Value) {
	for {
		item, _, err := b.Get(t.Context(), ref, backends.Current)
		if err != nil {
			t.Errorf("a reader found: %v", err)
			return
		}
		if !among(item.Payload, written) {
			t.Errorf("a reader found %d bytes that nobody wrote", item.Payload.Len())
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func among(v secret.Value, all []secret.Value) bool {
	for _, one := range all {
		if v.Equal(one) {
			return true
		}
	}
	return false
}
