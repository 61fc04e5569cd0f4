package backendtest

import (
	"testing"

	"github.com/handover-agent/handover/backends"
)

func getTests() []subtest {
	keeping, forgetting := []property{versions}, []property{not(versions)}
	return []subtest{
		{name: "GetOfNothingIsNotFound", run: getOfNothingIsNotFound},
		{name: "NotFoundVersionIsWhatPutExpects", run: notFoundVersionIsWhatPutExpects},
		{name: "AnothersWriteIsSeen", run: anothersWriteIsSeen},
		{name: "CancelledGet", run: cancelledGet},
		{name: "PreviousIsKept", run: previousIsKept, needs: keeping},
		{name: "AnothersValueIsKept", run: anothersValueIsKept, needs: keeping},
		{name: "PreviousIsNothingElse", run: previousIsNothingElse, needs: forgetting, instead: true},
		{name: "StageThatIsMissingIsNotFound", run: stageThatIsMissingIsNotFound},
	}
}

func getOfNothingIsNotFound(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	absent := wantNothing(t, b, ref, backends.Current)
	put(t, b, ref, item, absent)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

// notFoundVersionIsWhatPutExpects: a store may go on counting after a deletion.
func notFoundVersionIsWhatPutExpects(t *testing.T, s *suite) {
	b, ref, second := s.open(t), s.Ref(t), newItem(2)
	put(t, b, ref, newItem(1), backends.Absent)
	s.Delete(t, ref)
	put(t, b, ref, second, wantNothing(t, b, ref, backends.Current))
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func anothersWriteIsSeen(t *testing.T, s *suite) {
	b, ref, other := s.open(t), s.Ref(t), newPayload()
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	s.Overwrite(t, ref, other)
	wantPayload(t, b, ref, backends.Current, other)
	if _, v2 := get(t, b, ref, backends.Current); v2 == v1 {
		t.Errorf("the version is %q before and after another's write", v1)
	}
}

func cancelledGet(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	for _, at := range []backends.Stage{backends.Current, backends.Previous, backends.Pending} {
		_, _, err := b.Get(done(t), ref, at)
		wantCancelled(t, "get "+at.String()+" with a done context", err)
	}
}

func previousIsKept(t *testing.T, s *suite) {
	b, ref, first, second, third := s.open(t), s.Ref(t), newItem(1), newItem(2), newItem(3)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := put(t, b, ref, second, v1)
	wantPayload(t, b, ref, backends.Previous, first.Payload)
	if _, v := get(t, b, ref, backends.Previous); v != v1 {
		t.Errorf("the previous version is %q, put returned %q for it", v, v1)
	}
	put(t, b, ref, third, v2)
	wantPayload(t, b, ref, backends.Previous, second.Payload)
}

// anothersValueIsKept: what is taken over can be read as the previous value.
func anothersValueIsKept(t *testing.T, s *suite) {
	b, ref, theirs := s.open(t), s.Ref(t), newPayload()
	s.Overwrite(t, ref, theirs)
	_, v := get(t, b, ref, backends.Current)
	put(t, b, ref, newItem(1), v)
	wantPayload(t, b, ref, backends.Previous, theirs)
}

// previousIsNothingElse: a store that promises no Previous gives the replaced
// value, or nothing.
func previousIsNothingElse(t *testing.T, s *suite) {
	b, ref, first := s.open(t), s.Ref(t), newItem(1)
	v1 := put(t, b, ref, first, backends.Absent)
	put(t, b, ref, newItem(2), v1)
	item, _, err := b.Get(t.Context(), ref, backends.Previous)
	if err != nil {
		wantKind(t, "get previous", err, backends.ErrNotFound)
		return
	}
	if !item.Payload.Equal(first.Payload) {
		t.Error("what stands at previous is not the value that was replaced")
	}
}

func stageThatIsMissingIsNotFound(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	wantNothing(t, b, ref, backends.Previous)
	wantNothing(t, b, ref, backends.Pending)
	put(t, b, ref, newItem(1), backends.Absent)
	wantNothing(t, b, ref, backends.Previous)
	wantNothing(t, b, ref, backends.Pending)
}
