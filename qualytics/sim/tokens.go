package sim

import (
	"net/http"
	"time"
)

// maxTokenName is the longest name of a token, in characters.
const maxTokenName = 255

// What bodies about tokens may hold. That expires_in_days must be given, if
// only as null, is a guess on the safe side: left out, it would mean never.
var (
	tokenBody = []field{
		{name: "name", kind: text, required: true, min: 1, max: maxTokenName},
		{name: "user_id", kind: integer, required: true},
		{name: "expires_in_days", kind: integer, required: true, nullable: true, min: 1, max: 365},
		{name: "scim_endpoints_only", kind: boolean},
	}
	tokenUpdate = []field{{name: "revoke", kind: boolean, required: true}}
)

// tokenJSON is a token in a list.
type tokenJSON struct {
	ID         int64      `json:"id"`
	Created    time.Time  `json:"created"`
	Name       string     `json:"name"`
	Active     bool       `json:"active"`
	Expiration *time.Time `json:"expiration"`
	LastUsed   *time.Time `json:"last_used"`
	User       ownerJSON  `json:"user"`
}

// ownerJSON is the account in a token.
type ownerJSON struct {
	ID       int64  `json:"id"`
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	UserType string `json:"user_type"`
}

// mintedJSON is the one answer with a token's value in it.
type mintedJSON struct {
	ID          int64           `json:"id"`
	Name        string          `json:"name"`
	Active      bool            `json:"active"`
	Expiration  *time.Time      `json:"expiration"`
	BearerToken string          `json:"bearer_token"`
	User        mintedOwnerJSON `json:"user"`
}

type mintedOwnerJSON struct {
	ID       int64  `json:"id"`
	UserID   string `json:"user_id"`
	Name     string `json:"name"`
	UserType string `json:"user_type"`
}

func (t token) json(a account) tokenJSON {
	return tokenJSON{
		ID: t.ID, Created: t.Created, Name: t.Name, Active: t.Active,
		Expiration: orNull(t.Expires), LastUsed: orNull(t.LastUsed),
		User: ownerJSON{
			ID: a.ID, UserID: a.UserID, UserName: a.UserID, Email: a.Email,
			Name: a.Name, Role: a.Role, UserType: a.Type,
		},
	}
}

// createToken answers POST /user-tokens. A deactivated account gets none
// (guess); a deleted one isn't found.
func createToken(c *call) (answer, error) {
	given, err := c.given()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	a, err := c.s.store.existingAccount(given.int("user_id"))
	if err != nil {
		return answer{}, err
	}
	if a.Type != typeService {
		return answer{}, invalid(problem{"value_error", []any{"body", "user_id"}, "Value error, service tokens can only be created for service users"})
	}
	if a.Deactivated {
		return answer{}, invalid(problem{"value_error", []any{"body", "user_id"}, "Value error, the user is deactivated"})
	}
	t, value, err := c.s.store.issue(order{
		account: a, name: given.text("name"), days: given.int("expires_in_days"),
		scim: given.bool("scim_endpoints_only"), keepDeletedNames: c.s.opts.KeepDeletedNames,
		delay: c.tweak.freshDelay, refusals: c.tweak.freshRefusals,
	}, c.now)
	if err != nil {
		return answer{}, err
	}
	return ok(mintedJSON{
		ID: t.ID, Name: t.Name, Active: t.Active, Expiration: orNull(t.Expires), BearerToken: value.Reveal(),
		User: mintedOwnerJSON{ID: a.ID, UserID: a.UserID, Name: a.Name, UserType: a.Type},
	})
}

// listServiceTokens answers GET /user-tokens/service: every token of every
// service account, those of deleted accounts too.
func listServiceTokens(c *call) (answer, error) {
	return c.tokenList(func(a account) bool { return a.Type == typeService })
}

// listOwnTokens answers GET /user-tokens.
func listOwnTokens(c *call) (answer, error) {
	return c.tokenList(func(a account) bool { return a.ID == c.caller.ID })
}

func (c *call) tokenList(of func(account) bool) (answer, error) {
	c.s.mu.Lock()
	st := c.s.store
	list := []tokenJSON{}
	for _, t := range st.tokens.asOf(c.tweak.undo(c.now), notDeleted) {
		if a, _ := st.accounts.get(t.Account); of(a) {
			list = append(list, t.json(a))
		}
	}
	c.s.mu.Unlock()
	return ok(cutList(c, list))
}

// updateToken answers PUT /user-tokens/{id}. Doing it again is no error, and
// an expired token can be revoked and restored (both guesses).
func updateToken(c *call) (answer, error) {
	given, err := c.given()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, a, err := c.managed()
	if err != nil {
		return answer{}, err
	}
	if t, err = c.s.store.setActive(t, !given.bool("revoke"), c.now); err != nil {
		return answer{}, err
	}
	return ok(t.json(a))
}

// deleteToken answers DELETE /user-tokens/{id} with 204 (guess).
func deleteToken(c *call) (answer, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, _, err := c.managed()
	if err != nil {
		return answer{}, err
	}
	if err := c.s.store.remove(t, c.now); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// managed finds the token that the path names, if an Admin may manage it:
// service tokens and one's own. Another's personal token isn't found (guess).
func (c *call) managed() (token, account, error) {
	id, err := c.id()
	if err != nil {
		return token{}, account{}, err
	}
	t, err := c.s.store.existing(id)
	if err != nil {
		return token{}, account{}, err
	}
	a, _ := c.s.store.accounts.get(t.Account)
	if a.Type != typeService && a.ID != c.caller.ID {
		return token{}, account{}, refuse(http.StatusNotFound, "Token not found")
	}
	return t, a, nil
}

// getSCIM answers the one SCIM call there is: enough to tell a token that may
// call SCIM from one that may not.
func getSCIM(*call) (answer, error) {
	return ok(map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"}})
}
