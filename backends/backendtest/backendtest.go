// Package backendtest is what every driver has to pass: one subtest for each
// MUST in the comments of [backends.Backend] and of the optional interfaces.
//
// A driver's test is a [Harness] and one call of [Run]. Subtests that a
// backend's Properties, or the optional interfaces that it lacks, make
// meaningless are not run ([Skips] lists them, and backends/all/testdata those of
// all drivers); where the opposite can be observed, a subtest asserts that
// instead (StaleVersionIsIgnored for StaleVersionIsConflict, and so on).
//
// Not asserted: how long anything takes, and what is left after a restart of the
// store.
package backendtest

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Harness is how the suite gets at a driver and at the store behind it. Open,
// Ref, Overwrite and Delete are required. A field that is nil leaves its
// subtest without a subject: then Without has to say why.
type Harness struct {
	// Open returns a backend. All backends of one test are on one store. The
	// suite closes it.
	Open func(t *testing.T) backends.Backend
	// Ref returns a place where nothing was ever written, another one at each
	// call. The suite also uses its options with other paths.
	Ref func(t *testing.T) backends.Ref
	// Overwrite makes payload current at ref as another hand does it: not
	// through the driver, and without its metadata.
	Overwrite func(t *testing.T, ref backends.Ref, payload secret.Value)
	// Delete takes the current value at ref away as another hand does it.
	Delete func(t *testing.T, ref backends.Ref)
	// Denied returns a backend and a place where the store lets it neither
	// read nor write. For DeniedIsTold.
	Denied func(t *testing.T) (backends.Backend, backends.Ref)
	// Unreachable returns a backend whose store can't be reached. For
	// UnreachableIsNotNotFound.
	Unreachable func(t *testing.T) backends.Backend
	// AnswerLost returns a backend on the store of Open, whose writes take
	// place and whose answers to them are lost. For
	// LostAnswerIsUnknownOutcome.
	AnswerLost func(t *testing.T) backends.Backend
	// Hanging returns a backend whose store takes calls and never answers.
	// For HangingStoreEndsWithContext.
	Hanging func(t *testing.T) backends.Backend
	// Throttled returns a backend whose store asks for every call to come later.
	// For ThrottledIsTold.
	Throttled func(t *testing.T) backends.Backend
	// RetryAfter is how long it asks to wait; 0 where the product can't say.
	RetryAfter time.Duration
	// Annotate writes something of other people's beside the value at ref, and
	// returns a look whether it stands there still. For
	// OthersMetadataSurvives.
	Annotate func(t *testing.T, ref backends.Ref) (stands func(t *testing.T) bool)
	// Names are paths at edges of the rule that the suite can't guess, where
	// nothing was ever written. For EveryAllowedNameGoes; may be nil.
	Names func(t *testing.T) []string
	// Log is where all backends of this harness log to. For LogsHoldNoSecret.
	Log *Log
	// Escapes are paths that would leave the backend's root, or reach what is
	// not meant for tokens, if they were taken. For PathCannotLeaveRoot.
	Escapes []string
	// Secrets are the credentials with which the backends were opened.
	Secrets []secret.Value
	// Without names subtests that the server of this test can't be made to show,
	// each with the reason. They are reported as skipped. What the product can't
	// do is no reason: its driver says that in Properties.
	Without map[string]string
}

// subtest is one MUST.
type subtest struct {
	name string
	run  func(t *testing.T, s *suite)
	// needs are the properties without which it makes no sense.
	needs []property
	// instead: it says what holds for a store that lacks something.
	instead bool
	// lacks reports that the harness has no subject for it; nil is never.
	lacks func(h Harness) bool
}

// suite is one run.
type suite struct {
	Harness
	properties backends.Properties
	sample     backends.Backend
}

// Run runs every subtest that applies to the backend that h opens.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Open == nil || h.Ref == nil || h.Overwrite == nil || h.Delete == nil {
		t.Fatal("the harness lacks one of Open, Ref, Overwrite and Delete")
	}
	sample := closing(t, h.Open(t))
	s := &suite{Harness: h, sample: sample, properties: sample.Properties()}
	known := map[string]bool{}
	for _, test := range subtests() {
		known[test.name] = true
		if s.skip(test) == "" {
			t.Run(test.name, func(t *testing.T) { s.runOne(t, test) })
		}
	}
	for name := range h.Without {
		if !known[name] {
			t.Errorf("the harness does without %q, and there is no such subtest", name)
		}
	}
}

// subtests lists all of them, in the order in which a driver is written.
func subtests() []subtest {
	return concat(
		putTests(), getTests(), metaTests(), sizeTests(), pathTests(),
		stageTests(), describeTests(), checkTests(), removeTests(),
		concurrencyTests(), faultTests(), silenceTests(), lifeTests(),
	)
}

func concat(groups ...[]subtest) []subtest {
	var all []subtest
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}
