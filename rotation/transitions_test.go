package rotation

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

// transition is a named transition, the state it starts from, and what it leaves
// behind.
type transition struct {
	name string
	set  func(s *scene)
	do   func(r *Record) Event
	act  Act
	want func(r *Record) bool
}

// try tries transitions. None may change the record it was cloned from.
func try(t *testing.T, transitions []transition) {
	t.Helper()
	for _, tt := range transitions {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.set(s)
			before := asJSON(t, s.rec)
			rec := s.rec.clone()
			event := tt.do(&rec)
			if event.Act != tt.act {
				t.Errorf("told as %s, want %s", event.Act, tt.act)
			}
			if !tt.want(&rec) {
				t.Errorf("left behind: %s", asJSON(t, rec))
			}
			if after := asJSON(t, s.rec); after != before {
				t.Errorf("it changed the record that it was cloned from:\n%s\n%s", before, after)
			}
		})
	}
}

// laterOn is when the transitions take place.
func laterOn() time.Time { return worldStart.Add(20 * Day) }

func withIntent(s *scene) {
	s.rec.Intent, s.rec.High = &Intent{Generation: 3, Label: label(3), Reason: Age, At: laterOn(), Process: "p"}, 3
}

func tokenThree() Issued {
	return Issued{ID: 103, Value: testToken(worldAccount, 103), Expires: laterOn().Add(30 * Day)}
}

func TestIssuingTransitions(t *testing.T) {
	later := laterOn()
	token := tokenThree()
	try(t, []transition{
		{"intend", func(*scene) {}, func(r *Record) Event {
			return r.intend(Intend{Generation: 3, Label: label(3), Reason: Age, Request: 4}, "p", later)
		}, ActIntended, func(r *Record) bool {
			return r.Intent.Generation == 3 && r.Intent.At.Equal(later) && r.Intent.Process == "p" && r.High == 3 &&
				r.Handled == 4 && r.Attempts == 1 && r.RetryAt.After(later) && r.Again == ""
		}},
		{"issued", withIntent, func(r *Record) Event { return r.issued(token, schedule(), later) }, ActIssued, func(r *Record) bool {
			g := r.current()
			return r.Current == 3 && r.Intent == nil && g.State == Live && g.Claimed && g.TokenID == 103 &&
				g.Fingerprint == token.Value.Fingerprint() && g.IssuedAt.Equal(later) && g.Expires.Equal(token.Expires) &&
				r.generation(2).State == Waiting && r.generation(2).Reason == Superseded && r.generation(1).State == Grace &&
				r.Targets[one].State == Behind && r.Targets[one].Serves == 2 && r.DueAt.After(later) && r.Lost == ""
		}},
		{"issued after an unclaimed one", func(s *scene) { withIntent(s); s.g(2).Claimed = false }, func(r *Record) Event {
			return r.issued(token, schedule(), later)
		}, ActIssued, func(r *Record) bool { return r.generation(2).State == Unclaimed }},
		{"issued wakes what waits for it", func(s *scene) {
			withIntent(s)
			s.rec.Targets[one] = TargetRecord{State: Foreign, Reason: TargetHoldsOther}
			s.rec.Targets[two] = TargetRecord{State: Foreign, Reason: TargetHoldsForeign}
		}, func(r *Record) Event { return r.issued(token, schedule(), later) }, ActIssued, func(r *Record) bool {
			return r.Targets[one].State == Behind && r.Targets[two].State == Foreign
		}},
		{"issued under a number that metadata told of", func(s *scene) {
			withIntent(s)
			s.rec.Generations = append(s.rec.Generations, Generation{Number: 3, TokenID: 900, State: Gone})
		}, func(r *Record) Event { return r.issued(token, schedule(), later) }, ActIssued, func(r *Record) bool {
			return len(r.Generations) == 3 && r.current().TokenID == 103
		}},
		{"burn a ghost", withIntent, func(r *Record) Event { return r.burn(Burn{TokenID: 103, Claimed: true}) }, ActBurnt, func(r *Record) bool {
			g := r.generation(3)
			return r.Intent == nil && r.Again == Age && g.State == Waiting && g.Claimed && g.Reason == Ghost && g.Label == label(3) && r.Current == 2
		}},
		{"burn what is others'", withIntent, func(r *Record) Event { return r.burn(Burn{}) }, ActBurnt, func(r *Record) bool {
			g := r.generation(3)
			return g.State == Unclaimed && !g.Claimed && g.TokenID == 0
		}},
		{"the order is refused", withIntent, func(r *Record) Event { return r.issueFailed(IssueRefused, later) }, ActIssueFailed, func(r *Record) bool {
			return r.Intent == nil && r.Blocked == IssueRefused && r.Again == Age && r.High == 3 && r.RetryAt.Equal(later)
		}},
		{"the order is postponed", withIntent, func(r *Record) Event { return r.postponeIssue(OutcomeUnknown, 0, later) }, ActIssueFailed,
			func(r *Record) bool { return r.Intent.Attempts == 1 && r.Intent.RetryAt.After(later) }},
		{"the API asks to wait: no attempt", withIntent, func(r *Record) Event { return r.postponeIssue(APIThrottled, time.Hour, later) },
			ActIssueFailed, func(r *Record) bool { return r.Intent.Attempts == 0 && r.Intent.RetryAt.Equal(later.Add(time.Hour)) }},
	})
}

func TestDeliveringTransitions(t *testing.T) {
	later := laterOn()
	try(t, []transition{
		{"proved", func(s *scene) { s.g(2).Attempts = 3 }, func(r *Record) Event { return r.proved(2, later) }, ActProved, func(r *Record) bool {
			return r.current().ProvedAt.Equal(later) && r.current().Attempts == 0
		}},
		{"not proved", func(*scene) {}, func(r *Record) Event { return r.unprove(Unprove{Generation: 2}, later) }, ActNotProved, func(r *Record) bool {
			return r.current().Attempts == 1 && r.current().RetryAt.After(later)
		}},
		{"lost", func(*scene) {}, func(r *Record) Event { return r.lose(Lose{Reason: ValueLost}) }, ActLost, func(r *Record) bool { return r.Lost == ValueLost }},
		{"sending", func(*scene) {}, func(r *Record) Event { return r.sending(one, "f") }, ActSending, func(r *Record) bool {
			return cmp.Equal(r.Targets[one].Payloads, []Payload{{Fingerprint: "f", Generation: 2}}) && r.Targets[one].State == InStep
		}},
		{"delivered", (*scene).behind, func(r *Record) Event { return r.delivered(one, later) }, ActDelivered, func(r *Record) bool {
			return r.Targets[one].State == InStep && r.Targets[one].Serves == 2 && r.Targets[one].SeenAt.Equal(later)
		}},
		{"delivered to the last one", func(s *scene) { s.behind(); s.rec.Attempts = 3 }, func(r *Record) Event { return r.delivered(one, later) },
			ActDelivered, func(r *Record) bool { return r.Attempts == 0 && r.RetryAt.IsZero() }},
		{"delivered, and another is behind", func(s *scene) {
			s.behind()
			s.rec.Attempts, s.rec.Targets[two] = 3, TargetRecord{State: Behind}
		}, func(r *Record) Event { return r.delivered(one, later) }, ActDelivered, func(r *Record) bool { return r.Attempts == 3 }},
		{"not delivered", (*scene).behind, func(r *Record) Event { return r.deliverFailed(one, TargetDenied, 0, later) }, ActDeliverFailed,
			func(r *Record) bool {
				target := r.Targets[one]
				return target.Attempts == 1 && target.Reason == TargetDenied && target.RetryAt.After(later)
			}},
		{"a store asks to wait: no attempt", (*scene).behind, func(r *Record) Event {
			return r.deliverFailed(one, TargetThrottled, time.Hour, later)
		}, ActDeliverFailed, func(r *Record) bool {
			return r.Targets[one].Attempts == 0 && r.Targets[one].RetryAt.Equal(later.Add(time.Hour))
		}},
		{"forgot", func(*scene) {}, func(r *Record) Event { return r.forget(Forget{Target: two}) }, ActForgotTarget, func(r *Record) bool { return len(r.Targets) == 1 }},
		{"seen with metadata of a listed one", func(s *scene) { s.g(1).Fingerprint = "" }, func(r *Record) Event {
			return r.see(See{Target: one, Serving: Serving{Kind: Ours, Generation: 1,
				Meta: backends.Meta{Generation: 1, TokenID: 101, Token: "f"}}}, TargetPolicy{Key: one}, later)
		}, ActSeen, func(r *Record) bool { return r.generation(1).Fingerprint == "f" }},
		{"seen with metadata of another token of that number", func(s *scene) { s.g(1).Fingerprint = "" }, func(r *Record) Event {
			return r.see(See{Target: one, Serving: Serving{Kind: Ours, Generation: 1,
				Meta: backends.Meta{Generation: 1, TokenID: 900, Token: "f"}}}, TargetPolicy{Key: one}, later)
		}, ActSeen, func(r *Record) bool { return r.generation(1).Fingerprint == "" }},
		{"seen with metadata of a deleted one", func(*scene) {}, func(r *Record) Event {
			return r.see(See{Target: one, Serving: Serving{Kind: Ours, Generation: 7,
				Meta: backends.Meta{Generation: 7, TokenID: 107, Token: "f"}}}, TargetPolicy{Key: one}, later)
		}, ActSeen, func(r *Record) bool {
			g := r.generation(7)
			return r.High == 7 && g.State == Gone && g.Fingerprint == "f" && r.Targets[one].Serves == 7 && r.Targets[one].State == Behind
		}},
	})
}

func TestRetiringTransitions(t *testing.T) {
	later := laterOn()
	try(t, []transition{
		{"missing", func(*scene) {}, func(r *Record) Event { return r.miss(Miss{Generation: 1, At: later}) }, ActMissing, func(r *Record) bool {
			return r.generation(1).MissingAt.Equal(later)
		}},
		{"into the grace", func(s *scene) { s.g(1).Attempts = 4 }, func(r *Record) Event {
			return r.move(Move{Generation: 1, To: Grace, Reason: GraceRunning, RevokeAfter: later.Add(Day)}, later)
		}, ActMoved, func(r *Record) bool {
			return r.generation(1).RevokeAfter.Equal(later.Add(Day)) && r.generation(1).Attempts == 0
		}},
		{"the grace is never shortened", func(s *scene) { s.g(1).RevokeAfter = later.Add(Day) }, func(r *Record) Event {
			return r.move(Move{Generation: 1, To: Grace, RevokeAfter: later}, later)
		}, ActMoved, func(r *Record) bool { return r.generation(1).RevokeAfter.Equal(later.Add(Day)) }},
		{"revoking", func(*scene) {}, func(r *Record) Event { return r.move(Move{Generation: 1, To: Revoking}, later) }, ActRevoking,
			func(r *Record) bool { return r.generation(1).State == Revoking && r.generation(1).RevokedAt.IsZero() }},
		{"revoked", func(*scene) {}, func(r *Record) Event { return r.revoked(1, Retired, later) }, ActRevoked, func(r *Record) bool {
			return r.generation(1).State == Observing && r.generation(1).RevokedAt.Equal(later)
		}},
		{"deleted", func(*scene) {}, func(r *Record) Event { return r.deleted(1, later) }, ActDeleted, func(r *Record) bool {
			g := r.generation(1)
			return g.State == Gone && g.GoneAt.Equal(later) && g.Fingerprint != ""
		}},
		{"not retired", func(*scene) {}, func(r *Record) Event { return r.retireFailed(1, ActRevokeFailed, APIUnavailable, later) }, ActRevokeFailed,
			func(r *Record) bool { return r.generation(1).Attempts == 1 && r.generation(1).RetryAt.After(later) }},
		{"found", func(*scene) {}, func(r *Record) Event { return r.discover(Token{ID: 105, Label: label(5), Expires: later}, 5) }, ActFound,
			func(r *Record) bool {
				g := r.generation(5)
				return g.State == Unclaimed && !g.Claimed && g.TokenID == 105 && g.Expires.Equal(later) && r.High == 5
			}},
	})
}

func TestTransitionsThatAPersonAsksFor(t *testing.T) {
	try(t, []transition{
		{"blocked", func(*scene) {}, func(r *Record) Event { return r.block(Block{Reason: RevokedByOthers}) }, ActBlocked,
			func(r *Record) bool { return r.Blocked == RevokedByOthers }},
		{"resumed", func(s *scene) { s.rec.Blocked = RevokedByOthers; s.behind() }, func(r *Record) Event { return r.resume(Resume{Request: 8}) },
			ActResumed, func(r *Record) bool {
				return r.Blocked == "" && r.Lost == RevokedByOthers && r.Handled == 8 && r.Again == ""
			}},
		{"resumed with a request to rotate before it", func(s *scene) { s.rec.Blocked = IssueRefused }, func(r *Record) Event {
			return r.resume(Resume{Request: 8, Rotate: true})
		}, ActResumed, func(r *Record) bool { return r.Again == Requested && r.Lost == "" }},
		{"resumed, not adopted", func(s *scene) { s.g(1).State, s.g(1).Claimed = Unclaimed, false }, func(r *Record) Event {
			return r.resume(Resume{Request: 8})
		}, ActResumed, func(r *Record) bool { return r.generation(1).State == Unclaimed && !r.generation(1).Claimed }},
		{"adopted", func(s *scene) { s.g(1).State, s.g(1).Claimed = Unclaimed, false }, func(r *Record) Event {
			return r.resume(Resume{Request: 8, Adopt: true})
		}, ActResumed, func(r *Record) bool { return r.generation(1).State == Waiting && r.generation(1).Claimed }},
	})
}

// schedule is the schedule of testPolicy.
func schedule() Schedule { return testPolicy().Schedule }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGoneGenerationsAreKeptForTheirFingerprints(t *testing.T) {
	var rec Record
	for n := range uint64(200) {
		rec.add(Generation{Number: n + 1, Label: label(n + 1), State: Gone, Fingerprint: testToken("x", int64(n)).Fingerprint()})
	}
	rec.add(Generation{Number: 201, State: Live})
	if len(rec.Generations) != keepGone+1 || rec.Generations[0].Number != 200-keepGone+1 || rec.High != 201 {
		t.Errorf("%d are kept, from g%d; the highest is g%d", len(rec.Generations), rec.Generations[0].Number, rec.High)
	}
	for i := 1; i < len(rec.Generations); i++ {
		if rec.Generations[i-1].Number >= rec.Generations[i].Number {
			t.Errorf("g%d stands before g%d", rec.Generations[i-1].Number, rec.Generations[i].Number)
		}
	}
}

func TestPayloadsAreBounded(t *testing.T) {
	s := newScene()
	for n := range 30 {
		s.rec.sending(one, testToken("x", int64(n%20)).Fingerprint())
	}
	payloads := s.rec.Targets[one].Payloads
	if len(payloads) != keepPayloads || payloads[keepPayloads-1].Fingerprint != testToken("x", 9).Fingerprint() {
		t.Errorf("kept: %v", payloads)
	}
}

func TestRecordSurvivesItsJSON(t *testing.T) {
	s := newScene()
	s.rec.Revision = 0
	var back Record
	if err := json.Unmarshal([]byte(asJSON(t, s.rec)), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.rec, back); diff != "" {
		t.Error(diff)
	}
	if text := asJSON(t, Record{Slot: "s"}); text != fmt.Sprintf("{\n %q: %q,\n %q: 0,\n %q: 0\n}", "slot", "s", "high", "current") {
		t.Errorf("an empty record: %s", text)
	}
}
