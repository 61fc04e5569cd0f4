package sim

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// createTeam makes a team; 409 when the name is taken.
func (st *store) createTeam(name string, now time.Time) error {
	if st.hasTeam(name) {
		return refuse(http.StatusConflict, "Team '%s' already exists", name)
	}
	t := team{ID: st.teams.next, Name: name}
	return st.commit(change{Team: &t}, now)
}

func (st *store) hasTeam(name string) bool {
	return len(st.teams.all(func(t team) bool { return t.Name == name })) > 0
}

// withPublic checks team names and puts Public before them, each name once.
// That an unknown one gets 422 is a guess.
func (st *store) withPublic(names []string) ([]string, error) {
	teams := []string{publicTeam}
	var problems []problem
	for i, name := range names {
		if !st.hasTeam(name) {
			problems = append(problems, problem{"value_error", []any{"body", "teams", i}, "Value error, team '" + name + "' does not exist"})
		} else if !slices.Contains(teams, name) {
			teams = append(teams, name)
		}
	}
	if problems != nil {
		return nil, invalid(problems...)
	}
	return teams, nil
}

// serviceID makes the id from a name: lower case, spaces to underscores,
// special characters removed, and "@service". It is not the agent's function:
// each is made from the documents, and they check each other.
func serviceID(name string) string {
	local := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return '_'
		case r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(name))
	return local + "@service"
}

// createService makes a service account. The id of a deleted account stays
// taken (guess).
func (st *store) createService(name, role string, teams []string, by int64, now time.Time) (account, error) {
	id := serviceID(name)
	local := strings.TrimSuffix(id, "@service")
	if local == "" {
		return account{}, invalid(problem{"value_error", []any{"body", "name"}, "Value error, the name leaves no id"})
	}
	teams, err := st.withPublic(teams)
	if err != nil {
		return account{}, err
	}
	return st.createAccount(account{
		UserID: id, Email: local + "@service.example.com", Name: name,
		Type: typeService, Role: role, Teams: teams, CreatedBy: by, Created: now,
	})
}

// createPerson makes a user who can log in.
func (st *store) createPerson(name, email, role string, now time.Time) (account, error) {
	return st.createAccount(account{
		UserID: email, Email: email, Name: name,
		Type: typeUser, Role: role, Teams: []string{publicTeam}, Created: now,
	})
}

func (st *store) createAccount(a account) (account, error) {
	if _, taken := st.accountByUserID(a.UserID); taken {
		return account{}, refuse(http.StatusConflict, "User '%s' already exists", a.UserID)
	}
	a.ID = st.accounts.next
	return a, st.commit(change{Account: &a}, a.Created)
}

// existingAccount finds an account that isn't deleted.
func (st *store) existingAccount(id int64) (account, error) {
	a, ok := st.accounts.get(id)
	if !ok || !a.Deleted.IsZero() {
		return account{}, refuse(http.StatusNotFound, "User not found")
	}
	return a, nil
}
