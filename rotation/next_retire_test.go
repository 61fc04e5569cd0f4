package rotation

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

func over(set func(*scene)) func(*scene) { return func(s *scene) { s.over(); set(s) } }

func in(state State, set func(*scene)) func(*scene) {
	return func(s *scene) { s.g(1).State = state; set(s) }
}

func move(to State, why Reason) []Action { return []Action{Move{Generation: 1, To: to, Reason: why}} }

func TestNextGivesGrace(t *testing.T) {
	ask(t, []question{
		{name: "no target serves it any more", set: in(Waiting, func(s *scene) { s.g(1).RevokeAfter = time.Time{} }),
			want: []Action{Move{Generation: 1, To: Grace, Reason: GraceRunning, RevokeAfter: newScene().now.Add(2 * Day)}}},
		{name: "a later end stands", set: in(Waiting, func(s *scene) { s.g(1).RevokeAfter = s.now.Add(9 * Day) }),
			want: []Action{Move{Generation: 1, To: Grace, Reason: GraceRunning, RevokeAfter: newScene().now.Add(9 * Day)}}},
		{name: "a target serves it", set: in(Waiting, (*scene).behind), want: []Action{Find{Generation: 2}}},
		{name: "a target serves it again", set: over(func(s *scene) { s.behind(); s.g(1).State = Grace; s.obs.Found[2] = AtHand }),
			want: move(Waiting, StillServed)},
		{name: "a target was never seen", set: in(Waiting, func(s *scene) { s.pol.Targets = append(s.pol.Targets, TargetPolicy{Key: "c/new"}) }),
			want: []Action{Read{Target: "c/new"}}},
		{name: "the grace runs", set: func(s *scene) { s.g(1).RevokeAfter = s.now.Add(time.Hour) }, reason: GraceRunning, until: time.Hour},
	})
}

func TestNextAsksTheGate(t *testing.T) {
	elsewhere := func(key string, value secret.Value) func(*scene) { // put there since the record was made
		return over(func(s *scene) { s.stands(key, value) })
	}
	ask(t, []question{
		{name: "the grace is over", set: over(func(*scene) {}), want: []Action{Revoke{Generation: 1}}},
		{name: "by a list of this pass", set: over(func(s *scene) { s.obs.Tokens.At = s.now.Add(-1) }), want: []Action{LookTokens{After: newScene().now}}},
		{name: "the decision was journaled before a crash", set: over(in(Revoking, func(*scene) {})), want: []Action{Revoke{Generation: 1}}},
		{name: "not what this journal didn't issue", set: over(func(s *scene) { s.g(1).Claimed = false }), reason: AtRest},
		{name: "a target wasn't read in this pass", set: over(func(s *scene) { delete(s.obs.Targets, two) }), want: []Action{Read{Target: two}}},
		{name: "a target was read too long ago", set: over(func(s *scene) {
			seen := s.obs.Targets[two]
			seen.At = s.now.Add(-lookValid - 1)
			s.obs.Targets[two] = seen
		}), want: []Action{Read{Target: two}}},
		{name: "a target can't be read", set: over(func(s *scene) {
			s.obs.Targets[two] = TargetSeen{At: s.now, Failed: TargetUnreachable, RetryAt: s.now.Add(time.Second)}
			delete(s.obs.Proofs, 2)
			s.obs.Tokens.At = s.now.Add(-time.Second)
		}), reason: TargetUnreachable, until: time.Second},
		{name: "what is served isn't proved", set: over(func(s *scene) { delete(s.obs.Proofs, 2) }), want: []Action{Prove{Generation: 2}}},
		{name: "what is served was proved too long ago", set: over(func(s *scene) {
			s.obs.Proofs[2] = Proof{At: s.now.Add(-lookValid - 1), Result: ProvedLive}
		}), want: []Action{Prove{Generation: 2}}},
		{name: "what is served is dead", set: over(func(s *scene) { s.obs.Proofs[2] = Proof{At: s.now, Result: ProvedDead} }),
			reason: StillServed, until: 6 * time.Hour},
		{name: "nobody has the value of what is served, and the list calls it live", set: over(func(s *scene) {
			s.obs.Proofs[2] = Proof{At: s.now, Result: NoValue}
		}), want: []Action{Revoke{Generation: 1}}},
		{name: "nobody has the value of what is served, and the number is now another token's", set: over(func(s *scene) {
			s.obs.Proofs[2] = Proof{At: s.now, Result: NoValue}
			s.g(2).Fingerprint = ""
			for key, rec := range s.rec.Targets { // they are known by what was sent
				rec.Payloads = []Payload{{Fingerprint: tokenTwo().Fingerprint(), Generation: 2}}
				s.rec.Targets[key] = rec
			}
		}), reason: StillServed, until: 6 * time.Hour},
		{name: "nobody has the value of what is served, and its end has come", set: over(func(s *scene) {
			s.obs.Proofs[2] = Proof{At: s.now, Result: NoValue}
			s.rec.Lost, s.rec.Blocked, s.rec.RetryAt = TokenExpired, IssueRefused, s.now.Add(Day)
			s.listed(102).Expires = s.now
		}), reason: IssueRefused},
		{name: "a target serves it, by a look of just now", set: elsewhere(two, tokenOne()),
			want: []Action{See{Target: two, Serving: Serving{Kind: Ours, Generation: 1}}}},
		{name: "a target is empty, by a look of just now", set: elsewhere(two, secret.Value{}),
			want: []Action{See{Target: two, Serving: Serving{Kind: Nothing}}}},
		{name: "a target holds what isn't ours", set: elsewhere(two, secret.New("a password")),
			want: []Action{See{Target: two, Serving: Serving{Kind: ForeignValue}}}},
	})
}

func TestNextRetiresByWhatTheListTells(t *testing.T) {
	ask(t, []question{
		{name: "it was revoked by others", set: func(s *scene) { s.listed(101).Active = false }, want: move(Observing, DeadAlready)},
		{name: "it expired, and a target is out of reach", set: func(s *scene) {
			s.listed(101).Expires = s.now
			s.obs.Targets[two] = TargetSeen{At: s.now, Failed: TargetUnreachable, RetryAt: s.now.Add(time.Second)}
		}, want: []Action{Revoke{Generation: 1, Expired: true}}},
		{name: "unclaimed, revoked by others, and expired", set: in(Unclaimed, func(s *scene) {
			s.listed(101).Active, s.listed(101).Expires = false, s.now
		}), want: move(Observing, TokenExpired)},
		{name: "unclaimed, and it expired", set: in(Unclaimed, func(s *scene) { s.listed(101).Expires = s.now }),
			want: []Action{Revoke{Generation: 1, Expired: true}}},
		{name: "it expired by a clock that nobody answered since", set: func(s *scene) {
			s.listed(101).Expires, s.obs.Tokens.At = s.now, s.now.Add(-time.Second)
		}, want: []Action{LookTokens{After: newScene().now}}},
		{name: "it failed just now", set: over(func(s *scene) { s.g(1).RetryAt = s.now.Add(time.Second) }), reason: BackOff, until: time.Second},
		{name: "it lost our label", set: over(func(s *scene) { s.listed(101).Label = "mine now" }),
			want: []Action{Miss{Generation: 1, At: newScene().now}}},
		{name: "a first list lacks it", set: func(s *scene) { s.unlist(101) }, want: []Action{Miss{Generation: 1, At: newScene().now}}},
		{name: "two lists lack it", set: func(s *scene) { s.unlist(101); s.g(1).MissingAt = s.now.Add(-missGap) },
			want: move(Gone, DeletedByOthers)},
		{name: "two lists lack a ghost that was never listed", set: func(s *scene) {
			s.unlist(101)
			s.g(1).TokenID, s.g(1).MissingAt = 0, s.now.Add(-missGap)
		}, want: move(Gone, NeverListed)},
		{name: "a ghost is listed at last", set: func(s *scene) { s.g(1).TokenID, s.g(1).MissingAt = 0, s.now.Add(-missGap) },
			want: []Action{Move{Generation: 1, To: Waiting, Reason: Ghost, TokenID: 101}}},
		{name: "an unclaimed ghost is listed at last", set: func(s *scene) { s.g(1).TokenID, s.g(1).Claimed = 0, false },
			want: []Action{Move{Generation: 1, To: Unclaimed, Reason: Ghost, TokenID: 101}}},
		{name: "what was gone is listed by a later list", set: in(Gone, func(s *scene) { s.g(1).GoneAt = s.now.Add(-1) }), want: move(Waiting, Ghost)},
		{name: "what was gone is listed by an earlier list", set: in(Gone, func(s *scene) { s.g(1).GoneAt = s.now.Add(1) }), reason: AtRest},
		{name: "known by metadata alone, and listed since", set: in(Unclaimed, func(s *scene) { s.g(1).Label = "" }), reason: FoundUnclaimed},
	})
}

func TestNextObservesAndDeletes(t *testing.T) {
	observing := func(set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.g(1).State, s.g(1).RevokedAt = Observing, s.now.Add(-2*Day)
			s.listed(101).Active = false
			set(s)
		}
	}
	ask(t, []question{
		{name: "long enough", set: observing(func(*scene) {}), want: []Action{Delete{Generation: 1}}},
		{name: "not long enough", set: observing(func(s *scene) { s.g(1).RevokedAt = s.now.Add(-2*Day + time.Second) }),
			reason: ObserveRunning, until: time.Second},
		{name: "by a list of this pass", set: observing(func(s *scene) { s.obs.Tokens.At = s.now.Add(-1) }),
			want: []Action{LookTokens{After: newScene().now}}},
		{name: "restored by hand", set: observing(func(s *scene) { s.listed(101).Active = true }),
			want: []Action{Move{Generation: 1, To: Grace, Reason: RestoredByHand, RevokeAfter: newScene().now.Add(2 * Day)}}},
		{name: "active in a list from before the revocation", set: observing(func(s *scene) {
			s.listed(101).Active = true
			s.g(1).RevokedAt, s.obs.Tokens.At = s.now, s.now.Add(-1)
		}), reason: ObserveRunning},
		{name: "restored by hand and expired", set: observing(func(s *scene) {
			s.listed(101).Active, s.listed(101).Expires = true, s.now
		}), want: []Action{Revoke{Generation: 1, Expired: true}}},
		{name: "the decision was journaled before a crash", set: observing(func(s *scene) { s.g(1).State = Deleting }),
			want: []Action{Delete{Generation: 1}}},
		{name: "two lists lack it", set: observing(func(s *scene) { s.unlist(101); s.g(1).MissingAt = s.now.Add(-missGap) }),
			want: []Action{Move{Generation: 1, To: Gone, Reason: DeletedByOthers}}},
	})
}

func TestNextHolds(t *testing.T) {
	used := func(ago time.Duration, set func(*scene)) func(*scene) {
		return func(s *scene) {
			s.over()
			s.g(1).State, s.g(1).HoldUntil = Hold, s.now.Add(2*Day)
			s.listed(101).LastUsed = s.now.Add(-ago)
			set(s)
		}
	}
	revoke := []Action{Revoke{Generation: 1}}
	ask(t, []question{
		{name: "used an hour ago", set: used(time.Hour, func(s *scene) { s.g(1).State = Grace }),
			want: []Action{Move{Generation: 1, To: Hold, Reason: StillUsed, HoldUntil: newScene().now.Add(2 * Day)}}},
		{name: "until it was quiet", set: used(23*time.Hour+30*time.Minute, func(*scene) {}), reason: StillUsed, until: 30 * time.Minute},
		{name: "quiet for a day", set: used(Day, func(*scene) {}), want: revoke},
		{name: "no longer than the hold", set: used(time.Hour, func(s *scene) { s.g(1).RevokeAfter = s.now.Add(-2 * Day) }), want: revoke},
		{name: "until unused", set: used(time.Hour, func(s *scene) {
			s.g(1).RevokeAfter, s.pol.Schedule.HoldUntilUnused = s.now.Add(-9*Day), true
		}), reason: StillUsed},
		{name: "until unused, and it was", set: used(Day, func(s *scene) {
			s.g(1).RevokeAfter, s.pol.Schedule.HoldUntilUnused = s.now.Add(-9*Day), true
		}), want: revoke},
		{name: "until unused, without an end", set: used(time.Hour, func(s *scene) {
			s.g(1).Expires, s.listed(101).Expires, s.pol.Schedule.HoldUntilUnused = time.Time{}, time.Time{}, true
		}), reason: StillUsed},
		{name: "our own proof", set: used(time.Hour, func(s *scene) { s.g(1).ProvedAt = s.listed(101).LastUsed }), want: revoke},
		{name: "our own proof, as the API dates it", set: used(time.Hour, func(s *scene) { s.g(1).ProvedAt = s.listed(101).LastUsed.Add(-ownUse) }), want: revoke},
		{name: "used after our own proof", set: used(time.Hour, func(s *scene) { s.g(1).ProvedAt = s.listed(101).LastUsed.Add(-ownUse - 1) }), reason: StillUsed},
		{name: "never used", set: used(time.Hour, func(s *scene) { s.listed(101).LastUsed = time.Time{} }), want: revoke},
	})
}

func TestNextDoesWhatAPersonSays(t *testing.T) {
	requests := func(kinds ...RequestKind) func(*scene) {
		return func(s *scene) {
			for i, kind := range kinds {
				s.obs.Requests = append(s.obs.Requests, Request{ID: int64(i + 1), Kind: kind})
			}
		}
	}
	also := func(set func(*scene), more func(*scene)) func(*scene) { return func(s *scene) { set(s); more(s) } }
	blocked := func(s *scene) { s.rec.Blocked, s.rec.RetryAt = IssueRefused, s.now.Add(Day) }
	unknown := func(s *scene) {
		s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 103, Label: label(3), Active: true})
	}
	ask(t, []question{
		{name: "resume", set: requests(RequestResume), want: []Action{Resume{Request: 1}}},
		{name: "adopt", set: requests(RequestAdopt), want: []Action{Resume{Request: 1, Adopt: true}}},
		{name: "adopt claims what is listed by now", set: also(requests(RequestAdopt), unknown),
			want: []Action{Discover{Token: Token{ID: 103, Label: label(3), Active: true}, Generation: 3}}},
		{name: "one after the other", set: also(requests(RequestResume, RequestAdopt), func(s *scene) { s.rec.Handled = 1 }),
			want: []Action{CloseRequest{Request: 1, Outcome: "applied"}}},
		{name: "rotate", set: requests(RequestRotate), want: []Action{Intend{Generation: 3, Label: label(3), Reason: Requested, Request: 1}}},
		{name: "two rotates are one", set: requests(RequestRotate, RequestRotate),
			want: []Action{Intend{Generation: 3, Label: label(3), Reason: Requested, Request: 2}}},
		{name: "rotate is open until it is issued", set: also(requests(RequestRotate), func(s *scene) {
			s.rec.Handled, s.rec.Intent = 1, &Intent{Generation: 3, Label: label(3), RetryAt: s.now.Add(time.Second)}
		}), reason: BackOff},
		{name: "rotate is open while its label was taken", set: also(requests(RequestRotate), func(s *scene) {
			s.rec.Handled, s.rec.Again, s.rec.Blocked, s.rec.RetryAt = 1, Requested, IssueRefused, s.now.Add(Day)
		}), reason: IssueRefused},
		{name: "rotate is issued", set: also(requests(RequestRotate), func(s *scene) { s.rec.Handled = 1 }),
			want: []Action{CloseRequest{Request: 1, Outcome: "issued generation 2"}}},
		{name: "rotate waits for a blocked slot", set: also(requests(RequestRotate), blocked), reason: IssueRefused},
		{name: "resume behind it", set: also(requests(RequestRotate, RequestResume), blocked), want: []Action{Resume{Request: 2, Rotate: true}}},
	})
}
