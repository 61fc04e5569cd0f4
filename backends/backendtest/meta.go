package backendtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

func metaTests() []subtest {
	keeping, forgetting := []property{metadata}, []property{not(metadata)}
	return []subtest{
		{name: "MetaComesBack", run: metaComesBack, needs: keeping},
		{name: "MetaIsNotKept", run: metaIsNotKept, needs: forgetting, instead: true},
		{name: "MetaFollowsARepeatedPut", run: metaFollowsARepeatedPut, needs: keeping},
		{name: "MetaFitsVersion", run: metaFitsVersion},
		{name: "LongestSlotIsKept", run: longestSlotIsKept, needs: keeping},
		{name: "TooLongSlotIsInvalid", run: tooLongSlotIsInvalid, needs: []property{maxMeta}},
		{name: "MetaMayBeUnknown", run: metaMayBeUnknown},
		{
			name: "OthersMetadataSurvives", run: othersMetadataSurvives, needs: []property{metadata, not(local)},
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

// longSlot is a slot of n bytes.
func longSlot(n int) string {
	const account = "suite@service/"
	return account + strings.Repeat("s", n-len(account))
}

func longestSlotIsKept(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	most := s.properties.MaxMeta
	if most == 0 {
		most = 600 // more than Qualytics' names make
	}
	item.Meta.Slot = longSlot(most)
	put(t, b, ref, item, backends.Absent)
	wantMeta(t, b, ref, item.Meta)
}

func tooLongSlotIsInvalid(t *testing.T, s *suite) {
	b, ref, first, second := s.open(t), s.Ref(t), newItem(1), newItem(2)
	v1 := put(t, b, ref, first, backends.Absent)
	second.Meta.Slot = longSlot(s.properties.MaxMeta + 1)
	_, err := b.Put(t.Context(), ref, second, v1)
	wantKind(t, "put with a byte too much in the slot", err, backends.ErrInvalid)
	wantPayload(t, b, ref, backends.Current, first.Payload)
}

func metaMayBeUnknown(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	put(t, b, ref, backends.Item{Payload: newPayload()}, backends.Absent)
	wantMeta(t, b, ref, backends.Meta{})
}

// othersMetadataSurvives: whatever the agent does, what others have noted beside
// a value stays.
func othersMetadataSurvives(t *testing.T, s *suite) {
	b, ref, second := s.open(t), s.Ref(t), newItem(2)
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	stands := s.Annotate(t, ref)
	survives := func(what string) {
		t.Helper()
		if !stands(t) {
			t.Errorf("%s took another's metadata away", what)
		}
	}
	survives("nothing")
	v2 := put(t, b, ref, second, v1)
	survives("the next put")
	second.Meta = newMeta(7, second.Payload)
	put(t, b, ref, second, v2)
	survives("new metadata for the same payload")
	if stager, ok := backends.As[backends.Stager](b); ok {
		promote(t, stager, ref, stage(t, stager, ref, newItem(3)), v2)
		survives("staging and promoting")
	}
	if r, ok := backends.As[backends.Remover](b); ok && s.properties.Versions {
		if err := r.Remove(t.Context(), ref, v1); err != nil {
			t.Errorf("remove: %v", err)
		}
		survives("a removal")
	}
}
