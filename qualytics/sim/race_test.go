package sim_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/handover-agent/handover/qualytics/sim"
)

// TestOneOfManyGetsTheName lets many clients mint under one name at once.
func TestOneOfManyGetsTheName(t *testing.T) {
	i, path := kept(t)
	u := i.account("API Access", "Member")
	body := fmt.Sprintf(`{"name": "same", "user_id": %d, "expires_in_days": 1}`, u.ID)
	const clients = 32
	statuses := make([]int, clients)
	together(clients, func(n int) { statuses[n] = i.do("POST", "/api/user-tokens", body).status })
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[200] != 1 || count[409] != clients-1 {
		t.Errorf("got %v, want one 200 and %d 409", count, clients-1)
	}
	if got := len(i.again(copyOf(t, path)).LiveTokens(u.UserID)); got != 1 {
		t.Errorf("%d tokens are in the state file, want 1", got)
	}
}

// TestManyClientsAtOnce mixes all calls, hand-made changes and faults, and then
// compares the server with what its file says.
func TestManyClientsAtOnce(t *testing.T) {
	i, path := kept(t)
	const clients, rounds = 8, 20
	users := make([]user, clients)
	for n := range users {
		users[n] = i.account(fmt.Sprintf("Client %d", n), "Member")
	}
	together(clients, func(n int) {
		for round := range rounds {
			body := fmt.Sprintf(`{"name": "r%d", "user_id": %d, "expires_in_days": 1}`, round, users[n].ID)
			var minted row
			i.do("POST", "/api/user-tokens", body).into(t, &minted)
			if got := i.proves(minted.value()); got != 200 {
				t.Errorf("client %d, round %d: a fresh token got %d", n, round, got)
			}
			rule := i.Inject(sim.Fault{Path: fmt.Sprintf("/user-tokens/%d", minted.ID), Effect: sim.Twice()})
			i.do("GET", "/api/user-tokens/service", "")
			i.do("PUT", fmt.Sprintf("/api/user-tokens/%d", minted.ID), `{"revoke": true}`)
			rule.Remove()
			if got := i.proves(minted.value()); got != 401 {
				t.Errorf("client %d, round %d: a revoked token got %d", n, round, got)
			}
			if round%2 == 0 {
				if err := i.DeleteToken(minted.ID); err != nil {
					t.Errorf("client %d, round %d: %v", n, round, err)
				}
			}
		}
	})
	seen := map[int64]bool{}
	for _, token := range i.Tokens() {
		if seen[token.ID] {
			t.Errorf("the id %d was given twice", token.ID)
		}
		seen[token.ID] = true
	}
	if want := clients*rounds + 1; len(seen) != want {
		t.Errorf("%d tokens, want %d", len(seen), want)
	}
	if got, want := len(i.again(copyOf(t, path)).Tokens()), len(seen); got != want {
		t.Errorf("%d tokens are in the state file, want %d", got, want)
	}
	if got, want := i.Calls()["POST /user-tokens"], clients*rounds; got != want {
		t.Errorf("%d calls were counted, want %d", got, want)
	}
}

// together runs act for each of n clients at once, and waits for all.
func together(n int, act func(int)) {
	var all sync.WaitGroup
	for client := range n {
		all.Go(func() { act(client) })
	}
	all.Wait()
}
