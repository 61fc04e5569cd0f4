package sim

import "net/http"

// listTeams answers GET /teams.
func listTeams(c *call) (answer, error) {
	asked, err := c.asked()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	all := c.s.store.teams.all(func(team) bool { return true })
	c.s.mu.Unlock()
	return paged(c, all, asked)
}

// getTeam answers GET /teams/{id}.
func getTeam(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	c.s.mu.Lock()
	t, found := c.s.store.teams.get(id)
	c.s.mu.Unlock()
	if !found {
		return answer{}, refuse(http.StatusNotFound, "Team not found")
	}
	return ok(t)
}
