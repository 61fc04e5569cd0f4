package rotation

import (
	"testing"
	"time"
)

func TestNextRemovesOldVersions(t *testing.T) {
	owed := func(set func(*scene, *Removal)) func(*scene) {
		return func(s *scene) {
			rec := s.rec.Targets[one]
			rec.Removal = &Removal{Since: s.now}
			s.rec.Targets[one] = rec
			set(s, rec.Removal)
		}
	}
	ask(t, []question{
		{name: "nothing is owed", set: func(*scene) {}, reason: GraceRunning},
		{name: "owed", set: owed(func(*scene, *Removal) {}), want: []Action{RemoveOld{Target: one}}},
		{name: "owed, and calls to the API wait", set: owed(func(s *scene, _ *Removal) {
			s.obs.Held = Held{Until: s.now.Add(time.Minute), Reason: APIUnavailable}
		}), want: []Action{RemoveOld{Target: one}}},
		{name: "it failed just now", set: owed(func(s *scene, r *Removal) { r.RetryAt = s.now.Add(time.Second) }),
			reason: GraceRunning, until: time.Second},
		{name: "it failed just now, and nothing else is waited for", set: owed(func(s *scene, r *Removal) {
			s.g(1).State, r.RetryAt = Gone, s.now.Add(time.Second)
			s.unlist(101)
		}), reason: OldVersionsLeft, until: time.Second},
		{name: "the target is to be delivered first", set: owed(func(s *scene, r *Removal) {
			s.behind()
			rec := s.rec.Targets[one]
			rec.Removal, rec.RetryAt = r, s.now.Add(time.Minute)
			s.rec.Targets[one] = rec
		}), reason: TargetOlder, until: time.Minute},
	})
}

func TestRemovalTransitions(t *testing.T) {
	s := newScene()
	always := func(string, *Generation) bool { return true }
	rec := s.rec.clone()
	rec.oweRemoval(1, always, s.now)
	if rec.Targets[one].Removal != nil {
		t.Error("owed for a token that lives")
	}
	rec.move(Move{Generation: 1, To: Observing, Reason: DeadAlready}, s.now)
	rec.oweRemoval(1, func(key string, _ *Generation) bool { return key == two }, s.now)
	if rec.Targets[one].Removal != nil || rec.Targets[two].Removal == nil {
		t.Errorf("owed: %+v and %+v, want the second alone", rec.Targets[one].Removal, rec.Targets[two].Removal)
	}
	before := rec.Targets[two].Removal
	for attempts, wait := range []time.Duration{0, time.Minute} {
		rec.removeFailed(two, TargetUnreachable, wait, s.now)
		got := rec.Targets[two].Removal
		if got.Attempts != 1 || got.Reason != TargetUnreachable || !got.RetryAt.After(s.now) {
			t.Errorf("failure %d: %+v", attempts+1, got)
		}
	}
	if before.Attempts != 0 {
		t.Error("a record that was handed out before was changed")
	}
	if e := rec.removedOld(two, 3); rec.Targets[two].Removal != nil || e.Detail != "3 versions" || e.Act != ActRemovedOld {
		t.Errorf("%+v, %+v", rec.Targets[two].Removal, e)
	}
}
