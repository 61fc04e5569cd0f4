package backendtest

import (
	"testing"

	"github.com/handover-agent/handover/backends"
)

// need is what a subtest wants of a backend: a field of its Properties, an
// optional interface, or the lack of one. The zero need is none.
type need struct {
	name string
	met  func(s *suite) bool
}

var (
	comparing = need{"CompareAndSet", func(s *suite) bool { return s.properties.CompareAndSet }}
	versions  = need{"Versions", func(s *suite) bool { return s.properties.Versions }}
	metadata  = need{"Metadata", func(s *suite) bool { return s.properties.Metadata }}
	limited   = need{"MaxPayload", func(s *suite) bool { return s.properties.MaxPayload > 0 }}

	staging    = need{"Stager", func(s *suite) bool { return s.stages }}
	describing = need{"Describer", func(s *suite) bool { return s.describes }}
	checking   = need{"Checker", func(s *suite) bool { return s.checks }}
	removing   = need{"Remover", func(s *suite) bool { return s.removes }}

	firstIsCurrent = need{"FirstIsCurrent", func(s *suite) bool { return s.properties.FirstIsCurrent }}
)

// no is the lack of n.
func no(n need) need {
	return need{"no " + n.name, func(s *suite) bool { return !n.met(s) }}
}

// and is both.
func (n need) and(other need) need {
	return need{n.name + " and " + other.name, func(s *suite) bool { return n.met(s) && other.met(s) }}
}

// unmet is the name of the need that the backend doesn't meet; "" is none.
func (s *suite) unmet(test subtest) string {
	if test.needs.met == nil || test.needs.met(s) {
		return ""
	}
	return test.needs.name
}

// Skip is a subtest that Run leaves out because of what the backend declares of
// itself.
type Skip struct {
	// Subtest is its name.
	Subtest string
	// Needs is what the backend would have to have, or must not.
	Needs string
}

// Skips lists the subtests that Run leaves out for b, in the suite's order. It
// asks no store.
func Skips(b backends.Backend) []Skip {
	s := &suite{}
	s.look(b)
	var all []Skip
	for _, test := range subtests() {
		if n := s.unmet(test); n != "" {
			all = append(all, Skip{test.name, n})
		}
	}
	return all
}

// look learns what the backend can do.
func (s *suite) look(b backends.Backend) {
	s.properties = b.Properties()
	_, s.stages = backends.As[backends.Stager](b)
	_, s.describes = backends.As[backends.Describer](b)
	_, s.checks = backends.As[backends.Checker](b)
	_, s.removes = backends.As[backends.Remover](b)
}

func (s *suite) runOne(t *testing.T, test subtest) {
	if n := s.unmet(test); n != "" {
		t.Skip("it needs " + n)
	}
	if why, ok := s.Without[test.name]; ok {
		t.Skipf("not shown on this store: %s", why)
	}
	if test.lacks != nil && test.lacks(s.Harness) {
		t.Fatalf("the harness gives no subject for %s, and Without doesn't say why", test.name)
	}
	test.run(t, s)
}
