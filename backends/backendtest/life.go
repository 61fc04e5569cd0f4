package backendtest

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/handover-agent/handover/backends"
)

func lifeTests() []subtest {
	return []subtest{
		{name: "PropertiesNeverChange", run: propertiesNeverChange},
		{name: "ReopenedFindsTheSame", run: reopenedFindsTheSame},
		{name: "CloseEndsBackground", run: closeEndsBackground},
	}
}

func propertiesNeverChange(t *testing.T, s *suite) {
	b, ref := s.open(t), s.Ref(t)
	same := func(when string) {
		t.Helper()
		diff := cmp.Diff(s.properties, b.Properties(), cmp.Comparer(samePattern))
		if diff != "" {
			t.Errorf("properties %s (-before +after):\n%s", when, diff)
		}
	}
	same("of another backend with the same options")
	put(t, b, ref, newItem(1), backends.Absent)
	same("after a put")
	_, _ = b.Put(done(t), ref, newItem(2), backends.Absent)
	same("after a failure")
}

// samePattern compares two rules by their text.
func samePattern(a, b *regexp.Regexp) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

// reopenedFindsTheSame: what a backend knows stands in the store.
func reopenedFindsTheSame(t *testing.T, s *suite) {
	ref, item := s.Ref(t), newItem(1)
	before := s.Open(t)
	v := put(t, before, ref, item, backends.Absent)
	if err := before.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	after := s.open(t)
	found, again := get(t, after, ref, backends.Current)
	if !found.Payload.Equal(item.Payload) || again != v {
		t.Errorf("a new backend finds %s at version %q, want %s at %q",
			found.Payload.Fingerprint().Short(), again, item.Payload.Fingerprint().Short(), v)
	}
	if s.properties.Metadata {
		wantMeta(t, after, ref, item.Meta)
	}
}

func closeEndsBackground(t *testing.T, s *suite) {
	ref := s.Ref(t)
	before := goleak.IgnoreCurrent()
	b := s.Open(t)
	put(t, b, ref, newItem(1), backends.Absent)
	get(t, b, ref, backends.Current)
	if err := b.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v", err)
	}
}
