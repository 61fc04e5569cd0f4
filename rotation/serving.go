package rotation

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Serving is what a reader of a target gets.
type Serving struct {
	Kind ServingKind
	// Generation is set for Ours.
	Generation uint64
	// Reshaped: it is the current one, in another shape than is declared now.
	Reshaped bool
	// Meta is set for Ours when the record doesn't know the generation yet.
	Meta backends.Meta
	// Other is the fingerprint of a token of this account that isn't ours.
	Other secret.Fingerprint
}

// ServingKind sorts what can stand at a target.
type ServingKind string

// The kinds of what a target serves.
const (
	// Nothing stands there.
	Nothing ServingKind = "nothing"
	// Ours: a generation of this slot.
	Ours ServingKind = "ours"
	// OtherLive: a live token of this very account that we didn't issue.
	OtherLive ServingKind = "other_live"
	// OtherDead: a token that names this account and is refused.
	OtherDead ServingKind = "other_dead"
	// ForeignValue: anything else.
	ForeignValue ServingKind = "foreign"
)

// identify says whose value a reading holds. It returns false when it has to
// look first; the looks are in n.
//
// The order is that of design.md, "Whose is a value found?": by fingerprint, by
// metadata that fits, by asking the API about a token that names the account.
func (n *pass) identify(key string, r backends.Reading) (Serving, bool) {
	if !r.Present {
		return Serving{Kind: Nothing}, true
	}
	if g := n.rec.byFingerprint(r.Token.Fingerprint()); g != nil {
		return n.ours(key, g.Number), true
	}
	for _, p := range n.rec.Targets[key].Payloads {
		if p.Fingerprint == r.Payload {
			return n.ours(key, p.Generation), true
		}
	}
	if g := r.Meta.Generation; r.Meta.Slot == n.rec.Slot && g > 0 && g <= MaxGeneration {
		s, ours, known := n.identifyByMeta(key, r.Meta)
		if !known || ours {
			return s, known
		}
	}
	if r.Token.IsZero() || !namesAccount(r.Token, n.pol.AccountID) {
		return Serving{Kind: ForeignValue}, true
	}
	return n.identifyOther(key, r.Token.Fingerprint())
}

func (n *pass) ours(key string, number uint64) Serving {
	reshaped := number == n.rec.Current && n.obs.Targets[key].Reshaped
	return Serving{Kind: Ours, Generation: number, Reshaped: reshaped}
}

// identifyByMeta trusts metadata as far as the list bears it out: the token
// that it names carries our label, or isn't there any more.
func (n *pass) identifyByMeta(key string, m backends.Meta) (s Serving, ours, known bool) {
	s = n.ours(key, m.Generation)
	if g := n.rec.generation(m.Generation); g != nil {
		if g.Fingerprint == "" {
			s.Meta = m
		}
		return s, g.TokenID == m.TokenID, true
	}
	if !n.haveTokens(time.Time{}) {
		return Serving{}, false, false
	}
	s.Meta = m
	listed := n.tokenByID(m.TokenID)
	if listed == nil {
		return s, true, true
	}
	number, ok := ParseLabel(listed.Label, n.pol.Token, n.pol.AgentID)
	return s, false, !ok || number != m.Generation // one of ours is discovered first
}

func (n *pass) identifyOther(key string, fp secret.Fingerprint) (Serving, bool) {
	switch proof, asked := n.obs.Others[fp]; {
	case !asked:
		n.look(ProveOther{Target: key})
		return Serving{}, false
	case proof.Result == ProvedLive:
		return Serving{Kind: OtherLive, Other: fp}, true
	case proof.Result == ProvedDead:
		return Serving{Kind: OtherDead, Other: fp}, true
	case proof.Result == ProvedElse:
		return Serving{Kind: ForeignValue}, true
	}
	n.wait(delivering, n.now.Add(missGap), APIUnavailable)
	return Serving{}, false
}

// namesAccount reports whether a claim of the JWT is the account's id. The
// claims aren't verified and decide nothing but whether the API is asked.
func namesAccount(token secret.Value, accountID string) bool {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token.Reveal(), claims); err != nil {
		return false
	}
	for _, claim := range claims {
		if text, ok := claim.(string); ok && text == accountID {
			return true
		}
	}
	return false
}
