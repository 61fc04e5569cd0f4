package sim

import "time"

// The roles that any edition of the documents names.
const (
	roleAdmin   = "Admin"
	roleManager = "Manager"
	roleEditor  = "Editor"
	roleMember  = "Member"
)

// The types of users.
const (
	typeService = "Service"
	typeUser    = "User"
)

// publicTeam is the team that everybody is in and can't leave.
const publicTeam = "Public"

// ownerID is the person that every instance starts with: who makes what is
// made by hand.
const ownerID = "owner@example.com"

// Accounts, tokens and teams count from different numbers, so that a client
// that mixes up two ids fails at once.
const (
	firstAccount = 101
	firstToken   = 5001
	firstTeam    = 1
)

// The rows of the store. They are values: a change puts a new one. Their JSON
// is the state file's, not the API's.

// account is a service account or a person.
type account struct {
	ID          int64     `json:"id"`
	UserID      string    `json:"user_id"`
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Role        string    `json:"role"`
	Teams       []string  `json:"teams"`
	CreatedBy   int64     `json:"created_by,omitzero"`
	Created     time.Time `json:"created"`
	Deactivated bool      `json:"deactivated,omitzero"`
	Deleted     time.Time `json:"deleted,omitzero"`
}

func (a account) rowID() int64 { return a.ID }

// token is a service token or a personal one; never its value. A deleted one
// stays, for its name and its number.
type token struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Account int64     `json:"account"`
	MAC     string    `json:"mac"`
	Active  bool      `json:"active"`
	SCIM    bool      `json:"scim,omitzero"`
	Created time.Time `json:"created"`
	// Expires is zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// ValidFrom is later than Created where a fault says so.
	ValidFrom time.Time `json:"valid_from,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Deleted   time.Time `json:"deleted,omitzero"`
}

func (t token) rowID() int64 { return t.ID }

// state says how the token stands at now; "live" or why not.
func (t token) state(now time.Time) string {
	switch {
	case !t.Deleted.IsZero():
		return "deleted"
	case !t.Active:
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	case now.Before(t.ValidFrom):
		return "not valid yet"
	}
	return stateLive
}

// state says how the account stands; "live" or why its tokens don't work.
func (a account) state() string {
	switch {
	case !a.Deleted.IsZero():
		return "of a deleted account"
	case a.Deactivated:
		return "of a deactivated account"
	}
	return stateLive
}

const stateLive = "live"

// team is a team.
type team struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (t team) rowID() int64 { return t.ID }
