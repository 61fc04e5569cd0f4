package rotation

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// agentOf is an agent that works with one token, whatever it is told to take up.
type agentOf struct{ token secret.Value }

func (agentOf) TakeUp(context.Context)      {}
func (a agentOf) Works() secret.Fingerprint { return a.token.Fingerprint() }

// revoker counts revocations, and answers none.
type revoker struct {
	clockIssuer
	revoked int
}

func (r *revoker) Revoke(context.Context, int64) error {
	r.revoked++
	return errors.New("the answer was lost")
}

// TestOwnIsAskedOnceMoreBeforeTheCall: between the decision and the call the agent
// may have gone back to the older token. Then that isn't revoked.
func TestOwnIsAskedOnceMoreBeforeTheCall(t *testing.T) {
	for name, act := range map[string]func(context.Context, *work){
		"retired":   func(ctx context.Context, w *work) { w.revoke(ctx, Revoke{Generation: 1}) },
		"condemned": func(ctx context.Context, w *work) { w.revoke(ctx, Revoke{Generation: 1, Condemned: true}) },
		"foreign":   func(ctx context.Context, w *work) { w.revokeForeign(ctx) },
	} {
		for works, want := range map[secret.Value]int{tokenOne(): 0, tokenTwo(): 1, {}: 0} {
			synctest.Test(t, func(t *testing.T) {
				s, issuer := newScene(), &revoker{}
				s.g(1).State = Revoking
				s.rec.Emergency = &Emergency{TokenID: 900, Foreign: true}
				for key, seen := range s.obs.Targets {
					seen.At = time.Now()
					s.obs.Targets[key] = seen
				}
				s.own(tokenTwo())
				ctx, cancel := context.WithCancel(t.Context())
				cancel() // the lost answer is nobody's attempt, and no commit
				e := New(Options{Issuer: issuer, Own: agentOf{works}, Process: "p", Journal: refusing{}})
				w := &work{e: e, pol: &s.pol, mem: e.memoryOf(s.pol.Slot), soft: ctx, rec: s.rec, obs: s.obs}
				act(ctx, w)
				if name == "foreign" { // that commits before it calls, and the journal refuses
					if committed := w.failed != nil; committed != (want == 1) {
						t.Errorf("%s, working with %s: it went on: %v", name, works.Fingerprint().Short(), committed)
					}
				} else if issuer.revoked != want {
					t.Errorf("%s, working with %s: %d calls, want %d", name, works.Fingerprint().Short(), issuer.revoked, want)
				}
				if want == 0 && w.obs.Own != nil {
					t.Errorf("%s: the next decision doesn't ask again", name)
				}
			})
		}
	}
}

// refusing is a journal that takes no commit.
type refusing struct{ Journal }

func (refusing) Commit(context.Context, Record, Event) (Record, error) {
	return Record{}, errors.New("the disk is full")
}
