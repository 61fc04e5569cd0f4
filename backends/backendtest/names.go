package backendtest

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
)

func pathTests() []subtest {
	return []subtest{
		{name: "PathsAreApart", run: pathsAreApart},
		{name: "EveryAllowedNameGoes", run: everyAllowedNameGoes},
		{
			name: "OtherNamesAreRefusedUnasked", run: otherNamesAreRefusedUnasked,
			lacks: func(h Harness) bool { return h.Unreachable == nil },
		},
		{
			name: "PathCannotLeaveRoot", run: pathCannotLeaveRoot,
			lacks: func(h Harness) bool { return len(h.Escapes) == 0 },
		},
	}
}

func pathsAreApart(t *testing.T, s *suite) {
	b, one, two := s.open(t), s.Ref(t), s.Ref(t)
	first, second := newItem(1), newItem(2)
	put(t, b, one, first, backends.Absent)
	wantNothing(t, b, two, backends.Current)
	put(t, b, two, second, backends.Absent)
	wantPayload(t, b, one, backends.Current, first.Payload)
	wantPayload(t, b, two, backends.Current, second.Payload)
	for _, ref := range []backends.Ref{one, two} {
		if err := s.properties.Path.Check(ref.Path); err != nil {
			t.Errorf("the path rule refuses %q, which works: %v", ref.Path, err)
		}
	}
}

// pathCannotLeaveRoot: the rule says no where the declaration is checked, and
// the driver says no to who doesn't ask the rule.
func pathCannotLeaveRoot(t *testing.T, s *suite) {
	b, version := s.open(t), s.version(t)
	for _, path := range s.Escapes {
		ref := s.Ref(t)
		ref.Path = path
		if err := s.properties.Path.Check(path); err == nil {
			t.Errorf("the path rule allows %q", path)
		}
		if path == "" {
			continue // an Error names its place, and here is none
		}
		for _, c := range calls(b, newItem(1), version) {
			wantKind(t, c.op+" of "+path, c.do(t.Context(), ref), backends.ErrInvalid)
		}
	}
}

// letters are what names are tried with: all of ASCII, and some beyond.
func letters() []string {
	var all []string
	for c := range 0x80 {
		all = append(all, string(rune(c)))
	}
	return append(all, "\u00e9", "\u65e5", "\u00a0", "\u200b", "\U0001f511", "\xff")
}

// with is a name like base that has c in it.
func with(base, c string) string { return base + "-x" + c + "y" }

// everyAllowedNameGoes: names of all letters that the rule allows, and as long as
// it allows.
func everyAllowedNameGoes(t *testing.T, s *suite) {
	b, ref, rule := s.open(t), s.Ref(t), s.properties.Path
	base, allowed := ref.Path, ""
	for _, c := range letters() {
		if rule.Check(with(base, c)) == nil {
			allowed += c
		}
	}
	names := []string{with(base, allowed)}
	if rule.Check(names[0]) != nil { // some of them not side by side
		names = nil
		for _, c := range strings.Split(allowed, "") {
			names = append(names, with(base, c))
		}
	}
	if rule.Max > 0 {
		names = append(names, longest(rule, s.Ref(t).Path))
	}
	if s.Names != nil {
		names = append(names, s.Names(t)...)
	}
	for _, name := range names {
		if err := rule.Check(name); err != nil {
			t.Errorf("the rule refuses what should go: %v", err)
		}
		ref.Path = name
		item := newItem(1)
		put(t, b, ref, item, backends.Absent)
		wantPayload(t, b, ref, backends.Current, item.Payload)
	}
}

// longest is a name of the greatest length that begins with base: one part, or
// as many of the longest parts as there is room for.
func longest(rule backends.PathRule, base string) string {
	part := rule.MaxPart
	if part == 0 {
		return base + strings.Repeat("x", rule.Max-len(base))
	}
	name := base
	for len(name)+1 < rule.Max {
		name += "/" + strings.Repeat("x", min(part, rule.Max-len(name)-1))
	}
	return name
}

// otherNamesAreRefusedUnasked: the store isn't needed to know that a name is
// wrong.
func otherNamesAreRefusedUnasked(t *testing.T, s *suite) {
	b, ref, rule := closing(t, s.Unreachable(t)), s.Ref(t), s.properties.Path
	var names []string
	for _, c := range letters() {
		if name := with(ref.Path, c); rule.Check(name) != nil {
			names = append(names, name)
		}
	}
	if rule.Max > 0 {
		names = append(names, longest(rule, ref.Path)+"x")
	}
	if rule.MaxPart > 0 {
		names = append(names, ref.Path+"/"+strings.Repeat("x", rule.MaxPart+1))
	}
	if len(names) == 0 {
		t.Error("the rule allows every name that was tried")
	}
	version := s.version(t)
	for _, name := range names {
		ref.Path = name
		for _, c := range calls(b, newItem(1), version) {
			wantKind(t, c.op+" of a forbidden name", c.do(t.Context(), ref), backends.ErrInvalid)
		}
	}
}
