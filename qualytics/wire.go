package qualytics

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// The JSON of the API, as qualytics-api.md gives it ("Service accounts",
// "Service tokens"). Unknown keys are passed over.

// wireUser is a user in a list, by itself, and inside a token.
type wireUser struct {
	ID        int64   `json:"id"`
	UserID    string  `json:"user_id"`
	UserName  string  `json:"user_name"`
	Name      string  `json:"name"`
	Role      named   `json:"role"`
	UserType  string  `json:"user_type"`
	Teams     []named `json:"teams"`
	DeletedAt stamp   `json:"deleted_at"`
	// What follows is G: see deactivated.
	Active        *bool `json:"active"`
	IsActive      *bool `json:"is_active"`
	Disabled      bool  `json:"disabled"`
	DeactivatedAt stamp `json:"deactivated_at"`
}

// service reports whether the user is a service account. An older listing may
// not honour ?type=Service (G), and a user without a type isn't told apart.
func (u wireUser) service() bool {
	return u.UserType == "" || strings.EqualFold(u.UserType, "Service")
}

// deactivated guesses from the fields that a list might tell it by (G: the
// documents say that accounts can be deactivated, not how a list shows it).
func (u wireUser) deactivated() bool {
	return u.Active != nil && !*u.Active || u.IsActive != nil && !*u.IsActive ||
		u.Disabled || !u.DeactivatedAt.IsZero()
}

// accountID is user_id; user_name is the same (D).
func (u wireUser) accountID() string {
	if u.UserID != "" {
		return u.UserID
	}
	return u.UserName
}

func (u wireUser) account() (rotation.Account, error) {
	if u.ID <= 0 {
		return rotation.Account{}, errors.New("a user has no id")
	}
	account := rotation.Account{
		UserID: u.ID, ID: u.accountID(), Name: u.Name, Role: string(u.Role),
		Deleted: !u.DeletedAt.IsZero(), Deactivated: u.deactivated(),
	}
	for _, team := range u.Teams {
		account.Teams = append(account.Teams, string(team))
	}
	return account, nil
}

// wireToken is a token in a list. It has no field for bearer_token: a list
// never holds one (D), and if one did, it would be left in the stream.
type wireToken struct {
	ID         int64    `json:"id"`
	Name       string   `json:"name"`
	Active     *bool    `json:"active"`
	Created    stamp    `json:"created"`
	Expiration stamp    `json:"expiration"`
	LastUsed   stamp    `json:"last_used"`
	User       wireUser `json:"user"`
}

// token fails without an id or a state: a token of which that isn't known must
// not pass for one that is.
func (t wireToken) token() (rotation.Token, error) {
	switch {
	case t.ID <= 0:
		return rotation.Token{}, errors.New("a token has no id")
	case t.Active == nil:
		return rotation.Token{}, errors.New("a token doesn't say whether it is active")
	}
	return rotation.Token{
		ID: t.ID, Label: t.Name, UserID: t.User.ID, AccountID: t.User.accountID(), Active: *t.Active,
		Created: t.Created.Time, Expires: t.Expiration.Time, LastUsed: t.LastUsed.Time,
	}, nil
}

// wireTeam is a team in a list.
type wireTeam struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// named is a name, given as text (D) or as an object that has one (G).
type named string

// UnmarshalJSON takes text, null, and an object with a "name".
func (n *named) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		var object struct {
			Name string `json:"name"`
		}
		err := json.Unmarshal(raw, &object)
		*n = named(object.Name)
		return err
	}
	var text string
	err := json.Unmarshal(raw, &text)
	*n = named(text)
	return err
}

// stamp is a time of the API, in UTC; the zero time for null.
type stamp struct{ time.Time }

// stampLayouts are RFC 3339 (D, by example; fractions of a second included)
// and its neighbours. A time without a zone is UTC (G).
var stampLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z0700",
}

// UnmarshalJSON takes null, an empty text and a time. Its error has no value
// in it.
func (s *stamp) UnmarshalJSON(raw []byte) error {
	s.Time = time.Time{}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New("a time is not a text")
	}
	if text == nil || *text == "" {
		return nil
	}
	for _, layout := range stampLayouts {
		if t, err := time.Parse(layout, *text); err == nil {
			s.Time = t.UTC()
			return nil
		}
	}
	return errors.New("a time can't be read")
}
