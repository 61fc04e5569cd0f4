package rotation

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// scene is one question to Next: g2 is live and served by both targets, g1 is
// in its grace, and all that a pass can look at was looked at just now.
type scene struct {
	rec Record
	obs Observation
	pol Policy
	now time.Time
}

const (
	one = "a/one"
	two = "b/two"
)

func newScene() *scene {
	now := worldStart.Add(10 * Day)
	s := &scene{now: now, pol: testPolicy(one, two)}
	s.rec = Record{Slot: s.pol.Slot, Revision: 9, High: 2, Current: 2, DueAt: now.Add(19 * Day),
		Generations: []Generation{
			{Number: 1, Label: "production.acme.g1", TokenID: 101, Fingerprint: tokenOne().Fingerprint(), State: Grace,
				Claimed: true, IssuedAt: worldStart, Expires: worldStart.Add(30 * Day), RevokeAfter: now.Add(Day)},
			{Number: 2, Label: "production.acme.g2", TokenID: 102, Fingerprint: tokenTwo().Fingerprint(), State: Live,
				Claimed: true, IssuedAt: now.Add(-Day), Expires: now.Add(29 * Day)},
		},
		Targets: map[string]TargetRecord{
			one: {State: InStep, Reason: TargetServes, Serves: 2, SeenAt: now.Add(-Day)},
			two: {State: InStep, Reason: TargetServes, Serves: 2, SeenAt: now.Add(-Day)},
		},
	}
	s.obs = Observation{Process: "this", Began: now, Account: &AccountSeen{At: now, UserID: 7},
		Tokens: &TokensSeen{At: now, Mine: []Token{
			{ID: 101, Label: "production.acme.g1", UserID: 7, AccountID: worldAccount, Active: true, Expires: worldStart.Add(30 * Day)},
			{ID: 102, Label: "production.acme.g2", UserID: 7, AccountID: worldAccount, Active: true, Expires: now.Add(29 * Day)},
		}},
		Targets: map[string]TargetSeen{}, Checks: map[string]Reason{one: "", two: ""}, Proofs: map[uint64]Proof{},
		Others: map[secret.Fingerprint]Proof{}, Found: map[uint64]Finding{}, Posted: map[uint64]time.Time{},
		Checked: map[string]time.Time{one: now, two: now}}
	s.stands(one, tokenTwo())
	s.stands(two, tokenTwo())
	s.obs.Proofs[2] = Proof{At: now, Result: ProvedLive}
	return s
}

func tokenOne() secret.Value { return testToken(worldAccount, 101) }
func tokenTwo() secret.Value { return testToken(worldAccount, 102) }

// stands: the target was read just now, and that is what stands there.
func (s *scene) stands(key string, value secret.Value) {
	s.obs.Targets[key] = TargetSeen{At: s.now, Reading: backends.Reading{Present: !value.IsZero(), Version: "1",
		Payload: value.Fingerprint(), Token: value}}
}

func (s *scene) listed(id int64) *Token {
	i := slices.IndexFunc(s.obs.Tokens.Mine, func(t Token) bool { return t.ID == id })
	return &s.obs.Tokens.Mine[i]
}

func (s *scene) unlist(id int64) {
	s.obs.Tokens.Mine = slices.DeleteFunc(s.obs.Tokens.Mine, func(t Token) bool { return t.ID == id })
}

func (s *scene) g(number uint64) *Generation { return s.rec.generation(number) }

// behind: target one serves g1, and the record knows it.
func (s *scene) behind() {
	s.stands(one, tokenOne())
	s.rec.Targets[one] = TargetRecord{State: Behind, Reason: TargetOlder, Serves: 1}
	s.g(1).State = Waiting
}

// due: a person asked for a rotation.
func (s *scene) due() { s.obs.Requests = []Request{{ID: 1, Kind: RequestRotate}} }

// over: the grace of g1 is over.
func (s *scene) over() { s.g(1).RevokeAfter = s.now }

func (s *scene) next() ([]Action, Reason) { return Next(s.rec, s.obs, s.pol, s.now) }

// question is one row of a table of decisions.
type question struct {
	name   string
	set    func(s *scene)
	want   []Action // nil: only a Wait
	reason Reason   // "": not asked
	until  time.Duration
}

func ask(t *testing.T, questions []question) {
	t.Helper()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			s := newScene()
			q.set(s)
			actions, why := s.next()
			if q.reason != "" && why != q.reason {
				t.Errorf("the reason is %q, want %q", why, q.reason)
			}
			wait, waits := actions[0].(Wait)
			switch {
			case q.want == nil && !waits:
				t.Errorf("decided %T%+v, want nothing", actions, actions)
			case q.want == nil && q.until != 0 && !wait.Until.Equal(s.now.Add(q.until)):
				t.Errorf("waits %s, want %s", wait.Until.Sub(s.now), q.until)
			case q.want != nil:
				if diff := cmp.Diff(q.want, actions, sameValues); diff != "" {
					t.Errorf("decided (-want +got):\n%s", diff)
				}
			}
		})
	}
}
