package report

import (
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Tokens are all that Qualytics lists of one account, whoever issued them.
type Tokens struct {
	// Now is when they were listed, in the API's time.
	Now     time.Time `json:"now"`
	Account string    `json:"account"`
	Tokens  []Token   `json:"tokens"`
}

// Token is one of them; its value is never in it.
type Token struct {
	ID    int64  `json:"token_id"`
	Label string `json:"label"`
	// Active is false once it is revoked; Live is true as long as Qualytics
	// takes it.
	Active bool `json:"active"`
	Live   bool `json:"live"`
	// Slot and Generation are set when the label is one of this agent's.
	Slot       string     `json:"slot,omitempty"`
	Generation uint64     `json:"generation,omitempty"`
	CreatedAt  *time.Time `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

// TokensOf picks the account's out of a list of all tokens.
func TokensOf(list []rotation.Token, account, agentID string, now time.Time) Tokens {
	all := Tokens{Now: now.UTC(), Account: account, Tokens: []Token{}}
	for _, t := range list {
		if t.AccountID != account {
			continue
		}
		one := Token{ID: t.ID, Label: t.Label, Active: t.Active, Live: t.Live(now), CreatedAt: moment(t.Created),
			ExpiresAt: moment(t.Expires), LastUsedAt: moment(t.LastUsed)}
		if name, number, ours := rotation.SplitLabel(t.Label, agentID); ours {
			one.Slot, one.Generation = account+"/"+name, number
		}
		all.Tokens = append(all.Tokens, one)
	}
	return all
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
