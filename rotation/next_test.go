package rotation

import (
	"testing"
	"time"
)

func label(number uint64) string { return Label("production", "acme", number) }

func TestNextAtRest(t *testing.T) {
	ask(t, []question{
		{name: "in step, a token in its grace", set: func(*scene) {}, reason: GraceRunning},
		{name: "nothing retired", set: func(s *scene) { s.g(1).State = Gone; s.unlist(101) }, reason: AtRest},
		{name: "no list yet", set: func(s *scene) { s.obs.Tokens = nil },
			want: []Action{LookTokens{After: newScene().now.Add(-6 * time.Hour)}}},
		{name: "a list too old for the sweep", set: func(s *scene) { s.obs.Tokens.At = s.now.Add(-7 * time.Hour) },
			want: []Action{LookTokens{After: newScene().now.Add(-6 * time.Hour)}}},
		{name: "no account yet", set: func(s *scene) { s.obs.Account = nil }, want: []Action{EnsureAccount{}}},
		{name: "a target not read for too long", set: func(s *scene) {
			delete(s.obs.Targets, one)
			s.obs.Checked[one] = s.now.Add(-time.Hour)
		}, want: []Action{Read{Target: one}}},
		{name: "a target read lately", set: func(s *scene) { delete(s.obs.Targets, one) }, reason: GraceRunning},
		{name: "a target out of reach waits for its own time", set: func(s *scene) {
			s.obs.Targets[one] = TargetSeen{At: s.now, Failed: TargetUnreachable, RetryAt: s.now.Add(7 * time.Second)}
		}, reason: TargetUnreachable, until: 7 * time.Second},
	})
}

func TestNextHoldsItsCallsWhileTheAPIIsHeld(t *testing.T) {
	held := func(s *scene) {
		s.obs.Held = Held{Until: s.now.Add(time.Minute), Reason: CredentialRefused}
	}
	both := func(set func(*scene)) func(*scene) { return func(s *scene) { held(s); set(s) } }
	ask(t, []question{
		{name: "a list", set: both(func(s *scene) { s.obs.Tokens = nil }), reason: CredentialRefused, until: time.Minute},
		{name: "the account", set: both(func(s *scene) { s.obs.Account = nil }), reason: CredentialRefused, until: time.Minute},
		{name: "a proof", set: both(func(s *scene) {
			s.behind()
			s.obs.Found[2] = AtHand
			delete(s.obs.Proofs, 2)
		}), reason: CredentialRefused, until: time.Minute},
		{name: "an issue", set: both(func(s *scene) {
			s.rec.Intent = &Intent{Generation: 3, Label: label(3), Process: "this"}
		}), reason: CredentialRefused, until: time.Minute},
		{name: "a revocation", set: both((*scene).over), reason: CredentialRefused, until: time.Minute},
		{name: "not a delivery", set: both(func(s *scene) {
			s.behind()
			s.obs.Found[2] = AtHand
		}), want: []Action{Deliver{Target: one}}},
		{name: "not the reading of a target", set: both(func(s *scene) {
			delete(s.obs.Targets, one)
			s.obs.Checked[one] = time.Time{}
		}), want: []Action{Read{Target: one}}},
	})
}

// TestRuleBackOffHoldsNoRequestAndNoDeadToken: also that a third issue without
// a success between is held whatever asks for it.
func TestRuleBackOffHoldsNoRequestAndNoDeadToken(t *testing.T) {
	held := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.rec.Attempts, s.rec.RetryAt = 2, s.now.Add(time.Minute)
			set(s)
		}
	}
	third := func(set func(*scene)) func(*scene) {
		return func(s *scene) { held(set)(s); s.rec.Attempts = patience }
	}
	intend := func(why Reason, request int64) []Action {
		return []Action{Intend{Generation: 3, Label: label(3), Reason: why, Request: request}}
	}
	lost := func(why Reason) func(*scene) { return func(s *scene) { s.rec.Lost = why } }
	aged := func(s *scene) { s.rec.DueAt = s.now }
	never := func(s *scene) { s.rec.Current = 0; s.g(2).State = Gone; s.unlist(102); s.gone() }
	ask(t, []question{
		{name: "a request", set: held((*scene).due), want: intend(Requested, 1)},
		{name: "a token that is gone", set: held(lost(TokenGone)), want: intend(TokenGone, 0)},
		{name: "a token that was revoked", set: held(lost(RevokedByOthers)), want: intend(RevokedByOthers, 0)},
		{name: "a value that is lost", set: held(lost(ValueLost)), want: intend(ValueLost, 0)},
		{name: "a token that expires", set: held(func(s *scene) { s.rec.DueAt, s.g(2).Expires = s.now.Add(-Day), s.now.Add(time.Hour) }), want: intend(Expiring, 0)},
		{name: "a burnt label", set: held(func(s *scene) { s.rec.Again = Age }), want: intend(Age, 0)},
		{name: "age is held", set: held(aged), until: time.Minute, reason: Age},
		{name: "a first issue is held", set: held(never), reason: NeverIssued},
		{name: "another declaration is held", set: held(func(s *scene) { s.pol.Schedule.Lifetime = Day }), reason: DeclarationChanged},
		{name: "age, when the back-off is over", set: func(s *scene) { aged(s); s.rec.RetryAt = s.now }, want: intend(Age, 0)},
		{name: "the third request in a row is held", set: third((*scene).due), reason: Requested},
		{name: "the third lost token in a row is held", set: third(lost(ValueLost)), reason: ValueLost},
		{name: "the third one when its back-off is over", set: func(s *scene) {
			third((*scene).due)(s)
			s.rec.RetryAt = s.now
		}, want: intend(Requested, 1)},
	})
}

// gone: the targets are empty, as before a first delivery.
func (s *scene) gone() {
	for _, key := range []string{one, two} {
		delete(s.obs.Targets, key)
		s.rec.Targets[key] = TargetRecord{State: Behind, Reason: TargetNew}
	}
	s.g(1).State = Waiting
}

func TestNextDueByAChain(t *testing.T) {
	why := func(set func(*scene)) (Reason, bool) {
		s := newScene()
		set(s)
		return due(&s.rec, &s.obs, &s.pol, s.now)
	}
	asked := func(days int) func(*scene) { return func(s *scene) { s.g(2).Days = &days } }
	for _, tt := range []struct {
		name   string
		set    func(s *scene)
		want   Reason
		urgent bool
	}{
		{"nothing", func(*scene) {}, "", false},
		{"the request comes first", func(s *scene) { s.due(); s.rec.Lost = ValueLost }, Requested, true},
		{"a request that was handled", func(s *scene) { s.due(); s.rec.Handled = 1 }, "", false},
		{"another kind of request", func(s *scene) { s.due(); s.obs.Requests[0].Kind = RequestResume }, "", false},
		{"never issued", func(s *scene) { s.rec.Current = 0 }, NeverIssued, false},
		{"lost comes before age", func(s *scene) { s.rec.Lost = TokenGone; s.rec.DueAt = s.now }, TokenGone, true},
		{"age", func(s *scene) { s.rec.DueAt = s.now }, Age, false},
		{"a moment before", func(s *scene) { s.rec.DueAt = s.now.Add(1) }, "", false},
		{"every is shorter now", func(s *scene) { s.pol.Schedule.Every = Day }, Age, false},
		{"every is never now, the drawn time stands", func(s *scene) { s.pol.Schedule.Every = 0; s.rec.DueAt = s.now }, Age, false},
		{"half of what is left after the planned time", func(s *scene) {
			s.rec.DueAt, s.g(2).Expires = s.now.Add(-2*Day), s.now.Add(2*Day)
		}, Expiring, true},
		{"a moment before that", func(s *scene) {
			s.rec.DueAt, s.g(2).Expires = s.now.Add(-2*Day), s.now.Add(2*Day+2)
		}, Age, false},
		{"expired", func(s *scene) { s.g(2).Expires = s.now }, Expiring, true},
		{"never expires", func(s *scene) { s.g(2).Expires = time.Time{}; s.pol.Schedule.Lifetime = 0 }, "", false},
		{"lives longer than declared", func(s *scene) { s.pol.Schedule.Lifetime = 20 * Day }, DeclarationChanged, false},
		{"lives a day longer than declared", func(s *scene) { s.pol.Schedule.Lifetime = 29 * Day }, "", false},
		{"lives for ever and shouldn't", func(s *scene) { s.g(2).Expires = time.Time{} }, DeclarationChanged, false},
		{"a longer life was asked for", asked(60), DeclarationChanged, false},
		{"no end was asked for", asked(0), DeclarationChanged, false},
		{"the API gave it a longer life than was asked for", func(s *scene) { asked(30)(s); s.g(2).Expires = s.now.Add(300 * Day) }, "", false},
		{"the API gave it a life without end", func(s *scene) { asked(30)(s); s.g(2).Expires = time.Time{} }, "", false},
		{"a shorter life was asked for", asked(7), "", false},
		{"lives shorter than declared", func(s *scene) { s.pol.Schedule.Lifetime = 300 * Day }, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, urgent := why(tt.set); got != tt.want || urgent != tt.urgent {
				t.Errorf("due: %q, urgent %v; want %q, %v", got, urgent, tt.want, tt.urgent)
			}
		})
	}
}

func TestNextIssues(t *testing.T) {
	intent := func(s *scene) *Intent {
		s.rec.Intent = &Intent{Generation: 3, Label: label(3), Reason: Age, Process: "this", At: s.now.Add(-time.Hour)}
		s.rec.High = 3
		return s.rec.Intent
	}
	listed := func(s *scene) {
		s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 103, Label: label(3), Active: true})
	}
	refused := func(s *scene) { s.rec.Blocked, s.rec.Again, s.rec.RetryAt = IssueRefused, Age, s.now }
	ask(t, []question{
		{name: "an intent is posted", set: func(s *scene) { intent(s) }, want: []Action{Issue{UserID: 7}}},
		{name: "its back-off first", set: func(s *scene) { intent(s).RetryAt = s.now.Add(time.Second) }, reason: BackOff, until: time.Second},
		{name: "of an earlier process, with a list from after it", set: func(s *scene) { intent(s).Process = "earlier" },
			want: []Action{Issue{UserID: 7}}},
		{name: "of an earlier process, with a list from before it", set: func(s *scene) {
			intent(s).Process = "earlier"
			s.obs.Tokens.At = s.now.Add(-2 * time.Hour)
		}, want: []Action{LookTokens{After: newScene().now.Add(-time.Hour)}}},
		{name: "of an earlier process, journaled by a clock that was ahead", set: func(s *scene) {
			intent(s).Process = "earlier"
			s.rec.Intent.At = s.now.Add(Day)
		}, want: []Action{Issue{UserID: 7}}},
		{name: "posted before by this process, with a list from before it", set: func(s *scene) {
			intent(s)
			s.obs.Posted[3] = s.now
			s.obs.Tokens.At = s.now.Add(-time.Second)
		}, want: []Action{LookTokens{After: newScene().now}}},
		{name: "listed, of an earlier process", set: func(s *scene) { intent(s).Process = "earlier"; listed(s) },
			want: []Action{Burn{TokenID: 103, Claimed: true}}},
		{name: "listed, posted by this process", set: func(s *scene) { intent(s); s.obs.Posted[3] = s.now.Add(-time.Second); listed(s) },
			want: []Action{Burn{TokenID: 103, Claimed: true}}},
		{name: "listed, posted by neither", set: func(s *scene) { intent(s); listed(s) },
			want: []Action{Burn{TokenID: 103, Claimed: false}}},
		{name: "a delivery comes first", set: func(s *scene) { intent(s); s.behind(); s.obs.Found[2] = AtHand },
			want: []Action{Deliver{Target: one}}},
		{name: "blocked", set: func(s *scene) { intent(s); s.rec.Blocked = RevokedByOthers }, reason: RevokedByOthers},
		{name: "refused just now", set: func(s *scene) { refused(s); s.rec.RetryAt = s.now.Add(time.Minute) }, reason: IssueRefused, until: time.Minute},
		{name: "refused some time ago", set: refused, want: []Action{Intend{Generation: 3, Label: label(3), Reason: Age}}},
		{name: "the account is blocked", set: func(s *scene) { intent(s); s.obs.Account.Blocked = AccountGone }, reason: AccountGone},
		{name: "five tokens live", set: func(s *scene) { s.due(); s.live(5) }, reason: TooManyLive},
		{name: "four tokens live", set: func(s *scene) { s.due(); s.live(4) },
			want: []Action{Intend{Generation: 5, Label: label(5), Reason: Requested, Request: 1}}},
		{name: "no preflight yet", set: func(s *scene) { s.due(); delete(s.obs.Checks, two) }, want: []Action{Check{Target: two}}},
		{name: "one target is ready", set: func(s *scene) { s.due(); s.obs.Checks[one] = TargetDenied },
			want: []Action{Intend{Generation: 3, Label: label(3), Reason: Requested, Request: 1}}},
		{name: "no target is ready", set: func(s *scene) { s.due(); s.obs.Checks[one], s.obs.Checks[two] = TargetDenied, TargetDenied },
			reason: NoTargetReady, until: time.Minute},
		{name: "what is seen comes first: it may raise the number", set: func(s *scene) { s.due(); s.stands(one, tokenOne()) },
			want: []Action{See{Target: one, Serving: Serving{Kind: Ours, Generation: 1}}}},
	})
}

// live makes n tokens of the slot live, the last one current.
func (s *scene) live(n uint64) {
	for number := uint64(3); number <= n; number++ {
		g := Generation{Number: number, Label: label(number), TokenID: 100 + int64(number), State: Unclaimed}
		s.rec.Generations = append(s.rec.Generations, g)
		s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: g.TokenID, Label: g.Label, Active: true})
		s.rec.High = number
	}
}
