package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Token is what is known of a token, now.
type Token struct {
	ID int64
	// Label is the token's name.
	Label string
	// AccountID is "<id>@service", or a person's e-mail.
	AccountID string
	// Service: it belongs to a service account. SCIM: it is restricted.
	Service, SCIM bool
	// Active is false once it is revoked; a deleted one stays in snapshots.
	Active, Deleted bool
	Created         time.Time
	// Expires, LastUsed are zero for never.
	Expires, LastUsed time.Time
	// State is "live", or why the API refuses it: "revoked", "expired",
	// "deleted", "not valid yet", "of a deactivated account", "of a deleted
	// account".
	State string
}

// Live reports whether the API takes the token.
func (t Token) Live() bool { return t.State == stateLive }

// Account is what is known of an account.
type Account struct {
	// UserID is the number, ID is "<id>@service" or a person's e-mail.
	UserID               int64
	ID, Name, Role       string
	Teams                []string
	Service              bool
	Deactivated, Deleted bool
}

func (a account) snapshot() Account {
	return Account{
		UserID: a.ID, ID: a.UserID, Name: a.Name, Role: a.Role, Teams: slices.Clone(a.Teams),
		Service: a.Type == typeService, Deactivated: a.Deactivated, Deleted: !a.Deleted.IsZero(),
	}
}

// Tokens is every token that ever was, by rising number.
func (s *Server) Tokens() []Token {
	return s.tokensWhere(func(token, account) bool { return true })
}

// LiveTokens are the tokens of one account that the API takes now.
func (s *Server) LiveTokens(accountID string) []Token {
	all := s.tokensWhere(func(_ token, a account) bool { return a.UserID == accountID })
	return slices.DeleteFunc(all, func(t Token) bool { return !t.Live() })
}

func (s *Server) tokensWhere(want func(token, account) bool) []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var list []Token
	for _, t := range s.store.tokens.all(func(token) bool { return true }) {
		a, _ := s.store.accounts.get(t.Account)
		if want(t, a) {
			list = append(list, s.store.snapshot(t, a, now))
		}
	}
	return list
}

func (st *store) snapshot(t token, a account, now time.Time) Token {
	state := t.state(now)
	if state == stateLive {
		state = a.state()
	}
	if state == stateLive && st.refusals[t.ID] > 0 {
		state = "not valid yet"
	}
	return Token{
		ID: t.ID, Label: t.Name, AccountID: a.UserID, Service: a.Type == typeService, SCIM: t.SCIM,
		Active: t.Active, Deleted: !t.Deleted.IsZero(),
		Created: t.Created, Expires: t.Expires, LastUsed: t.LastUsed, State: state,
	}
}

// Accounts is every account and person that ever was, by rising number.
func (s *Server) Accounts() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Account
	for _, a := range s.store.accounts.all(func(account) bool { return true }) {
		list = append(list, a.snapshot())
	}
	return list
}

// Check tells whether the API takes this value now: nil, or why not, by number
// and never by value. It doesn't count as a use.
func (s *Server) Check(value secret.Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, a, err := s.store.lookup(value.Reveal(), s.now())
	if err != nil {
		return err
	}
	if state := s.store.snapshot(t, a, s.now()).State; state != stateLive {
		return fmt.Errorf("token %d is %s", t.ID, state)
	}
	return nil
}
