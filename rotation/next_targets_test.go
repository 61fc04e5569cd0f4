package rotation

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// identity is one reading of target one, and whose it is.
type identity struct {
	name string
	set  func(s *scene)
	want Serving
	// looks: what has to be looked at before it can be told.
	looks []Action
	open  bool // it can't be told yet, and nothing is to look at
}

func identify(t *testing.T, identities []identity) {
	t.Helper()
	for _, tt := range identities {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.set(s)
			n := &pass{rec: &s.rec, obs: &s.obs, pol: &s.pol, now: s.now}
			got, known := n.serving(one)
			if wantKnown := tt.looks == nil && !tt.open; known != wantKnown || known && got != tt.want {
				t.Errorf("serves %+v, known %v; want %+v, %v", got, known, tt.want, wantKnown)
			}
			if len(n.looks) != len(tt.looks) || len(n.looks) == 1 && n.looks[0] != tt.looks[0] {
				t.Errorf("looks at %+v, want %+v", n.looks, tt.looks)
			}
		})
	}
}

func TestIdentifyOurs(t *testing.T) {
	other, slot := testToken(worldAccount, 999), testPolicy().Slot
	meta := func(slot string, number uint64, id int64) func(s *scene) {
		return func(s *scene) {
			s.stands(one, other)
			seen := s.obs.Targets[one]
			seen.Reading.Token = secret.Value{} // of a lossy format
			seen.Reading.Meta = backends.Meta{Slot: slot, Generation: number, TokenID: id, Token: other.Fingerprint()}
			s.obs.Targets[one] = seen
		}
	}
	identify(t, []identity{
		{name: "nothing", set: func(s *scene) { s.stands(one, secret.Value{}) }, want: Serving{Kind: Nothing}},
		{name: "the fingerprint of the current one", set: func(*scene) {}, want: Serving{Kind: Ours, Generation: 2}},
		{name: "the fingerprint of an old one", set: func(s *scene) { s.stands(one, tokenOne()) }, want: Serving{Kind: Ours, Generation: 1}},
		{name: "the fingerprint of a deleted one", set: func(s *scene) { s.stands(one, tokenOne()); s.g(1).State = Gone },
			want: Serving{Kind: Ours, Generation: 1}},
		{name: "a payload that was sent here", set: func(s *scene) {
			meta("", 0, 0)(s)
			s.rec.Targets[one] = TargetRecord{Payloads: []Payload{{Fingerprint: other.Fingerprint(), Generation: 1}}}
		}, want: Serving{Kind: Ours, Generation: 1}},
		{name: "a payload that was sent elsewhere", set: func(s *scene) {
			meta("", 0, 0)(s)
			s.rec.Targets[two] = TargetRecord{Payloads: []Payload{{Fingerprint: other.Fingerprint(), Generation: 1}}}
		}, want: Serving{Kind: ForeignValue}},
		{name: "metadata of a known generation", set: func(s *scene) { meta(slot, 1, 101)(s) }, want: Serving{Kind: Ours, Generation: 1}},
		{name: "metadata of a known generation with another token", set: meta(slot, 1, 102), want: Serving{Kind: ForeignValue}},
		{name: "metadata of another slot", set: meta("x@service/y", 1, 101), want: Serving{Kind: ForeignValue}},
		{name: "metadata without a generation", set: meta(slot, 0, 101), want: Serving{Kind: ForeignValue}},
		{name: "metadata of a generation that the list doesn't have", set: meta(slot, 9, 909), want: Serving{Kind: Ours, Generation: 9,
			Meta: backends.Meta{Slot: slot, Generation: 9, TokenID: 909, Token: other.Fingerprint()}}},
		{name: "metadata of one that is listed and not discovered yet", set: func(s *scene) {
			meta(slot, 9, 909)(s)
			s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 909, Label: label(9)})
		}, open: true},
		{name: "metadata that the list gives the lie", set: func(s *scene) {
			meta(slot, 9, 909)(s)
			s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 909, Label: "somebody's"})
		}, want: Serving{Kind: ForeignValue}},
		{name: "metadata of an unknown generation, and no list", set: func(s *scene) { meta(slot, 9, 909)(s); s.obs.Tokens = nil }, open: true},
	})
}

func TestIdentifyOthers(t *testing.T) {
	other, elses := testToken(worldAccount, 999), testToken("somebody@service", 999)
	asked := func(value secret.Value, result ProofResult) func(s *scene) {
		return func(s *scene) {
			s.stands(one, value)
			s.obs.Others[value.Fingerprint()] = Proof{At: s.now, Result: result}
		}
	}
	identify(t, []identity{
		{name: "a text", set: func(s *scene) { s.stands(one, secret.New("a password")) }, want: Serving{Kind: ForeignValue}},
		{name: "a token of another account", set: func(s *scene) { s.stands(one, elses) }, want: Serving{Kind: ForeignValue}},
		{name: "a token that names this account", set: func(s *scene) { s.stands(one, other) }, looks: []Action{ProveOther{Target: one}}},
		{name: "and it lives", set: asked(other, ProvedLive), want: Serving{Kind: OtherLive, Other: other.Fingerprint()}},
		{name: "and it is dead", set: asked(other, ProvedDead), want: Serving{Kind: OtherDead, Other: other.Fingerprint()}},
		{name: "and it is another account's", set: asked(other, ProvedElse), want: Serving{Kind: ForeignValue}},
		{name: "and the API can't be asked", set: asked(other, NotProved), open: true},
		{name: "another account's token is never asked about", set: asked(elses, ProvedLive), want: Serving{Kind: ForeignValue}},
	})
}

func TestNextDelivers(t *testing.T) {
	behind := func(set func(*scene)) func(*scene) { return func(s *scene) { s.behind(); set(s) } }
	found := func(f Finding) func(*scene) { return behind(func(s *scene) { s.obs.Found[2] = f }) }
	proved := func(r ProofResult) func(*scene) {
		return func(s *scene) { found(AtHand)(s); s.obs.Proofs[2] = Proof{At: s.now, Result: r} }
	}
	ask(t, []question{
		{name: "what is seen comes first", set: func(s *scene) { s.stands(one, tokenOne()) },
			want: []Action{See{Target: one, Serving: Serving{Kind: Ours, Generation: 1}}}},
		{name: "then the value", set: behind(func(*scene) {}), want: []Action{Find{Generation: 2}}},
		{name: "then its proof", set: behind(func(s *scene) { s.obs.Found[2] = AtHand; delete(s.obs.Proofs, 2) }),
			want: []Action{Prove{Generation: 2}}},
		{name: "then it is put", set: proved(ProvedLive), want: []Action{Deliver{Target: one}}},
		{name: "to every target that is behind", set: func(s *scene) {
			proved(ProvedLive)(s)
			s.stands(two, secret.Value{})
			s.rec.Targets[two] = TargetRecord{State: Behind, Reason: TargetEmpty}
		}, want: []Action{Deliver{Target: one}, Deliver{Target: two}}},
		{name: "nobody has the value", set: found(NotFound), want: []Action{Lose{Reason: ValueLost}}},
		{name: "somebody may have it", set: found(NotKnown), reason: TargetUnreachable, until: time.Minute},
		{name: "the API can't be asked", set: proved(NotProved), reason: APIUnavailable, until: missGap},
		{name: "it fails its proof", set: proved(ProvedDead), want: []Action{Unprove{Generation: 2}}},
		{name: "it fails its proof, by a list from before", set: func(s *scene) {
			proved(ProvedDead)(s)
			s.obs.Tokens.At = s.now.Add(-time.Second)
		}, want: []Action{LookTokens{After: newScene().now}}},
		{name: "it fails its proof for the tenth time", set: func(s *scene) { proved(ProvedDead)(s); s.g(2).Attempts = maxUnproved },
			want: []Action{Lose{Reason: TokenRefused}}},
		{name: "it fails its proof with its account", set: func(s *scene) { proved(ProvedDead)(s); s.obs.Account.Blocked = AccountDeactivated },
			reason: AccountDeactivated},
		{name: "a proof failed just now", set: func(s *scene) { found(AtHand)(s); s.g(2).RetryAt = s.now.Add(5 * time.Second) },
			reason: NotValidYet, until: 5 * time.Second},
		{name: "a delivery failed just now", set: behind(func(s *scene) {
			target := s.rec.Targets[one]
			target.Attempts, target.Reason, target.RetryAt = 1, TargetDenied, s.now.Add(5*time.Second)
			s.rec.Targets[one] = target
		}), reason: TargetDenied, until: 5 * time.Second},
		{name: "a lost token isn't delivered", set: func(s *scene) {
			proved(ProvedLive)(s)
			s.rec.Lost, s.rec.Blocked, s.rec.RetryAt = ValueLost, IssueRefused, s.now.Add(Day)
		}, reason: IssueRefused},
		{name: "a target that left the declaration", set: func(s *scene) { s.pol.Targets = s.pol.Targets[:1] },
			want: []Action{Forget{Target: two}}},
		{name: "a foreign value is left alone", set: func(s *scene) {
			s.stands(one, secret.New("a password"))
			s.rec.Targets[one] = TargetRecord{State: Foreign, Reason: TargetHoldsForeign}
			s.g(1).State = Waiting
		}, reason: StillServed},
		{name: "or taken over", set: func(s *scene) {
			s.pol.Targets[0].TakeOver = true
			s.stands(one, secret.New("a password"))
			s.rec.Targets[one] = TargetRecord{State: Behind, Reason: TargetHoldsForeign}
			s.g(1).State, s.obs.Found[2] = Waiting, AtHand
		}, want: []Action{Deliver{Target: one}}},
	})
}

func TestNextTriesARefusedPayloadAgain(t *testing.T) {
	blocked := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.behind()
			s.pol.DriftCheck = 20 * time.Minute
			s.rec.Targets[one] = TargetRecord{State: TargetBlocked, Reason: TargetRefused, Serves: 1, Attempts: 3, RetryAt: s.now}
			set(s)
		}
	}
	ask(t, []question{
		{name: "a payload that was refused waits for the drift check", set: blocked(func(s *scene) { delete(s.obs.Targets, one) }),
			reason: TargetRefused, until: func() time.Duration {
				s := newScene()
				s.pol.DriftCheck = 20 * time.Minute
				return s.pol.nextCheck(s.now).Sub(s.now)
			}()},
		{name: "which tries it again", set: blocked(func(s *scene) { s.obs.Found[2] = AtHand }), want: []Action{Deliver{Target: one}}},
		{name: "and reads it first", set: blocked(func(s *scene) { delete(s.obs.Targets, one); delete(s.obs.Checked, one) }),
			want: []Action{Read{Target: one}}},
	})
}

// TestNextGlances: where the store can tell that nothing has changed, nothing is
// read, unless something hangs on it.
func TestNextGlances(t *testing.T) {
	due := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			delete(s.obs.Targets, one)
			s.obs.Checked[one] = s.now.Add(-time.Hour)
			s.obs.Versions = map[string]backends.Version{one: "1"}
			set(s)
		}
	}
	ask(t, []question{
		{name: "at a drift check", set: due(func(*scene) {}), want: []Action{Glance{Target: one}}},
		{name: "not before it is due", set: due(func(s *scene) { s.obs.Checked[one] = s.now }), reason: GraceRunning},
		{name: "not where nothing was read by this process", set: due(func(s *scene) { s.obs.Versions = nil }),
			want: []Action{Read{Target: one}}},
		{name: "not where something has to be put right", set: due(func(s *scene) {
			s.rec.Targets[one] = TargetRecord{State: Behind, Reason: TargetOlder, Serves: 1}
			s.g(1).State = Waiting
		}), want: []Action{Read{Target: one}}},
		{name: "not where what isn't ours was seen", set: due(func(s *scene) {
			s.rec.Targets[one] = TargetRecord{State: Foreign, Reason: TargetHoldsForeign}
			s.g(1).State = Waiting
		}), want: []Action{Read{Target: one}}},
		{name: "not before a revocation", set: due((*scene).over), want: []Action{Read{Target: one}}},
		{name: "a gate takes no glance for a reading", set: due(func(s *scene) { s.over(); s.obs.Checked[one] = s.now }),
			want: []Action{Read{Target: one}}},
	})
}

// TestUnmoved: what a store describes counts when all of it fits.
func TestUnmoved(t *testing.T) {
	s := newScene()
	fits := backends.Meta{Slot: s.pol.Slot, Generation: 2, TokenID: 102, Token: tokenTwo().Fingerprint()}
	for name, tt := range map[string]struct {
		change    func(m *backends.Meta, r *Record)
		now, last backends.Version
		want      bool
	}{
		"all fits":                    {func(*backends.Meta, *Record) {}, "7", "7", true},
		"another version":             {func(*backends.Meta, *Record) {}, "8", "7", false},
		"no version":                  {func(*backends.Meta, *Record) {}, "", "", false},
		"another generation":          {func(m *backends.Meta, _ *Record) { m.Generation = 1 }, "7", "7", false},
		"another token":               {func(m *backends.Meta, _ *Record) { m.Token = tokenOne().Fingerprint() }, "7", "7", false},
		"another slot's":              {func(m *backends.Meta, _ *Record) { m.Slot = "another@service/x" }, "7", "7", false},
		"no metadata":                 {func(m *backends.Meta, _ *Record) { *m = backends.Meta{} }, "7", "7", false},
		"a record without a token":    {func(_ *backends.Meta, r *Record) { r.Current = 0 }, "7", "7", false},
		"a record that has moved on":  {func(_ *backends.Meta, r *Record) { r.Current = 1 }, "7", "7", false},
		"a current one without value": {func(_ *backends.Meta, r *Record) { r.current().Fingerprint = "" }, "7", "7", false},
	} {
		rec, meta := newScene().rec, fits
		tt.change(&meta, &rec)
		if got := rec.unmoved(meta, tt.now, tt.last); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNextKeepsTheCurrentToken(t *testing.T) {
	missing := func(since time.Duration, set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.unlist(102)
			s.g(2).MissingAt = s.now.Add(-since)
			set(s)
		}
	}
	proof := func(r ProofResult) func(*scene) {
		return func(s *scene) { s.obs.Proofs[2] = Proof{At: s.now, Result: r} }
	}
	ask(t, []question{
		{name: "a first list lacks it", set: func(s *scene) { s.unlist(102) }, want: []Action{Miss{Generation: 2, At: newScene().now}}},
		{name: "a list from before it was issued", set: func(s *scene) { s.unlist(102); s.g(2).IssuedAt = s.now.Add(1) }, reason: GraceRunning},
		{name: "a second list is needed, not at once", set: missing(time.Second, func(*scene) {}), reason: TokenGone, until: missGap - time.Second},
		{name: "a second list is needed", set: missing(missGap, func(s *scene) { s.obs.Tokens.At = s.now.Add(-time.Second) }),
			want: []Action{LookTokens{After: newScene().now}}},
		{name: "then a proof", set: missing(missGap, func(s *scene) { delete(s.obs.Proofs, 2) }), want: []Action{Prove{Generation: 2}}},
		{name: "that it passes", set: missing(missGap, proof(ProvedLive)), reason: GraceRunning},
		{name: "that nobody can take", set: missing(missGap, proof(NotProved)), reason: APIUnavailable, until: time.Minute},
		{name: "that it fails", set: missing(missGap, proof(ProvedDead)), want: []Action{Lose{Reason: TokenGone}}},
		{name: "nobody has the value", set: missing(missGap, proof(NoValue)), want: []Action{Lose{Reason: TokenGone}}},
		{name: "that it fails, and the account was not asked since", set: missing(missGap, func(s *scene) {
			proof(ProvedDead)(s)
			s.obs.Account.At = s.now.Add(-time.Hour)
		}), want: []Action{EnsureAccount{After: newScene().now}}},
		{name: "that it fails, and the account may be gone", set: missing(missGap, func(s *scene) {
			proof(ProvedDead)(s)
			s.obs.Account.RetryAt = s.now.Add(8 * time.Second)
		}), until: 8 * time.Second},
		{name: "it is listed again", set: func(s *scene) { s.g(2).MissingAt = s.now.Add(-time.Minute) }, want: []Action{Miss{Generation: 2}}},
		{name: "revoked by others", set: func(s *scene) { s.listed(102).Active = false }, want: []Action{Lose{Reason: RevokedByOthers}}},
		{name: "revoked by others, and to block", set: func(s *scene) { s.listed(102).Active = false; s.pol.BlockOnRevocation = true },
			want: []Action{Block{Reason: RevokedByOthers}}},
		{name: "revoked, and the account was not asked since", set: func(s *scene) {
			s.listed(102).Active = false
			s.obs.Account.At = s.now.Add(-time.Second)
		}, want: []Action{EnsureAccount{After: newScene().now}}},
		{name: "expired", set: func(s *scene) { s.listed(102).Expires = s.now; s.g(2).Expires = s.now }, want: []Action{Lose{Reason: TokenExpired}}},
		{name: "its account is blocked", set: func(s *scene) { s.listed(102).Active = false; s.obs.Account.Blocked = AccountDeactivated },
			reason: AccountDeactivated},
	})
}
