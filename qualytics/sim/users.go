package sim

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

var roleNames = []string{roleAdmin, roleManager, roleEditor, roleMember}

// What bodies and queries about users may hold.
var (
	userBody = []field{
		{name: "name", kind: text, required: true, min: 1, max: 255},
		{name: "role", kind: text, required: true, enum: roleNames},
		{name: "teams", kind: texts, nullable: true},
	}
	// userUpdate is a guess; active: false deactivates, true reactivates.
	userUpdate = []field{
		{name: "role", kind: text, nullable: true, enum: roleNames},
		{name: "teams", kind: texts, nullable: true},
		{name: "active", kind: boolean, nullable: true},
	}
	listingQuery = []field{{name: "type", kind: text, enum: []string{typeService, typeUser}}}
	userQuery    = slices.Concat(listingQuery, pageQuery, []field{
		{name: "name", kind: text},
		{name: "role", kind: text, enum: roleNames},
		{name: "team", kind: text},
		{name: "sort", kind: text, enum: []string{"id", "name", "role", "user_id", "created_at"}},
		{name: "sort_dir", kind: text, enum: []string{"asc", "desc"}},
		{name: "include_deleted", kind: boolean},
	})
)

// userJSON is a user as the API shows it. last_login stays null: service
// accounts can't log in, and persons don't here.
type userJSON struct {
	ID        int64      `json:"id"`
	UserID    string     `json:"user_id"`
	UserName  string     `json:"user_name"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	UserType  string     `json:"user_type"`
	Role      string     `json:"role"`
	Teams     []string   `json:"teams"`
	CreatedBy *int64     `json:"created_by_id"`
	LastLogin *time.Time `json:"last_login"`
	CreatedAt time.Time  `json:"created_at"`
	DeletedAt *time.Time `json:"deleted_at"`
	// Active is false for a deactivated account. The key is a guess.
	Active bool `json:"active"`
}

func (a account) json() userJSON {
	u := userJSON{
		ID: a.ID, UserID: a.UserID, UserName: a.UserID, Email: a.Email, Name: a.Name,
		UserType: a.Type, Role: a.Role, Teams: a.Teams,
		CreatedAt: a.Created, DeletedAt: orNull(a.Deleted), Active: !a.Deactivated && a.Deleted.IsZero(),
	}
	if a.CreatedBy != 0 {
		u.CreatedBy = &a.CreatedBy
	}
	return u
}

// orNull is t, or JSON's null for the zero time.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// getMe answers who the caller is.
func getMe(c *call) (answer, error) { return ok(c.caller.json()) }

// createUser answers POST /users: service accounts alone are made by the API.
func createUser(c *call) (answer, error) {
	given, err := c.given()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	a, err := c.s.store.createService(given.text("name"), given.text("role"), given.texts("teams"), c.caller.ID, c.now)
	if err != nil {
		return answer{}, err
	}
	return ok(a.json())
}

// getUser answers GET /users/{id}; a deleted user is 404 (guess).
func getUser(c *call) (answer, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	a, err := c.user()
	if err != nil {
		return answer{}, err
	}
	return ok(a.json())
}

// user finds the user that the path names.
func (c *call) user() (account, error) {
	id, err := c.id()
	if err != nil {
		return account{}, err
	}
	return c.s.store.existingAccount(id)
}

// updateUser answers PUT /users/{id}: what is given is set, at once and for
// all tokens.
func updateUser(c *call) (answer, error) {
	given, err := c.given()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	a, err := c.user()
	if err != nil {
		return answer{}, err
	}
	if given.has("role") {
		a.Role = given.text("role")
	}
	if given.has("active") {
		a.Deactivated = !given.bool("active")
	}
	if given.has("teams") {
		if a.Teams, err = c.s.store.withPublic(given.texts("teams")); err != nil {
			return answer{}, err
		}
	}
	if err := c.s.store.commit(change{Account: &a}, c.now); err != nil {
		return answer{}, err
	}
	return ok(a.json())
}

// listUsers answers GET /users.
func listUsers(c *call) (answer, error) {
	asked, err := c.asked()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	found := c.s.store.accounts.asOf(c.tweak.undo(c.now), func(a account) bool { return wanted(a, asked) })
	c.s.mu.Unlock()
	sortAccounts(found, asked.text("sort"), asked.text("sort_dir") == "desc")
	return paged(c, usersJSON(found), asked)
}

// listingUsers answers the older listing: all at once.
func listingUsers(c *call) (answer, error) {
	asked, err := c.asked()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	found := c.s.store.accounts.asOf(c.tweak.undo(c.now), func(a account) bool { return wanted(a, asked) })
	c.s.mu.Unlock()
	list := cutList(c, usersJSON(found))
	if c.s.opts.ListingItems {
		return ok(map[string]any{"items": list})
	}
	return ok(list)
}

func usersJSON(found []account) []userJSON {
	list := make([]userJSON, len(found))
	for i, a := range found {
		list[i] = a.json()
	}
	return list
}

// wanted applies the filters. That name looks for a part, whatever its case,
// is a guess.
func wanted(a account, asked values) bool {
	switch {
	case !a.Deleted.IsZero() && !asked.bool("include_deleted"),
		asked.has("type") && a.Type != asked.text("type"),
		asked.has("role") && a.Role != asked.text("role"),
		asked.has("team") && !slices.Contains(a.Teams, asked.text("team")):
		return false
	}
	return strings.Contains(strings.ToLower(a.Name), strings.ToLower(asked.text("name")))
}

// sortAccounts sorts by a key of userQuery; "" is the number.
func sortAccounts(list []account, key string, descending bool) {
	compare := map[string]func(a, b account) int{
		"name":       func(a, b account) int { return cmp.Compare(a.Name, b.Name) },
		"role":       func(a, b account) int { return cmp.Compare(a.Role, b.Role) },
		"user_id":    func(a, b account) int { return cmp.Compare(a.UserID, b.UserID) },
		"created_at": func(a, b account) int { return a.Created.Compare(b.Created) },
	}[key]
	slices.SortFunc(list, func(a, b account) int {
		order := cmp.Compare(a.ID, b.ID)
		if compare != nil {
			order = cmp.Or(compare(a, b), order)
		}
		if descending {
			return -order
		}
		return order
	})
}
