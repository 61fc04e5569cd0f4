package qualytics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/handover-agent/handover/rotation"
)

// Accounts lists every service account, those deleted too: all pages of
// GET /users?type=Service (D), or of GET /users/listing where an older
// deployment has no such list (D; its paging is G).
func (c *Client) Accounts(ctx context.Context) ([]rotation.Account, error) {
	query := url.Values{"type": {"Service"}, "include_deleted": {"true"}}
	users, err := readPaged(ctx, c, userList("/users", query))
	var fail *rotation.APIError
	if errors.As(err, &fail) && fail.Status == http.StatusNotFound {
		users, err = readPaged(ctx, c, userList("/users/listing", url.Values{"type": {"Service"}}))
	}
	if err != nil {
		return nil, err
	}
	var accounts []rotation.Account
	for _, user := range users {
		if user.service() {
			accounts = append(accounts, user.Account)
		}
	}
	return accounts, nil
}

// user is a listed user: of people too, where a deployment doesn't filter, for
// they count in its total.
type user struct {
	rotation.Account
	people bool
}

func (u user) service() bool { return !u.people }

func userList(route string, query url.Values) list[user] {
	return list[user]{
		call: call{class: lists, method: http.MethodGet, route: route, query: query},
		id:   func(u user) int64 { return u.UserID },
		item: items(func(w wireUser) (user, error) {
			account, err := w.account()
			return user{account, !w.service()}, err
		}),
	}
}

// Account looks up one account by its number (D).
func (c *Client) Account(ctx context.Context, userID int64) (rotation.Account, error) {
	var account rotation.Account
	err := c.do(ctx, &call{
		class: reads, method: http.MethodGet, route: "/users/{id}", path: userPath(userID),
		answer: func(r io.Reader) (err error) {
			account, err = readAccount(r)
			return err
		},
	})
	return account, err
}

// Team is a team, as accounts name it.
type Team struct {
	ID   int64
	Name string
}

// Teams lists every team (D).
func (c *Client) Teams(ctx context.Context) ([]Team, error) {
	return readPaged(ctx, c, list[Team]{
		call: call{class: lists, method: http.MethodGet, route: "/teams"},
		id:   func(t Team) int64 { return t.ID },
		item: items(func(w wireTeam) (Team, error) { return readTeam(w) }),
	})
}

func readTeam(w wireTeam) (Team, error) {
	if w.ID <= 0 {
		return Team{}, errors.New("a team has no id")
	}
	return Team(w), nil
}

// accountBody is what POST /users takes (D) and PUT /users/{id} (G).
type accountBody struct {
	Name  string   `json:"name,omitempty"`
	Role  string   `json:"role,omitempty"`
	Teams []string `json:"teams"`
}

// CreateAccount makes a service account (D). It is sent at most once: any
// failure after it may have been sent is ErrUnknownOutcome, and a list tells.
// An account of that id, or name, exists: ErrDuplicate.
func (c *Client) CreateAccount(ctx context.Context, spec rotation.AccountSpec) (rotation.Account, error) {
	create := &call{class: mints, method: http.MethodPost, route: "/users"}
	if spec.Name == "" {
		return rotation.Account{}, create.fail(refused, errors.New("an account needs a name; nothing was sent"))
	}
	var account rotation.Account
	create.answer = func(r io.Reader) (err error) {
		account, err = readAccount(r)
		return err
	}
	create.body = accountBody{Name: spec.Name, Role: spec.Role, Teams: teamsOf(spec)}
	if err := c.do(ctx, create); err != nil {
		return rotation.Account{}, err
	}
	return account, nil
}

// UpdateAccount sets role and teams (that there is an update is D, path and
// body are G). The team Public stays, named or not (D).
func (c *Client) UpdateAccount(ctx context.Context, userID int64, spec rotation.AccountSpec) error {
	return c.do(ctx, &call{
		class: changes, method: http.MethodPut, route: "/users/{id}", path: userPath(userID),
		body: accountBody{Role: spec.Role, Teams: teamsOf(spec)}, answer: nothing,
	})
}

// DeactivateAccount takes an account out of use (that it can be is D; path and
// body are G, and a deployment may take them and do nothing: only the list tells).
func (c *Client) DeactivateAccount(ctx context.Context, userID int64) error {
	return c.do(ctx, &call{
		class: changes, method: http.MethodPut, route: "/users/{id}", path: userPath(userID),
		body: deactivation{}, answer: nothing,
	})
}

// deactivation is what PUT /users/{id} takes to deactivate (G).
type deactivation struct {
	Active bool `json:"active"`
}

func userPath(userID int64) string { return "/users/" + strconv.FormatInt(userID, 10) }

// teamsOf is never nil: null is no list of teams.
func teamsOf(spec rotation.AccountSpec) []string { return append([]string{}, spec.Teams...) }

func readAccount(r io.Reader) (rotation.Account, error) {
	var wire wireUser
	if err := decode(r, &wire); err != nil {
		return rotation.Account{}, err
	}
	return wire.account()
}
