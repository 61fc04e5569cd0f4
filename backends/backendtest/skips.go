package backendtest

import (
	"testing"

	"github.com/handover-agent/handover/backends"
)

// property is what a backend says of itself, or shows by an optional interface.
// What it can't do is told by this name alone.
type property struct {
	name string
	of   func(s *suite) bool
	// without: wanted is a backend that lacks it.
	without bool
}

var (
	compareAndSet  = property{name: "CompareAndSet", of: func(s *suite) bool { return s.properties.CompareAndSet }}
	versions       = property{name: "Versions", of: func(s *suite) bool { return s.properties.Versions }}
	metadata       = property{name: "Metadata", of: func(s *suite) bool { return s.properties.Metadata }}
	local          = property{name: "Local", of: func(s *suite) bool { return s.properties.Local }}
	firstIsCurrent = property{name: "FirstIsCurrent", of: func(s *suite) bool { return s.properties.FirstIsCurrent }}
	maxPayload     = property{name: "MaxPayload", of: func(s *suite) bool { return s.properties.MaxPayload > 0 }}
	maxMeta        = property{name: "MaxMeta", of: func(s *suite) bool { return s.properties.Metadata && s.properties.MaxMeta > 0 }}
	stages         = property{name: "Stager", of: can[backends.Stager]}
	describes      = property{name: "Describer", of: can[backends.Describer]}
	checks         = property{name: "Checker", of: can[backends.Checker]}
	removes        = property{name: "Remover", of: can[backends.Remover]}
)

func can[T any](s *suite) bool {
	_, ok := backends.As[T](s.sample)
	return ok
}

// not wants a backend that lacks p.
func not(p property) property {
	p.without = true
	return p
}

// skip says by which property a subtest makes no sense for the backend; "" is
// none.
func (s *suite) skip(test subtest) string {
	for _, needed := range test.needs {
		switch has := needed.of(s); {
		case has && needed.without:
			return needed.name
		case !has && !needed.without:
			return "no " + needed.name
		}
	}
	return ""
}

// Skips lists the subtests that b doesn't run, each with the property by which
// it says so. A subtest that stands in for another, of stores that lack
// something, isn't listed where nothing is lacking. b may be of a store that
// can't be reached.
func Skips(b backends.Backend) map[string]string {
	s := &suite{sample: b, properties: b.Properties()}
	skips := map[string]string{}
	for _, test := range subtests() {
		if why := s.skip(test); why != "" && !test.instead {
			skips[test.name] = why
		}
	}
	return skips
}

// runOne runs a subtest, or tells why not.
func (s *suite) runOne(t *testing.T, test subtest) {
	if why, ok := s.Without[test.name]; ok {
		t.Skipf("not shown on this server: %s", why)
	}
	if test.lacks != nil && test.lacks(s.Harness) {
		t.Fatalf("the harness gives no subject for %s, and Without doesn't say why", test.name)
	}
	test.run(t, s)
}
