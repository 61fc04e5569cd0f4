package rotation

import (
	"context"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// A slot whose token the agent itself works with. The agent is one more reader
// of such a slot, and the last one that may lose its token: with that, nothing
// could be done any more (docs/decisions/self.md).

// Own is the agent's own credential, as the slot needs it that keeps it. Its
// methods are safe for concurrent use.
type Own interface {
	// TakeUp has the agent read the place of its credential, and work with what
	// stands there if the API takes that.
	TakeUp(ctx context.Context)
	// Works is the fingerprint of the token that the agent works with, once the
	// API has taken it; "" when that isn't known, and after a refusal.
	Works() secret.Fingerprint
}

// OwnSeen is the token that the agent worked with, after it was told to take up
// the one at its credential's place.
type OwnSeen struct {
	At    time.Time
	Works secret.Fingerprint
}

// takenUp reports whether the agent works with the slot's current token, so that
// it doesn't need token g any more. If it wasn't asked just now, it is told to
// take that token up, and asked. g may be 0, for a token that isn't the slot's.
func (n *pass) takenUp(g uint64) (yes, asked bool) {
	if !n.pol.Own {
		return true, true
	}
	current := n.rec.current()
	if current == nil || current.Number == g || current.Condemned || current.Fingerprint == "" {
		return false, true
	}
	own := n.obs.Own
	if own == nil || n.now.Sub(own.At) > lookValid {
		n.look(TakeUp{})
		return false, false
	}
	return own.Works == current.Fingerprint, true
}

// needless is takenUp, and waits where it isn't so.
func (n *pass) needless(g uint64, retry time.Duration) bool {
	yes, asked := n.takenUp(g)
	if !yes && asked {
		n.wait(retiring, n.now.Add(retry), NotTakenUp)
	}
	return yes
}

// locksOut reports whether an operator's word would leave the agent without a
// credential: nothing would take the place of what it works with.
func (n *pass) locksOut(q Request) bool {
	current := n.rec.current()
	switch {
	case !n.pol.Own:
		return false
	case q.Kind == RequestRevoke:
		return q.TokenID == 0 || current == nil || q.TokenID == current.TokenID
	}
	return q.Kind == RequestDeactivate
}

// lockedOut is the answer to that.
const lockedOut = "the agent works with this token: it would lock itself out. Replace the token (handover rotate), or give the agent another credential first"

// takeUp has the agent take its new token up, and sees which one it works with.
func (w *work) takeUp(ctx context.Context) {
	seen := OwnSeen{}
	if own := w.e.own; own != nil {
		own.TakeUp(ctx)
		seen.Works = own.Works()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen.At = w.clock()
	w.obs.Own = &seen
}

// stillTakenUp reports whether the agent works with the current token at this
// very moment; if not, the next decision asks again.
func (w *work) stillTakenUp() bool {
	if !w.pol.Own {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if current := w.rec.current(); w.e.own != nil && current != nil && w.e.own.Works() == current.Fingerprint {
		return true
	}
	w.obs.Own = nil
	return false
}
