package rotation

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// own makes the scene's slot that of the agent's own credential; works is what
// the agent works with, asked just now.
func (s *scene) own(works secret.Value) {
	s.pol.Own = true
	s.obs.Own = &OwnSeen{At: s.now, Works: works.Fingerprint()}
}

func ownWorks(works secret.Value, set func(*scene)) func(*scene) {
	return func(s *scene) { set(s); s.own(works) }
}

func unasked(set func(*scene)) func(*scene) {
	return func(s *scene) { set(s); s.pol.Own = true }
}

var later2d = newScene().now.Add(2 * Day)

// TestNextCountsTheAgentAsAReader: the agent is the last reader of the slot that
// keeps its own credential. Grace and revocation wait for it, as they do for the
// targets.
func TestNextCountsTheAgentAsAReader(t *testing.T) {
	waits := in(Waiting, func(s *scene) { s.g(1).RevokeAfter = time.Time{} })
	none := secret.Value{}
	ask(t, []question{
		{name: "it is told to take the new one up before the grace begins", set: unasked(waits), want: []Action{TakeUp{}}},
		{name: "it works with the old one", set: ownWorks(tokenOne(), waits), reason: NotTakenUp, until: 6 * time.Hour},
		{name: "it isn't known to work with any", set: ownWorks(none, waits), reason: NotTakenUp, until: 6 * time.Hour},
		{name: "it works with another", set: ownWorks(secret.New("bootstrap"), waits), reason: NotTakenUp, until: 6 * time.Hour},
		{name: "it works with the new one", set: ownWorks(tokenTwo(), waits),
			want: []Action{Move{Generation: 1, To: Grace, Reason: GraceRunning, RevokeAfter: later2d}}},
		{name: "while the grace runs it isn't asked", set: unasked(func(s *scene) { s.g(1).RevokeAfter = s.now.Add(time.Hour) }),
			reason: GraceRunning, until: time.Hour},
		{name: "at the gate it is asked", set: unasked(over(func(*scene) {})), want: []Action{TakeUp{}}},
		{name: "at the gate it was asked too long ago", set: func(s *scene) {
			s.over()
			s.own(tokenTwo())
			s.obs.Own.At = s.now.Add(-lookValid - 1)
		}, want: []Action{TakeUp{}}},
		{name: "at the gate it works with the new one", set: ownWorks(tokenTwo(), over(func(*scene) {})), want: []Action{Revoke{Generation: 1}}},
		{name: "it went back to the old one", set: ownWorks(tokenOne(), over(func(*scene) {})), want: move(Waiting, NotTakenUp)},
		{name: "it went back after the decision was journaled", set: ownWorks(tokenOne(), over(in(Revoking, func(*scene) {}))), want: move(Waiting, NotTakenUp)},
		{name: "one that has expired is dead already", set: unasked(func(s *scene) { s.listed(101).Expires = s.now }),
			want: []Action{Revoke{Generation: 1, Expired: true}}},
		{name: "another slot's agent is no reader", set: over(func(s *scene) { s.own(tokenOne()); s.pol.Own = false }), want: []Action{Revoke{Generation: 1}}},
	})
}

// leakedOwn: g1 was replaced in an emergency by g2, and may not live any more.
func leakedOwn(s *scene) {
	s.g(1).State, s.g(1).Condemned = Waiting, true
	s.rec.Emergency = &Emergency{Requests: []int64{1}, At: s.now, Deadline: s.now.Add(30 * time.Second), Generation: 2}
	s.rec.Handled = 1
}

// TestNextKeepsAnEmergencyFromLockingTheAgentOut: whatever leaked, what the agent
// works with is revoked only once it works with what took its place.
func TestNextKeepsAnEmergencyFromLockingTheAgentOut(t *testing.T) {
	late := func(s *scene) { leakedOwn(s); s.rec.Emergency.Deadline = s.now }
	first := func(s *scene) { leakedOwn(s); s.rec.Emergency.RevokeFirst = true }
	foreign := func(s *scene) {
		leakedOwn(s)
		s.g(1).Condemned = false
		s.rec.Emergency.TokenID, s.rec.Emergency.Foreign = 900, true
		s.obs.Tokens.Mine = append(s.obs.Tokens.Mine, Token{ID: 900, Label: "by hand", UserID: 7, AccountID: worldAccount, Active: true})
	}
	only := func(s *scene) { // nothing took its place yet
		late(s)
		s.rec.Current, s.rec.High, s.rec.Lost = 1, 1, Leaked
		s.rec.Generations = s.rec.Generations[:1]
		s.g(1).State = Live
		s.unlist(102)
		for _, key := range []string{one, two} {
			s.stands(key, tokenOne())
			s.rec.Targets[key] = TargetRecord{State: InStep, Reason: TargetServes, Serves: 1}
		}
		s.rec.RetryAt, s.rec.Attempts = s.now.Add(Day), patience
	}
	ask(t, []question{
		{name: "it is told to take the new one up", set: unasked(leakedOwn), want: []Action{TakeUp{}}},
		{name: "it works with the new one", set: ownWorks(tokenTwo(), leakedOwn), want: []Action{Revoke{Generation: 1, Condemned: true}}},
		{name: "it works with the old one", set: ownWorks(tokenOne(), leakedOwn), reason: NotTakenUp, until: longestHurry},
		{name: "it works with the old one, and the deadline is over", set: ownWorks(tokenOne(), late), reason: NotTakenUp, until: longestHurry},
		{name: "it works with the old one, which is to die first", set: ownWorks(tokenOne(), first), reason: NotTakenUp, until: longestHurry},
		{name: "another token of the account, and it works with the new one", set: ownWorks(tokenTwo(), foreign), want: []Action{RevokeForeign{}}},
		{name: "another token of the account, perhaps the one that it works with", set: ownWorks(secret.New("by hand"), foreign), reason: NotTakenUp, until: longestHurry},
		{name: "nothing took its place yet", set: ownWorks(tokenOne(), only), reason: Leaked},
	})
}

// TestNextDeclinesWhatLocksTheAgentOut: an operator's word that would leave the
// agent without a credential isn't carried out.
func TestNextDeclinesWhatLocksTheAgentOut(t *testing.T) {
	asked := func(own bool, q Request) func(*scene) {
		return func(s *scene) { q.ID = 7; s.pol.Own = own; s.obs.Requests = []Request{q} }
	}
	declined := []Action{Decline{Request: 7, Outcome: lockedOut}}
	taken := func(q Request) []Action { q.ID = 7; return []Action{Alarm{Request: q}} }
	revoke := func(id int64) Request { return Request{Kind: RequestRevoke, TokenID: id} }
	ask(t, []question{
		{name: "all its tokens", set: asked(true, revoke(0)), want: declined},
		{name: "its current token", set: asked(true, revoke(102)), want: declined},
		{name: "an older token", set: asked(true, revoke(101)), want: taken(revoke(101))},
		{name: "all tokens of another slot", set: asked(false, revoke(0)), want: taken(revoke(0))},
		{name: "its account", set: asked(true, Request{Kind: RequestDeactivate}), want: declined},
		{name: "another account", set: asked(false, Request{Kind: RequestDeactivate}), want: []Action{Deactivate{Request: 7}}},
		{name: "replacing it", set: asked(true, Request{Kind: RequestEmergency}), want: taken(Request{Kind: RequestEmergency})},
	})
}
