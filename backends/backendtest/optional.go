package backendtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

func describeTests() []subtest {
	describing := []property{describes}
	return []subtest{
		{name: "DescribeAgreesWithGet", run: describeAgreesWithGet, needs: describing},
		{name: "DescribeOfNothingIsNotFound", run: describeOfNothingIsNotFound, needs: describing},
	}
}

func describeAgreesWithGet(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	d, _ := backends.As[backends.Describer](b)
	agree := func(when string) {
		t.Helper()
		item, v := get(t, b, ref, backends.Current)
		meta, described, err := d.Describe(t.Context(), ref)
		if err != nil {
			t.Fatalf("%s: describe: %v", when, err)
		}
		if described != v {
			t.Errorf("%s: described version %q, get returns %q", when, described, v)
		}
		if diff := cmp.Diff(item.Meta, meta); diff != "" {
			t.Errorf("%s: metadata of get and describe (-get +describe):\n%s", when, diff)
		}
	}
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	agree("after a put")
	put(t, b, ref, newItem(2), v1)
	agree("after the next put")
	s.Overwrite(t, ref, newPayload())
	agree("after another's write")
	if stager, ok := backends.As[backends.Stager](b); ok {
		stage(t, stager, ref, newItem(3))
		agree("while another value is staged")
	}
}

func describeOfNothingIsNotFound(t *testing.T, s *suite) {
	b, ref, second := s.open(t), s.Ref(t), newItem(2)
	d, _ := backends.As[backends.Describer](b)
	_, _, err := d.Describe(t.Context(), ref)
	wantKind(t, "describe of nothing", err, backends.ErrNotFound)

	put(t, b, ref, newItem(1), backends.Absent)
	s.Delete(t, ref)
	_, v, err := d.Describe(t.Context(), ref)
	wantKind(t, "describe after a deletion", err, backends.ErrNotFound)
	put(t, b, ref, second, v)
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func checkTests() []subtest {
	return []subtest{{
		name: "CheckChangesNothing", run: checkChangesNothing,
		needs: []property{checks},
	}}
}

func checkChangesNothing(t *testing.T, s *suite) {
	b, ref, first := s.open(t), s.Ref(t), newItem(1)
	c, _ := backends.As[backends.Checker](b)
	check := func(when string) {
		t.Helper()
		if err := c.Check(t.Context(), ref); err != nil {
			t.Errorf("check %s: %v", when, err)
		}
	}
	check("where nothing stands")
	absent := wantNothing(t, b, ref, backends.Current)
	v1 := put(t, b, ref, first, absent)
	check("where a value stands")
	wantPayload(t, b, ref, backends.Current, first.Payload)
	if _, v := get(t, b, ref, backends.Current); v != v1 {
		t.Errorf("a check moved the version from %q to %q", v1, v)
	}
	wantCancelled(t, "check with a done context", c.Check(done(t), ref))
}

func removeTests() []subtest {
	return []subtest{
		{name: "RemovedVersionIsNotFound", run: removedVersionIsNotFound, needs: []property{removes, versions}},
		{name: "RemovedStagedIsNotFound", run: removedStagedIsNotFound, needs: []property{removes, stages}},
		{name: "CurrentIsNotRemoved", run: currentIsNotRemoved, needs: []property{removes}},
	}
}

func removedVersionIsNotFound(t *testing.T, s *suite) {
	b, ref, second := s.open(t), s.Ref(t), newItem(2)
	r, _ := backends.As[backends.Remover](b)
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	put(t, b, ref, second, v1)
	wantCancelled(t, "remove with a done context", r.Remove(done(t), ref, v1))
	get(t, b, ref, backends.Previous)
	for _, when := range []string{"once", "twice"} {
		if err := r.Remove(t.Context(), ref, v1); err != nil {
			t.Errorf("remove %s: %v", when, err)
		}
		wantNothing(t, b, ref, backends.Previous)
	}
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

func removedStagedIsNotFound(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	ref, first := s.Ref(t), newItem(1)
	r, _ := backends.As[backends.Remover](b)
	put(t, b, ref, first, backends.Absent)
	v2 := stage(t, stager, ref, newItem(2))
	if err := r.Remove(t.Context(), ref, v2); err != nil {
		t.Errorf("remove what is staged: %v", err)
	}
	wantNothing(t, b, ref, backends.Pending)
	wantPayload(t, b, ref, backends.Current, first.Payload)
}

func currentIsNotRemoved(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	r, _ := backends.As[backends.Remover](b)
	v := put(t, b, ref, item, backends.Absent)
	wantKind(t, "remove the current version", r.Remove(t.Context(), ref, v), backends.ErrConflict)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}
