package rotation

import (
	"testing"
	"time"
)

// alarmed: an emergency was taken up a second ago, and g2, which leaked, is
// current.
func (s *scene) alarmed(set func(e *Emergency)) {
	s.rec.Emergency = &Emergency{Requests: []int64{1}, At: s.now.Add(-time.Second), Deadline: s.now.Add(29 * time.Second)}
	s.rec.Handled, s.rec.Lost = 1, Leaked
	s.g(1).Condemned, s.g(2).Condemned = true, true
	s.obs.Targets = map[string]TargetSeen{}
	set(s.rec.Emergency)
}

// replacedBy: g3 was issued for it and is served by all, as it was read back.
func (s *scene) replacedBy() {
	s.alarmed(func(e *Emergency) { e.Generation = 3 })
	s.g(2).State = Waiting
	s.rec.Generations = append(s.rec.Generations, Generation{Number: 3, Label: label(3), TokenID: 103, State: Live, Claimed: true,
		Fingerprint: testToken(worldAccount, 103).Fingerprint(), IssuedAt: s.now, Expires: s.now.Add(30 * Day)})
	s.rec.Current, s.rec.High, s.rec.Lost = 3, 3, ""
	for _, key := range []string{one, two} {
		s.rec.Targets[key] = TargetRecord{State: InStep, Reason: TargetServes, Serves: 3}
	}
	s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 103, Label: label(3), Active: true, Expires: s.now.Add(30 * Day)})
	s.obs.Tokens.Patched = true
}

func left(s *scene, state TargetState) {
	s.rec.Targets[two] = TargetRecord{State: state, Reason: TargetUnreachable, Serves: 2, RetryAt: s.now.Add(3 * time.Second)}
}

func condemnedOnes(numbers ...uint64) (all []Action) {
	for _, number := range numbers {
		all = append(all, Revoke{Generation: number, Condemned: true})
	}
	return all
}

func TestNextTakesAnEmergencyUp(t *testing.T) {
	q := Request{ID: 1, Kind: RequestEmergency}
	asked := func(set func(*scene)) func(*scene) {
		return func(s *scene) { s.obs.Requests = append(s.obs.Requests, q); set(s) }
	}
	second := Request{ID: 2, Kind: RequestEmergency}
	ask(t, []question{
		{name: "before anything is looked at", set: asked(func(s *scene) { s.obs.Tokens, s.obs.Account = nil, nil; clear(s.obs.Targets) }),
			want: []Action{Alarm{Request: q}}},
		{name: "on a blocked slot", set: asked(func(s *scene) { s.rec.Blocked = RevokedByOthers }), want: []Action{Alarm{Request: q}}},
		{name: "behind one to rotate", set: func(s *scene) {
			s.obs.Requests = []Request{{ID: 1, Kind: RequestRotate}, second}
		}, want: []Action{Alarm{Request: second, Rotate: true}}},
		{name: "an intent of this process that wasn't posted", set: asked(func(s *scene) {
			s.rec.Intent = &Intent{Generation: 3, Label: label(3), Process: "this"}
		}), want: []Action{Alarm{Request: q}}},
		{name: "an intent that was posted", set: asked(func(s *scene) {
			s.rec.Intent, s.obs.Posted[3] = &Intent{Generation: 3, Label: label(3), Process: "this"}, s.now
		}), want: []Action{Alarm{Request: q, Posted: true}}},
		{name: "an intent of an earlier process", set: asked(func(s *scene) {
			s.rec.Intent = &Intent{Generation: 3, Label: label(3), Process: "that"}
		}), want: []Action{Alarm{Request: q, Posted: true}}},
		{name: "a second one joins", set: func(s *scene) {
			s.alarmed(func(*Emergency) {})
			s.obs.Requests = []Request{q, second}
		}, want: []Action{Alarm{Request: second}}},
		{name: "one of another scope waits", set: func(s *scene) {
			s.alarmed(func(*Emergency) {})
			s.obs.Requests = []Request{q, {ID: 2, Kind: RequestEmergency, TokenID: 7}}
		}, want: []Action{Intend{Generation: 3, Label: label(3), Reason: Leaked}}},
		{name: "the one before is told of first", set: func(s *scene) {
			s.replacedBy()
			s.rec.Emergency.DoneAt, s.rec.Emergency.Outcome = s.now, "revoked"
			s.obs.Requests = []Request{q, second}
		}, want: []Action{CloseRequest{Request: 1, Outcome: "revoked"}}},
	})
}

func TestNextGoesTheRoadOfAnEmergency(t *testing.T) {
	set := func(set func(e *Emergency)) func(*scene) { return func(s *scene) { s.alarmed(set) } }
	with := func(first, then func(*scene)) func(*scene) { return func(s *scene) { first(s); then(s) } }
	intends := []Action{Intend{Generation: 3, Label: label(3), Reason: Leaked}}
	intended := func(s *scene) {
		s.alarmed(func(*Emergency) {})
		s.rec.Intent = &Intent{Generation: 3, Label: label(3), Reason: Leaked, Process: "this", At: s.now}
		s.rec.High = 3
	}
	issues := []Action{Issue{UserID: 7}, Read{Target: one}, Read{Target: two}}
	ask(t, []question{
		{name: "a new token, without a look", set: with(set(func(*Emergency) {}), func(s *scene) { s.obs.Tokens, s.obs.Account = nil, nil }), want: intends},
		{name: "no back-off, no bound", set: with(set(func(*Emergency) {}), func(s *scene) {
			s.rec.Attempts, s.rec.RetryAt = patience-1, s.now.Add(time.Minute)
			for i := range uint64(maxLive) {
				s.rec.Generations = append(s.rec.Generations, Generation{Number: 10 + i, State: Waiting, Claimed: true})
			}
			s.rec.High = 20
		}), want: []Action{Intend{Generation: 21, Label: label(21), Reason: Leaked}}},
		{name: "revoke first", set: set(func(e *Emergency) { e.RevokeFirst = true }), want: condemnedOnes(1, 2)},
		{name: "issued, and the targets read beside", set: intended, want: issues},
		{name: "issued without a list", set: with(intended, func(s *scene) { s.obs.Tokens = nil }), want: issues},
		{name: "the account as the journal has it", set: with(intended, func(s *scene) { s.obs.Account = nil }),
			want: []Action{EnsureAccount{Known: true}}},
		{name: "what was posted is looked for first", set: with(intended, func(s *scene) {
			s.obs.Posted[3], s.obs.Tokens.At = s.now, s.now.Add(-1)
		}), want: []Action{LookTokens{After: newScene().now}}},
		{name: "calls are held", set: with(intended, func(s *scene) {
			s.obs.Held = Held{Until: s.now.Add(time.Minute), Reason: CredentialRefused}
		}), want: issues},
		{name: "the API asked to wait", set: with(intended, func(s *scene) {
			s.obs.Held = Held{Until: s.now.Add(time.Minute), Reason: APIThrottled}
		}), reason: APIThrottled, until: 29 * time.Second},
		{name: "all targets serve the new one", set: (*scene).replacedBy, want: condemnedOnes(1, 2)},
		{name: "also without a list", set: with((*scene).replacedBy, func(s *scene) { s.obs.Tokens = nil }), want: condemnedOnes(1, 2)},
		{name: "a target is left", set: with((*scene).replacedBy, func(s *scene) { left(s, Behind) }),
			reason: TargetUnreachable, until: 3 * time.Second},
		{name: "a target is left until the deadline", set: with((*scene).replacedBy, func(s *scene) {
			left(s, Behind)
			s.rec.Emergency.Deadline = s.now
		}), want: condemnedOnes(1, 2)},
		{name: "a target that holds what isn't ours", set: with((*scene).replacedBy, func(s *scene) { left(s, Foreign) }), want: condemnedOnes(1, 2)},
		{name: "a target that won't take it", set: with((*scene).replacedBy, func(s *scene) { left(s, TargetBlocked) }), want: condemnedOnes(1, 2)},
		{name: "the deadline is over, and nothing could be issued", set: set(func(e *Emergency) { e.Deadline = newScene().now }), want: condemnedOnes(1, 2)},
		{name: "a revocation failed just now", set: with((*scene).replacedBy, func(s *scene) {
			s.g(1).RetryAt = s.now.Add(time.Second)
		}), want: condemnedOnes(2)},
		{name: "what lost our label isn't touched", set: with((*scene).replacedBy, func(s *scene) { s.listed(101).Label = "mine now" }), want: condemnedOnes(2)},
	})
}

func TestNextEndsAnEmergency(t *testing.T) {
	dead := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.replacedBy()
			for _, number := range []uint64{1, 2} {
				s.g(number).State, s.g(number).RevokedAt = Observing, s.now
				s.listed(int64(100 + number)).Active = false
			}
			s.rec.Emergency.Revoked = []RevokedToken{{TokenID: 101, Generation: 1, At: s.now}}
			s.obs.Tokens.Patched = false
			set(s)
		}
	}
	unknown := Token{ID: 104, Label: label(4), Active: true, Created: newScene().now.Add(-Day)}
	ask(t, []question{
		{name: "by a list from after it", set: dead(func(*scene) {}), want: []Action{Finish{}}},
		{name: "not by one that was brought up to date", set: dead(func(s *scene) { s.obs.Tokens.Patched = true }),
			want: []Action{LookTokens{After: newScene().now}}},
		{name: "not by one from before", set: dead(func(s *scene) { s.obs.Tokens.At = s.now.Add(-1) }),
			want: []Action{LookTokens{After: newScene().now}}},
		{name: "a target has its time", set: dead(func(s *scene) { left(s, Foreign) }), reason: EmergencyRunning},
		{name: "a target had its time", set: dead(func(s *scene) { left(s, Foreign); s.rec.Emergency.Deadline = s.now }),
			want: []Action{Finish{Left: 1}}},
		{name: "not with one from before that comes to light", set: dead(func(s *scene) { s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, unknown) }),
			want: []Action{Discover{Token: unknown, Generation: 4}}},
	})
}

func TestNextRevokesTheNamedToken(t *testing.T) {
	foreign := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.rec.Emergency = &Emergency{Requests: []int64{1}, At: s.now, Deadline: s.now.Add(time.Minute), TokenID: 7, Foreign: true}
			s.rec.Handled = 1
			s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 7, Label: "by hand", Active: true})
			set(s)
		}
	}
	ask(t, []question{
		{name: "listed on the account", set: foreign(func(*scene) {}), want: []Action{RevokeForeign{}}},
		{name: "by a list from before", set: foreign(func(s *scene) { s.obs.Tokens.At = s.now.Add(-1) }), want: []Action{LookTokens{After: newScene().now}}},
		{name: "it failed just now", set: foreign(func(s *scene) { s.rec.Emergency.RetryAt = s.now.Add(time.Second) }), until: time.Second},
		{name: "not on the account", set: foreign(func(s *scene) { s.unlist(7) }),
			want: []Action{Finish{Outcome: "the slot's account has no such token; nothing was revoked"}}},
		{name: "revoked before", set: foreign(func(s *scene) { s.listed(7).Active = false }),
			want: []Action{Finish{Outcome: "the token was revoked before"}}},
	})
}

func TestAlarmCondemns(t *testing.T) {
	for name, tt := range map[string]struct {
		q    Request
		set  func(s *scene)
		want map[uint64]bool
		lost Reason
	}{
		"all":              {want: map[uint64]bool{1: true, 2: true}, lost: Leaked},
		"not what is dead": {set: func(s *scene) { s.g(1).State = Observing }, want: map[uint64]bool{2: true}, lost: Leaked},
		"what has run out by a clock that may be wrong": {set: func(s *scene) { s.g(1).Expires = s.now }, want: map[uint64]bool{1: true, 2: true}, lost: Leaked},
		"what is unclaimed":                             {set: func(s *scene) { s.g(1).State, s.g(1).Claimed = Unclaimed, false }, want: map[uint64]bool{1: true, 2: true}, lost: Leaked},
		"one":                                           {q: Request{TokenID: 101}, want: map[uint64]bool{1: true}},
		"the current one":                               {q: Request{TokenID: 102}, want: map[uint64]bool{2: true}, lost: Leaked},
		"none of the slot's tokens":                     {q: Request{TokenID: 7}, want: map[uint64]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.rec.Blocked, s.rec.Attempts = RevokedByOthers, 3
			if tt.set != nil {
				tt.set(s)
			}
			rec := s.rec.clone()
			rec.alarm(Alarm{Request: tt.q}, s.now)
			for _, g := range rec.Generations {
				if before := s.g(g.Number); g.Condemned != tt.want[g.Number] || g.Claimed != before.Claimed || g.State != before.State {
					t.Errorf("g%d: condemned %v, claimed %v, %s", g.Number, g.Condemned, g.Claimed, g.State)
				}
			}
			if rec.Lost != tt.lost || rec.Attempts != 0 || rec.Blocked != "" != (tt.lost == "") {
				t.Errorf("lost %q, attempts %d, blocked %q", rec.Lost, rec.Attempts, rec.Blocked)
			}
			if rec.Emergency.Foreign != (tt.q.TokenID == 7) || !rec.Emergency.Deadline.Equal(s.now.Add(defaultDeadline)) {
				t.Errorf("%+v", rec.Emergency)
			}
			if s.g(1).Condemned || s.rec.Emergency != nil {
				t.Error("the record before was changed")
			}
		})
	}
}

func TestAlarmGivesTheIntentUp(t *testing.T) {
	for _, posted := range []bool{false, true} {
		s := newScene()
		s.rec.Intent, s.rec.High = &Intent{Generation: 3, Label: label(3)}, 3
		s.rec.alarm(Alarm{Request: Request{ID: 1}, Posted: posted}, s.now)
		g := s.rec.generation(3)
		if s.rec.Intent != nil || (g != nil) != posted || g != nil && !(g.Condemned && g.Claimed) {
			t.Errorf("posted %v: intent %+v, g3 %+v", posted, s.rec.Intent, g)
		}
		s.rec.discover(Token{ID: 9, Label: label(4), Created: s.now.Add(-1)}, 4)
		s.rec.discover(Token{ID: 10, Label: label(5), Created: s.now.Add(1)}, 5)
		if !s.rec.generation(4).Condemned || s.rec.generation(5).Condemned {
			t.Error("what comes to light is condemned by its age")
		}
	}
}
