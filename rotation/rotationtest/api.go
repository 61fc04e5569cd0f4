package rotationtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// API is Qualytics in memory, behind rotation.Issuer: the same rules as
// package sim, without HTTP, so that thousands of worlds can be played. It
// reads time.Now, which is a bubble's under testing/synctest. It is safe for
// concurrent use.
type API struct {
	mu       sync.Mutex
	accounts []rotation.Account
	tokens   []apiToken           // in the order of their making, also those that are gone
	holds    map[secret.Value]int // which of them was found within a payload
	lastID   int64
	hands    hands
	// OnRevoke is told of each call that revokes a live token, before it is
	// done; may be nil.
	OnRevoke func(rotation.Token)
}

type apiToken struct {
	rotation.Token
	value secret.Value
	gone  bool
}

var _ rotation.Issuer = (*API)(nil)

// NewAPI returns an instance without accounts.
func NewAPI() *API { return &API{holds: map[secret.Value]int{}} }

// Now is the bubble's time, moved by SetClock.
func (a *API) Now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now()
}

func (a *API) now() time.Time { return time.Now().Add(a.hands.ahead) }

// Accounts lists all accounts.
func (a *API) Accounts(context.Context) ([]rotation.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.accounts), a.hands.refusal
}

// CreateAccount makes an account; a second one of that id is refused.
func (a *API) CreateAccount(_ context.Context, spec rotation.AccountSpec) (rotation.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return rotation.Account{}, a.hands.refusal
	}
	id := rotation.AccountID(spec.Name)
	if a.account(id) != nil {
		return rotation.Account{}, apiError("POST /users", 409, rotation.ErrDuplicate)
	}
	a.lastID++
	made := rotation.Account{UserID: a.lastID, ID: id, Name: spec.Name, Role: spec.Role,
		Teams: append([]string{"Public"}, spec.Teams...)}
	a.accounts = append(a.accounts, made)
	return made, nil
}

// UpdateAccount sets role and teams.
func (a *API) UpdateAccount(_ context.Context, userID int64, spec rotation.AccountSpec) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return a.hands.refusal
	}
	for i := range a.accounts {
		if a.accounts[i].UserID == userID && !a.accounts[i].Deleted {
			a.accounts[i].Role, a.accounts[i].Teams = spec.Role, append([]string{"Public"}, spec.Teams...)
			return nil
		}
	}
	return apiError("PUT /users", 404, rotation.ErrMissing)
}

// DeactivateAccount takes an account out of use.
func (a *API) DeactivateAccount(_ context.Context, userID int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return a.hands.refusal
	}
	for i := range a.accounts {
		if a.accounts[i].UserID == userID && !a.accounts[i].Deleted {
			a.accounts[i].Deactivated = true
			return nil
		}
	}
	return apiError("PUT /users", 404, rotation.ErrMissing)
}

// Tokens lists what wasn't deleted, as late as SetLag says.
func (a *API) Tokens(context.Context) ([]rotation.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return nil, a.hands.refusal
	}
	return a.hands.late(a.listed()), nil
}

func (a *API) listed() []rotation.Token {
	all := make([]rotation.Token, 0, len(a.tokens))
	for i := range a.tokens {
		if t := &a.tokens[i]; !t.gone {
			all = append(all, t.Token)
		}
	}
	return all
}

// Issue mints a token, whose name has to be new on its account.
func (a *API) Issue(_ context.Context, order rotation.Order) (rotation.Issued, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return rotation.Issued{}, a.hands.refusal
	}
	const call = "POST /user-tokens"
	for _, t := range a.tokens {
		if (!t.gone || a.hands.reserved) && t.UserID == order.UserID && t.Label == order.Label {
			return rotation.Issued{}, apiError(call, 409, rotation.ErrDuplicate)
		}
	}
	account := a.account(order.AccountID)
	if account == nil || account.UserID != order.UserID {
		return rotation.Issued{}, apiError(call, 404, rotation.ErrMissing)
	}
	t := a.issue(order)
	return rotation.Issued{ID: t.ID, Value: t.value, Expires: t.Expires}, nil
}

func (a *API) issue(order rotation.Order) apiToken {
	a.remember()
	a.lastID++
	now := a.now()
	if a.hands.days != nil {
		order.Days = *a.hands.days
	}
	t := apiToken{Token: rotation.Token{ID: a.lastID, Label: order.Label, UserID: order.UserID,
		AccountID: order.AccountID, Active: true, Created: now}, value: mint(order.AccountID, a.lastID)}
	if order.Days > 0 {
		t.Expires = now.Add(time.Duration(order.Days) * rotation.Day)
	}
	a.tokens = append(a.tokens, t)
	return t
}

// mint makes a JWT that no server signed for anybody.
func mint(accountID string, id int64) secret.Value {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": accountID, "jti": strconv.FormatInt(id, 10)})
	text, err := token.SignedString([]byte("a key of the tests"))
	if err != nil {
		return secret.New(fmt.Sprintf("token-%d", id))
	}
	return secret.New(text)
}

// Prove uses a token, which sets its last_used.
func (a *API) Prove(_ context.Context, value secret.Value) (rotation.Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return rotation.Identity{}, a.hands.refusal
	}
	t := a.byValue(value)
	if t == nil || !a.works(t) {
		return rotation.Identity{}, apiError("GET /users/me", 401, rotation.ErrDead)
	}
	if now := a.now(); !now.Before(t.LastUsed.Add(a.hands.useEvery)) {
		t.LastUsed = now
	}
	return rotation.Identity{AccountID: t.AccountID}, nil
}

// Revoke makes a token invalid at once.
func (a *API) Revoke(_ context.Context, id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return a.hands.refusal
	}
	t := a.byID(id)
	if t == nil {
		return apiError("PUT /user-tokens", 404, rotation.ErrMissing)
	}
	if a.works(t) && a.OnRevoke != nil {
		a.OnRevoke(t.Token)
	}
	a.remember()
	t.Active = false
	return nil
}

// Restore undoes Revoke.
func (a *API) Restore(_ context.Context, id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return a.hands.refusal
	}
	t := a.byID(id)
	if t == nil {
		return apiError("PUT /user-tokens", 404, rotation.ErrMissing)
	}
	a.remember()
	t.Active = true
	return nil
}

// Delete removes a revoked token.
func (a *API) Delete(_ context.Context, id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands.refusal != nil {
		return a.hands.refusal
	}
	t := a.byID(id)
	switch {
	case t == nil:
		return apiError("DELETE /user-tokens", 404, rotation.ErrMissing)
	case t.Active:
		return apiError("DELETE /user-tokens", 409, rotation.ErrRefused)
	}
	a.remember()
	t.gone = true
	return nil
}

// Works reports whether the API takes the token now. It sets no last_used.
func (a *API) Works(value secret.Value) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.byValue(value)
	return t != nil && a.works(t)
}

// WorksByID is Works for the token of that id.
func (a *API) WorksByID(id int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.byID(id)
	return t != nil && a.works(t)
}

// ByValue returns the token whose value this is.
func (a *API) ByValue(value secret.Value) (rotation.Token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.byValue(value); t != nil {
		return t.Token, true
	}
	return rotation.Token{}, false
}

// Use is a consumer's use of a token; it reports whether the API took it.
func (a *API) Use(value secret.Value) bool {
	_, err := a.Prove(context.Background(), value)
	return err == nil
}

// works reports whether the API would take t now.
func (a *API) works(t *apiToken) bool {
	account := a.account(t.AccountID)
	return !t.gone && t.Live(a.now()) && account != nil && account.UserID == t.UserID && !account.Deactivated &&
		!a.now().Before(t.Created.Add(a.hands.validAfter))
}

func (a *API) account(id string) *rotation.Account {
	for i := range a.accounts {
		if a.accounts[i].ID == id && !a.accounts[i].Deleted {
			return &a.accounts[i]
		}
	}
	return nil
}

func (a *API) byID(id int64) *apiToken {
	for i := range a.tokens {
		if t := &a.tokens[i]; t.ID == id && !t.gone {
			return t
		}
	}
	return nil
}

func (a *API) byValue(value secret.Value) *apiToken {
	for i := range a.tokens {
		if t := &a.tokens[i]; t.value.Equal(value) {
			return t
		}
	}
	return nil
}

func apiError(call string, status int, kind error) error {
	return &rotation.APIError{Call: call, Status: status, Kind: kind}
}
