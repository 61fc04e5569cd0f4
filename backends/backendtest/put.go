package backendtest

import (
	"testing"

	"github.com/handover-agent/handover/backends"
)

func putTests() []subtest {
	comparing, blind := []property{compareAndSet}, []property{not(compareAndSet)}
	return []subtest{
		{name: "PutThenGet", run: putThenGet},
		{name: "PutReplaces", run: putReplaces},
		{name: "PutIsIdempotent", run: putIsIdempotent},
		{name: "LostPutCanBeRepeated", run: lostPutCanBeRepeated},
		{name: "StaleVersionIsConflict", run: staleVersionIsConflict, needs: comparing},
		{name: "AbsentIsComparedToo", run: absentIsComparedToo, needs: comparing},
		{name: "StaleVersionIsIgnored", run: staleVersionIsIgnored, needs: blind, instead: true},
		{name: "CancelledPut", run: cancelledPut},
	}
}

func putThenGet(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	v := put(t, b, ref, item, backends.Absent)
	if v == backends.Absent {
		t.Error("put returned the Version of a place where nothing stands")
	}
	wantPayload(t, b, ref, backends.Current, item.Payload)
	if _, seen := get(t, b, ref, backends.Current); seen != v {
		t.Errorf("put returned version %q, get returns %q", v, seen)
	}
	wantPayload(t, s.open(t), ref, backends.Current, item.Payload)
}

func putReplaces(t *testing.T, s *suite) {
	b, ref, first, second := s.open(t), s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := put(t, b, ref, second, v1)
	if v1 == v2 {
		t.Errorf("two values have one version, %q", v1)
	}
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func putIsIdempotent(t *testing.T, s *suite) {
	b, ref, first, second := s.open(t), s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := put(t, b, ref, second, v1)
	if again := put(t, b, ref, second, v2); again != v2 {
		t.Errorf("the same payload again made version %q after %q", again, v2)
	}
	wantPayload(t, b, ref, backends.Current, second.Payload)
	if s.properties.Versions {
		wantPayload(t, b, ref, backends.Previous, first.Payload)
	}
}

// lostPutCanBeRepeated is what an agent does that crashed between its Put and
// the note of it: it puts again with the version from before.
func lostPutCanBeRepeated(t *testing.T, s *suite) {
	b, ref, first, second := s.open(t), s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	if again := put(t, b, ref, first, backends.Absent); again != v1 {
		t.Errorf("repeating the first put made version %q after %q", again, v1)
	}
	v2 := put(t, b, ref, second, v1)
	if again := put(t, s.open(t), ref, second, v1); again != v2 {
		t.Errorf("repeating the second put made version %q after %q", again, v2)
	}
}

func staleVersionIsConflict(t *testing.T, s *suite) {
	b, ref, other := s.open(t), s.Ref(t), newPayload()
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	s.Overwrite(t, ref, other)
	_, err := b.Put(t.Context(), ref, newItem(2), v1)
	wantKind(t, "put with the version from before another's write", err, backends.ErrConflict)
	wantPayload(t, b, ref, backends.Current, other)
	_, v2 := get(t, b, ref, backends.Current)
	if v1 == v2 {
		t.Errorf("another's write left the version at %q", v1)
	}
	third := newItem(3)
	put(t, b, ref, third, v2)
	wantPayload(t, b, ref, backends.Current, third.Payload)
}

func absentIsComparedToo(t *testing.T, s *suite) {
	b, ref, other := s.open(t), s.Ref(t), newPayload()
	s.Overwrite(t, ref, other)
	_, err := b.Put(t.Context(), ref, newItem(1), backends.Absent)
	wantKind(t, "put that expects nothing where something stands", err, backends.ErrConflict)
	wantPayload(t, b, ref, backends.Current, other)
}

// staleVersionIsIgnored states the window of stores without compare-and-set:
// the last writer wins.
func staleVersionIsIgnored(t *testing.T, s *suite) {
	b, ref, second := s.open(t), s.Ref(t), newItem(2)
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	s.Overwrite(t, ref, newPayload())
	put(t, b, ref, second, v1)
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func cancelledPut(t *testing.T, s *suite) {
	b, ref, first := s.open(t), s.Ref(t), newItem(1)
	_, err := b.Put(done(t), ref, first, backends.Absent)
	wantCancelled(t, "first put with a done context", err)
	absent := wantNothing(t, b, ref, backends.Current)

	v1 := put(t, b, ref, first, absent)
	_, err = b.Put(done(t), ref, newItem(2), v1)
	wantCancelled(t, "second put with a done context", err)
	wantPayload(t, b, ref, backends.Current, first.Payload)
	if _, v := get(t, b, ref, backends.Current); v != v1 {
		t.Errorf("a put with a done context moved the version from %q to %q", v1, v)
	}
}
