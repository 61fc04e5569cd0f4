package rotationtest_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// leakBound is how long after its deadline an emergency may leave a token alive,
// with one fault or two: a restart and a back-off.
const leakBound = time.Minute

// anEmergency is how many days have an emergency in them, and the end of the last
// token that it killed.
const anEmergency = 8

// emergencyScenes are the scenes, each with each kind of emergency.
func emergencyScenes() (all []scene) {
	for _, s := range scenes() {
		for name, q := range map[string]rotation.Request{
			"all": {}, "revoke first": {RevokeFirst: true}, "one token": {TokenID: 2}, // 1 is the account
		} {
			q.Kind = rotation.RequestEmergency
			s := s
			s.name, s.emergency = s.name+", "+name, &q
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b scene) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return all
}

// begins is which act takes the emergency up, counted from 0.
func (s scene) begins(t *testing.T) int {
	t.Helper()
	return slices.Index(s.clean(t, anEmergency), "commit emergency")
}

// since are the plans whose faults all come with that act, counted from 0, or
// after it.
func since(from int, plans []plan) []plan {
	return slices.DeleteFunc(plans, func(p plan) bool { return slices.Min(slices.Collect(maps.Keys(p))) <= from })
}

// TestEveryFaultAtEveryActOfAnEmergency: whatever one fault does, what leaked is
// dead a minute after the deadline, and the slot settles.
func TestEveryFaultAtEveryActOfAnEmergency(t *testing.T) {
	for _, s := range emergencyScenes() {
		t.Run(s.name, func(t *testing.T) {
			s.playAll(t, since(s.begins(t), s.singles(t, anEmergency)), anEmergency)
		})
		s.slow = true
		t.Run(s.name+", slow", func(t *testing.T) {
			s.playAll(t, since(s.begins(t), s.singles(t, anEmergency)), anEmergency)
		})
	}
}

// TestEveryPairOfFaultsOfAnEmergency does the same with two, in the first scene.
func TestEveryPairOfFaultsOfAnEmergency(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some ten thousand runs")
	}
	for _, s := range emergencyScenes() {
		if len(s.stores) < 2 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			all := func(string, rotationtest.FaultKind) bool { return true }
			s.playAll(t, s.pairs(t, s.begins(t), anEmergency, all), anEmergency)
		})
	}
}
