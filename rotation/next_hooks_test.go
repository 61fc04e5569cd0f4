package rotation

import (
	"testing"
	"time"
)

// owing: a hook is declared, and owed at target one for g2.
func owing(required bool, set func(s *scene, o *OwedHook)) func(*scene) {
	return func(s *scene) {
		s.pol.OnDelivery = []HookPolicy{{Name: "reload", Required: required, Timeout: time.Minute}}
		s.obs.Hooks = map[HookRun]HookSeen{}
		o := OwedHook{Hook: "reload", Generation: 2, Since: s.now.Add(-time.Hour), Revision: 5}
		if set != nil {
			set(s, &o)
		}
		t := s.rec.Targets[one]
		t.Hooks = []OwedHook{o}
		s.rec.Targets[one] = t
	}
}

var reloadTwo = HookRun{Hook: "reload", Target: one, Generation: 2}

// since: this process runs it, begun at that revision of the record.
func (s *scene) runs(run HookRun, seen HookSeen) {
	seen.Until = s.now.Add(time.Minute)
	s.obs.Hooks[run] = seen
}

func TestNextTellsOthers(t *testing.T) {
	ask(t, []question{
		{name: "it is owed", set: owing(true, nil), want: []Action{RunHook{Run: reloadTwo}}},
		{name: "it runs", set: owing(true, func(s *scene, _ *OwedHook) { s.runs(reloadTwo, HookSeen{Revision: 6}) }),
			reason: GraceRunning, until: time.Minute},
		{name: "it runs for an older token", set: owing(true, func(s *scene, _ *OwedHook) {
			s.runs(HookRun{Hook: "reload", Target: one, Generation: 1}, HookSeen{Revision: 6})
		}), until: time.Minute},
		{name: "it runs for another target", set: owing(true, func(s *scene, _ *OwedHook) {
			s.runs(HookRun{Hook: "reload", Target: two, Generation: 2}, HookSeen{Revision: 6})
		}), want: []Action{RunHook{Run: reloadTwo}}},
		{name: "it succeeded", set: owing(true, func(s *scene, _ *OwedHook) { s.runs(reloadTwo, HookSeen{Revision: 6, Ended: true}) }),
			want: []Action{Told{Run: reloadTwo}}},
		{name: "it succeeded before the token was delivered again", set: owing(true, func(s *scene, o *OwedHook) {
			o.Revision = 6
			s.runs(reloadTwo, HookSeen{Revision: 6, Ended: true})
		}), want: []Action{RunHook{Run: reloadTwo}}},
		{name: "it failed", set: owing(true, func(s *scene, o *OwedHook) {
			o.Attempts = 99
			s.runs(reloadTwo, HookSeen{Revision: 6, Ended: true, Failed: true})
		}), want: []Action{Told{Run: reloadTwo, Failed: true}}},
		{name: "it failed too often, and nothing requires it", set: owing(false, func(s *scene, o *OwedHook) {
			o.Attempts = maxTold - 1
			s.runs(reloadTwo, HookSeen{Revision: 6, Ended: true, Failed: true})
		}), want: []Action{Told{Run: reloadTwo, Failed: true, GiveUp: true}}},
		{name: "it failed just now", set: owing(true, func(s *scene, o *OwedHook) { o.Attempts, o.RetryAt = 1, s.now.Add(time.Second) }),
			until: time.Second},
		{name: "it failed by a clock that was ahead", set: owing(true, func(s *scene, o *OwedHook) { o.Attempts, o.RetryAt = 1, s.now.Add(Day) }),
			want: []Action{RunHook{Run: reloadTwo}}},
		{name: "nothing can be run here", set: owing(true, func(s *scene, _ *OwedHook) { s.obs.Mute = true }), reason: GraceRunning},
		{name: "an operator paused it", set: owing(true, func(s *scene, _ *OwedHook) { s.obs.Requests = []Request{{ID: 1, Kind: RequestPause, Slot: s.pol.Slot}} }),
			reason: Paused},
		{name: "it left the declaration", set: owing(true, func(s *scene, _ *OwedHook) { s.pol.OnDelivery = nil }), reason: GraceRunning},
		{name: "after a revocation", set: func(s *scene) {
			s.g(1).State, s.g(1).RevokedAt = Observing, s.now
			s.listed(101).Active = false
			s.pol.OnRevocation = []HookPolicy{{Name: "tell", Timeout: time.Minute}}
			s.g(1).Hooks = []OwedHook{{Hook: "tell", Generation: 1}}
		}, want: []Action{RunHook{Run: HookRun{Hook: "tell", Generation: 1}}}},
	})
}

func TestNextHoldsForARequiredHook(t *testing.T) {
	later := func(s *scene, o *OwedHook) {
		s.over()
		o.Attempts, o.RetryAt = 1, s.now.Add(time.Second)
	}
	expired := func(s *scene, o *OwedHook) { later(s, o); s.listed(101).Expires = s.now }
	ask(t, []question{
		{name: "required", set: owing(true, later), reason: HookRequired, until: time.Second},
		{name: "not required", set: owing(false, later), want: []Action{Revoke{Generation: 1}}},
		{name: "required, and what it holds has expired", set: owing(true, expired), want: []Action{Revoke{Generation: 1, Expired: true}}},
		{name: "at a target that left the declaration", set: owing(true, func(s *scene, o *OwedHook) {
			later(s, o)
			s.pol.Targets = s.pol.Targets[1:]
		}), want: []Action{Forget{Target: one}}},
		{name: "and an emergency condemned it", set: owing(true, func(s *scene, o *OwedHook) {
			later(s, o)
			s.rec.Emergency = &Emergency{Requests: []int64{1}, At: s.now, Deadline: s.now.Add(time.Minute), Generation: 2}
			s.g(1).Condemned = true
		}), want: []Action{Revoke{Generation: 1, Condemned: true}}},
	})
}

// TestOwedHooks: what makes them owed, and what no longer.
func TestOwedHooks(t *testing.T) {
	s := newScene()
	s.pol.OnDelivery, s.pol.OnRevocation = []HookPolicy{{Name: "a"}, {Name: "b"}}, []HookPolicy{{Name: "c"}}
	owed := func(before, after TargetRecord) int {
		rec := s.rec.clone()
		rec.Targets[one] = after
		rec.oweDelivery(one, before, &s.pol, s.now)
		return len(rec.Targets[one].Hooks)
	}
	for _, test := range []struct {
		name          string
		before, after TargetRecord
		want          int
	}{
		{"delivered", TargetRecord{State: Behind, Serves: 1}, TargetRecord{State: InStep, Serves: 2}, 2},
		{"seen for the first time", TargetRecord{}, TargetRecord{State: InStep, Serves: 2}, 2},
		{"healed", TargetRecord{State: Behind, Serves: 2}, TargetRecord{State: InStep, Serves: 2}, 2},
		{"a late write of a newer one, not the current", TargetRecord{State: Behind, Serves: 1}, TargetRecord{State: Behind, Serves: 2}, 2},
		{"the same as before", TargetRecord{State: InStep, Serves: 2}, TargetRecord{State: InStep, Serves: 2}, 0},
		{"rolled back", TargetRecord{State: InStep, Serves: 2}, TargetRecord{State: Behind, Serves: 1}, 0},
	} {
		if got := owed(test.before, test.after); got != test.want {
			t.Errorf("%s: %d hooks are owed, want %d", test.name, got, test.want)
		}
	}
	rec := s.rec.clone()
	rec.revoked(1, Retired, s.now)
	rec.oweRevocation(1, &s.pol, s.now)
	if g := rec.generation(1); len(g.Hooks) != 1 || g.Hooks[0].Revision != rec.Revision {
		t.Errorf("after the revocation: %+v", g.Hooks)
	}
	failed := Told{Run: HookRun{Hook: "c", Generation: 1}, Failed: true}
	if e := rec.told(failed, s.now); e.Act != ActHookFailed || e.Reason != HookFailed || rec.generation(1).Hooks[0].Attempts != 1 {
		t.Errorf("after a failure: %+v, %+v", e, rec.generation(1).Hooks)
	}
	rec.retryHooks()
	if o := rec.generation(1).Hooks[0]; !o.RetryAt.IsZero() || o.Attempts != 1 {
		t.Errorf("after a resume: %+v", o)
	}
	rec.restored(1, Day, s.now)
	if g := rec.generation(1); g.Hooks != nil {
		t.Errorf("after the restore: %+v", g.Hooks)
	}
}
