package backendtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

func metaTests() []subtest {
	return []subtest{
		{name: "MetaComesBack", run: metaComesBack, needs: metadata},
		{name: "MetaIsNotKept", run: metaIsNotKept, needs: no(metadata)},
		{name: "MetaFollowsARepeatedPut", run: metaFollowsARepeatedPut, needs: metadata},
		{name: "MetaFitsVersion", run: metaFitsVersion},
		{name: "MetaMayBeUnknown", run: metaMayBeUnknown},
		{
			name: "OthersMetadataSurvives", run: othersMetadataSurvives,
			lacks: func(h Harness) bool { return h.Annotate == nil },
		},
	}
}

// wantMeta compares the metadata of what stands at ref.
func wantMeta(t *testing.T, b backends.Backend, ref backends.Ref, want backends.Meta) {
	t.Helper()
	item, _ := get(t, b, ref, backends.Current)
	if diff := cmp.Diff(want, item.Meta); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func metaComesBack(t *testing.T, s *suite) {
	b, ref, first, second := s.open(t), s.Ref(t), newItem(1), newItem(2)
	second.Meta.Expires = second.Meta.Expires.AddDate(-1, 0, 0)
	v1 := put(t, b, ref, first, backends.Absent)
	wantMeta(t, b, ref, first.Meta)
	put(t, b, ref, second, v1)
	wantMeta(t, s.open(t), ref, second.Meta)

	never := newItem(3)
	never.Meta.Expires = backends.Meta{}.Expires
	ref = s.Ref(t)
	put(t, b, ref, never, backends.Absent)
	wantMeta(t, b, ref, never.Meta)
}

func metaIsNotKept(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	put(t, b, ref, newItem(1), backends.Absent)
	wantMeta(t, b, ref, backends.Meta{})
}

func metaFollowsARepeatedPut(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	v1 := put(t, b, ref, item, backends.Absent)
	item.Meta = newMeta(7, item.Payload)
	if v2 := put(t, b, ref, item, v1); v2 != v1 {
		t.Errorf("new metadata alone made version %q after %q", v2, v1)
	}
	wantMeta(t, b, ref, item.Meta)
}

// metaFitsVersion: metadata that was left behind says nothing about a value
// that somebody else wrote since.
func metaFitsVersion(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	put(t, b, ref, newItem(1), backends.Absent)
	s.Overwrite(t, ref, newPayload())
	wantMeta(t, b, ref, backends.Meta{})

	s.Delete(t, ref)
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantKind(t, "get after a deletion", err, backends.ErrNotFound)
	s.Overwrite(t, ref, newPayload())
	wantMeta(t, b, ref, backends.Meta{})
}

func metaMayBeUnknown(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	put(t, b, ref, backends.Item{Payload: newPayload()}, backends.Absent)
	wantMeta(t, b, ref, backends.Meta{})
}

// othersMetadataSurvives: what other people keep beside a value stays through
// the next value, a repeated one, and one that goes by the stages.
func othersMetadataSurvives(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	v := put(t, b, ref, newItem(1), backends.Absent)
	stands := s.Annotate(t, ref)
	second := newItem(2)
	for range 2 {
		v = put(t, b, ref, second, v)
		second.Meta.Generation++
	}
	if stager, ok := backends.As[backends.Stager](b); ok {
		promote(t, stager, ref, stage(t, stager, ref, newItem(4)), v)
	}
	if !stands(t) {
		t.Error("what others kept beside the value is gone")
	}
}
