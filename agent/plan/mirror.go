package plan

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// mirror is Qualytics as it was listed once, and as it would be after what the
// engine has done to it. Numbers of what it makes are below 0.
type mirror struct {
	now func() time.Time
	// tokenOf finds the number of a token that the journal knows.
	tokenOf func(secret.Fingerprint) (int64, bool)

	mu       sync.Mutex
	accounts []rotation.Account
	tokens   []rotation.Token
	made     map[secret.Fingerprint]int64
	lastID   int64
}

var _ rotation.Issuer = (*mirror)(nil)

// newMirror makes the only two calls of a plan.
func newMirror(ctx context.Context, api API, tokenOf func(secret.Fingerprint) (int64, bool)) (*mirror, error) {
	accounts, err := api.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %w", err)
	}
	tokens, err := api.Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return &mirror{now: api.Now, tokenOf: tokenOf, accounts: accounts, tokens: tokens, made: map[secret.Fingerprint]int64{}}, nil
}

// Now is the API's time.
func (m *mirror) Now() time.Time { return m.now() }

// Accounts lists what was listed, and what would be made since.
func (m *mirror) Accounts(context.Context) ([]rotation.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.accounts), nil
}

// Tokens lists what was listed, and what would be made and left since.
func (m *mirror) Tokens(context.Context) ([]rotation.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.tokens), nil
}

// CreateAccount notes the account.
func (m *mirror) CreateAccount(_ context.Context, spec rotation.AccountSpec) (rotation.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID--
	made := rotation.Account{UserID: m.lastID, ID: rotation.AccountID(spec.Name), Name: spec.Name, Role: spec.Role, Teams: spec.Teams}
	m.accounts = append(m.accounts, made)
	return made, nil
}

// UpdateAccount notes role and teams.
func (m *mirror) UpdateAccount(_ context.Context, userID int64, spec rotation.AccountSpec) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.accounts {
		if m.accounts[i].UserID == userID {
			m.accounts[i].Role, m.accounts[i].Teams = spec.Role, spec.Teams
			return nil
		}
	}
	return refuse("PUT /users/{id}", rotation.ErrMissing)
}

// DeactivateAccount notes that it is out of use.
func (m *mirror) DeactivateAccount(_ context.Context, userID int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.accounts {
		if m.accounts[i].UserID == userID {
			m.accounts[i].Deactivated = true
			return nil
		}
	}
	return refuse("PUT /users/{id}", rotation.ErrMissing)
}

// Issue makes up a token that nobody takes. It has the look of a real one, for
// a format may ask for that.
func (m *mirror) Issue(_ context.Context, order rotation.Order) (rotation.Issued, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID--
	now := m.now()
	token := rotation.Token{ID: m.lastID, Label: order.Label, UserID: order.UserID, AccountID: order.AccountID, Active: true, Created: now}
	if order.Days > 0 {
		token.Expires = now.Add(time.Duration(order.Days) * rotation.Day)
	}
	encode := base64.RawURLEncoding.EncodeToString
	value := secret.New(encode([]byte(`{"planned":true}`)) + "." + encode([]byte(order.Label)) + "." + rand.Text())
	m.tokens = append(m.tokens, token)
	m.made[value.Fingerprint()] = token.ID
	return rotation.Issued{ID: token.ID, Value: value, Expires: token.Expires}, nil
}

// Prove uses no token: the list tells.
func (m *mirror) Prove(_ context.Context, value secret.Value) (rotation.Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fp := value.Fingerprint()
	id, known := m.made[fp]
	if !known {
		id, known = m.tokenOf(fp)
	}
	if !known { // not the agent's: taken to be live, see Make
		return rotation.Identity{}, nil
	}
	for _, t := range m.tokens {
		if t.ID == id && t.Live(m.now()) && m.works(t.AccountID) {
			return rotation.Identity{AccountID: t.AccountID}, nil
		}
	}
	return rotation.Identity{}, refuse("GET /users/me", rotation.ErrDead)
}

func (m *mirror) works(accountID string) bool {
	return slices.ContainsFunc(m.accounts, func(a rotation.Account) bool {
		return a.ID == accountID && !a.Deleted && !a.Deactivated
	})
}

// Revoke notes that the token is revoked.
func (m *mirror) Revoke(_ context.Context, id int64) error { return m.setActive(id, false) }

// Restore notes that the token is live again.
func (m *mirror) Restore(_ context.Context, id int64) error { return m.setActive(id, true) }

func (m *mirror) setActive(id int64, active bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.tokens {
		if m.tokens[i].ID == id {
			m.tokens[i].Active = active
			return nil
		}
	}
	return refuse("PUT /user-tokens/{id}", rotation.ErrMissing)
}

// Delete notes that the token is gone.
func (m *mirror) Delete(_ context.Context, id int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.tokens)
	m.tokens = slices.DeleteFunc(m.tokens, func(t rotation.Token) bool { return t.ID == id && !t.Active })
	if len(m.tokens) == before {
		return refuse("DELETE /user-tokens/{id}", rotation.ErrMissing)
	}
	return nil
}

func refuse(call string, kind error) error {
	return &rotation.APIError{Call: call + " of the plan", Kind: kind}
}
