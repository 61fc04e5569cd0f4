package backendtest

import (
	"testing"

	"github.com/handover-agent/handover/backends"
)

func stageTests() []subtest {
	staging := []property{stages}
	return []subtest{
		{name: "StagedIsNotCurrent", run: stagedIsNotCurrent, needs: staging},
		{name: "StagedFirstIsNotCurrent", run: stagedFirstIsNotCurrent, needs: append(staging, not(firstIsCurrent))},
		{name: "StagedFirstIsCurrent", run: stagedFirstIsCurrent, needs: append(staging, firstIsCurrent), instead: true},
		{name: "StagingIsIdempotent", run: stagingIsIdempotent, needs: staging},
		{name: "StagingReplacesStaged", run: stagingReplacesStaged, needs: staging},
		{name: "PromoteMakesCurrent", run: promoteMakesCurrent, needs: staging},
		{name: "PromoteTwiceIsOnce", run: promoteTwiceIsOnce, needs: staging},
		{name: "PromoteLosesRace", run: promoteLosesRace, needs: staging},
		{name: "CancelledStaging", run: cancelledStaging, needs: staging},
	}
}

// stager opens a backend as what it is and as a Stager.
func (s *suite) stager(t *testing.T) (backends.Backend, backends.Stager) {
	t.Helper()
	b := s.open(t)
	stager, ok := backends.As[backends.Stager](b)
	if !ok {
		t.Fatal("the backend could stage, and can't any more")
	}
	return b, stager
}

func stage(t *testing.T, stager backends.Stager, ref backends.Ref, item backends.Item) backends.Version {
	t.Helper()
	v, err := stager.PutPending(t.Context(), ref, item)
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	return v
}

func promote(t *testing.T, stager backends.Stager, ref backends.Ref, pending, prev backends.Version) {
	t.Helper()
	if err := stager.Promote(t.Context(), ref, pending, prev); err != nil {
		t.Fatalf("promote: %v", err)
	}
}

func stagedIsNotCurrent(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first, second := s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := stage(t, stager, ref, second)
	if v1 == v2 {
		t.Errorf("the staged and the current value have one version, %q", v1)
	}
	wantPayload(t, b, ref, backends.Current, first.Payload)
	if _, v := get(t, b, ref, backends.Current); v != v1 {
		t.Errorf("staging moved the current version from %q to %q", v1, v)
	}
	wantPayload(t, b, ref, backends.Pending, second.Payload)
	if _, v := get(t, b, ref, backends.Pending); v != v2 {
		t.Errorf("the pending version is %q, staging returned %q", v, v2)
	}
}

func stagedFirstIsNotCurrent(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, item := s.Ref(t), newItem(1)
	pending := stage(t, stager, ref, item)
	absent := wantNothing(t, b, ref, backends.Current)
	promote(t, stager, ref, pending, absent)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

// stagedFirstIsCurrent: where nothing stands, staging is all there is to do.
func stagedFirstIsCurrent(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, item := s.Ref(t), newItem(1)
	v := stage(t, stager, ref, item)
	wantPayload(t, b, ref, backends.Current, item.Payload)
	if _, current := get(t, b, ref, backends.Current); current != v {
		t.Errorf("the current version is %q, staging returned %q", current, v)
	}
	wantNothing(t, b, ref, backends.Pending)
	promote(t, stager, ref, v, backends.Absent)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

func stagingIsIdempotent(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, item := s.Ref(t), newItem(2)
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	v := stage(t, stager, ref, item)
	if again := stage(t, stager, ref, item); again != v {
		t.Errorf("the same payload staged again made version %q after %q", again, v)
	}
	promote(t, stager, ref, v, v1)
	if again := stage(t, stager, ref, item); again != v {
		t.Errorf("the current payload staged again made version %q after %q", again, v)
	}
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

func stagingReplacesStaged(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first, abandoned, second := s.Ref(t), newItem(1), newItem(2), newItem(3)
	v1 := put(t, b, ref, first, backends.Absent)
	stage(t, stager, ref, abandoned)
	v3 := stage(t, stager, ref, second)
	wantPayload(t, b, ref, backends.Pending, second.Payload)
	promote(t, stager, ref, v3, v1)
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func promoteMakesCurrent(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first, second := s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := stage(t, stager, ref, second)
	promote(t, stager, ref, v2, v1)
	wantPayload(t, b, ref, backends.Current, second.Payload)
	if _, v := get(t, b, ref, backends.Current); v != v2 {
		t.Errorf("the promoted version is %q, staging returned %q", v, v2)
	}
	wantNothing(t, b, ref, backends.Pending)
	if s.properties.Versions {
		wantPayload(t, b, ref, backends.Previous, first.Payload)
	}
	if s.properties.Metadata {
		wantMeta(t, b, ref, second.Meta)
	}
}

func promoteTwiceIsOnce(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first, second := s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	v2 := stage(t, stager, ref, second)
	promote(t, stager, ref, v2, v1)
	promote(t, stager, ref, v2, v1)
	wantPayload(t, b, ref, backends.Current, second.Payload)
	if s.properties.Versions {
		wantPayload(t, b, ref, backends.Previous, first.Payload)
	}
}

func promoteLosesRace(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, other := s.Ref(t), newPayload()
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	v2 := stage(t, stager, ref, newItem(2))
	s.Overwrite(t, ref, other)
	err := stager.Promote(t.Context(), ref, v2, v1)
	wantKind(t, "promote after another's write", err, backends.ErrConflict)
	wantPayload(t, b, ref, backends.Current, other)
}

func cancelledStaging(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first, second := s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	_, err := stager.PutPending(done(t), ref, second)
	wantCancelled(t, "stage with a done context", err)
	wantNothing(t, b, ref, backends.Pending)

	v2 := stage(t, stager, ref, second)
	err = stager.Promote(done(t), ref, v2, v1)
	wantCancelled(t, "promote with a done context", err)
	wantPayload(t, b, ref, backends.Current, first.Payload)
}
