package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/qualytics/sim"
)

func TestCreateUserAnswersAsDocumented(t *testing.T) {
	i := start(t)
	var got user
	i.do("POST", "/api/users", `{"name": "API Access", "role": "Editor", "teams": ["Data Engineering"]}`).want(t, 200).into(t, &got)
	var owner int64
	for _, a := range i.Accounts() {
		if a.ID == "handover_admin@service" {
			owner = a.UserID
		}
	}
	want := user{
		ID: got.ID, UserID: "api_access@service", UserName: "api_access@service",
		Email: "api_access@service.example.com", Name: "API Access", UserType: "Service", Role: "Editor",
		Teams: []string{"Public", "Data Engineering"}, CreatedBy: owner, Active: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("POST /users (-want +got):\n%s", diff)
	}
	if got.ID == 0 {
		t.Error("no id")
	}
	var again user
	i.do("GET", fmt.Sprintf("/api/users/%d", got.ID), "").want(t, 200).into(t, &again)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("GET /users/{id} (-created +read):\n%s", diff)
	}
}

func TestIDsAreMadeFromNames(t *testing.T) {
	for name, want := range map[string]string{
		"Pipeline Automation":  "pipeline_automation@service",
		"API Access":           "api_access@service",
		"Alation-Sync (prod!)": "alationsync_prod@service",
		"a_b 9":                "a_b_9@service",
		"Größe\tX":             "gre_x@service",
	} {
		t.Run(name, func(t *testing.T) {
			if got := start(t).account(name, "Member").UserID; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestPublicTeamStays(t *testing.T) {
	i := start(t)
	u := i.account("Pipeline Automation", "Editor")
	path := fmt.Sprintf("/api/users/%d", u.ID)
	for _, step := range []struct {
		body string
		want []string
	}{
		{`{"teams": ["Analytics", "Analytics", "Public"]}`, []string{"Public", "Analytics"}},
		{`{"teams": []}`, []string{"Public"}},
		{`{"teams": ["Data Quality", "Analytics"]}`, []string{"Public", "Data Quality", "Analytics"}},
		{`{"role": "Manager"}`, []string{"Public", "Data Quality", "Analytics"}},
	} {
		var got user
		i.do("PUT", path, step.body).want(t, 200).into(t, &got)
		if diff := cmp.Diff(step.want, got.Teams); diff != "" {
			t.Errorf("PUT %s (-want +got):\n%s", step.body, diff)
		}
	}
}

func TestRoleChangeActsOnExistingTokens(t *testing.T) {
	i := start(t)
	u := i.account("Pipeline Automation", "Member")
	token := i.mint(u, "one", 1).value()
	if got := i.send(t.Context(), "GET", "/api/users", token, "").status; got != 403 {
		t.Fatalf("as Member: got %d, want 403", got)
	}
	i.do("PUT", fmt.Sprintf("/api/users/%d", u.ID), `{"role": "Admin"}`).want(t, 200)
	if got := i.send(t.Context(), "GET", "/api/users", token, "").status; got != 200 {
		t.Errorf("as Admin: got %d, want 200", got)
	}
}

func TestDeactivateByTheAPI(t *testing.T) {
	i := start(t)
	u := i.account("Pipeline Automation", "Member")
	token := i.mint(u, "one", 1).value()
	path := fmt.Sprintf("/api/users/%d", u.ID)
	for _, step := range []struct {
		active bool
		proves int
	}{{false, 401}, {true, 200}} {
		var got user
		i.do("PUT", path, fmt.Sprintf(`{"active": %v}`, step.active)).want(t, 200).into(t, &got)
		if got.Active != step.active {
			t.Errorf("active: got %v, want %v", got.Active, step.active)
		}
		if status := i.proves(token); status != step.proves {
			t.Errorf("active %v: its token got %d, want %d", step.active, status, step.proves)
		}
	}
}

// usersPage is GET /users.
type usersPage struct {
	Items      []user `json:"items"`
	Total      int    `json:"total"`
	TotalCount int    `json:"total_count"`
	Page       int    `json:"page"`
	Size       int    `json:"size"`
}

func TestListUsersFilters(t *testing.T) {
	i := start(t)
	for n, spec := range []struct {
		name, role string
		teams      []string
	}{
		{"Beta Sync", "Editor", []string{"Analytics"}},
		{"Alpha Sync", "Manager", []string{"Analytics"}},
		{"Gamma", "Editor", nil},
		{"Deleted", "Editor", nil},
	} {
		i.clock.advance(time.Duration(n) * time.Minute)
		if _, err := i.CreateAccount(spec.name, spec.role, spec.teams...); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.DeleteAccount("deleted@service"); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"type=Service":                                "Handover Admin, Beta Sync, Alpha Sync, Gamma",
		"type=User":                                   "Instance Owner",
		"type=Service&include_deleted=true":           "Handover Admin, Beta Sync, Alpha Sync, Gamma, Deleted",
		"type=Service&include_deleted=false":          "Handover Admin, Beta Sync, Alpha Sync, Gamma",
		"name=SYNC":                                   "Beta Sync, Alpha Sync",
		"role=Editor":                                 "Beta Sync, Gamma",
		"team=Analytics":                              "Beta Sync, Alpha Sync",
		"team=Analytics&role=Manager":                 "Alpha Sync",
		"team=Nobody":                                 "",
		"name=sync&sort=name":                         "Alpha Sync, Beta Sync",
		"name=sync&sort=name&sort_dir=desc":           "Beta Sync, Alpha Sync",
		"type=Service&sort=role":                      "Handover Admin, Beta Sync, Gamma, Alpha Sync",
		"type=Service&sort=user_id":                   "Alpha Sync, Beta Sync, Gamma, Handover Admin",
		"name=a&type=Service&sort=created_at&size=2":  "Handover Admin, Beta Sync",
		"type=Service&sort=id&sort_dir=desc&size=1":   "Gamma",
		"type=Service&sort_dir=desc&size=2&page=2":    "Beta Sync, Handover Admin",
		"type=Service&size=2&page=3":                  "",
		"type=Service&size=3&page=2":                  "Gamma",
		"type=Service&size=1&page=922337203685477580": "",
	} {
		t.Run(query, func(t *testing.T) {
			var got usersPage
			i.do("GET", "/api/users?"+query, "").want(t, 200).into(t, &got)
			var names []string
			for _, u := range got.Items {
				names = append(names, u.Name)
			}
			if joined := strings.Join(names, ", "); joined != want {
				t.Errorf("got %q, want %q", joined, want)
			}
			if got.Total != got.TotalCount || got.Total < len(got.Items) {
				t.Errorf("total %d, total_count %d for %d items", got.Total, got.TotalCount, len(got.Items))
			}
		})
	}
}

func TestDeletedUsersShowWhen(t *testing.T) {
	i := start(t)
	u := i.account("Gone", "Member")
	if err := i.DeleteAccount(u.UserID); err != nil {
		t.Fatal(err)
	}
	var got usersPage
	i.do("GET", "/api/users?include_deleted=true&name=gone", "").want(t, 200).into(t, &got)
	if len(got.Items) != 1 || got.Items[0].DeletedAt != "2026-03-01T12:00:00Z" || got.Items[0].Active {
		t.Errorf("got %+v, want one user that was deleted at 12:00", got.Items)
	}
	i.do("GET", fmt.Sprintf("/api/users/%d", u.ID), "").want(t, 404)
	i.do("PUT", fmt.Sprintf("/api/users/%d", u.ID), `{"role": "Admin"}`).want(t, 404)
	i.do("POST", "/api/users", `{"name": "Gone", "role": "Member"}`).want(t, 409)
}

func TestPagesCoverAllOnce(t *testing.T) {
	i := start(t)
	const accounts = 120
	for n := range accounts {
		i.account(fmt.Sprintf("Account %d", n), "Member")
	}
	for _, size := range []int{1, 7, 50, 100} {
		seen := map[int64]int{}
		for page := 1; len(seen) < accounts+1; page++ {
			var got usersPage
			i.do("GET", fmt.Sprintf("/api/users?type=Service&page=%d&size=%d", page, size), "").want(t, 200).into(t, &got)
			if got.Total != accounts+1 || got.Page != page || got.Size != size || len(got.Items) == 0 {
				t.Fatalf("page %d of size %d: total %d, page %d, size %d, %d items", page, size, got.Total, got.Page, got.Size, len(got.Items))
			}
			for _, u := range got.Items {
				seen[u.ID]++
			}
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("size %d: user %d was listed %d times", size, id, times)
			}
		}
	}
	var got usersPage
	i.do("GET", "/api/users", "").want(t, 200).into(t, &got)
	if got.Page != 1 || got.Size != 50 || len(got.Items) != 50 {
		t.Errorf("by default: page %d, size %d, %d items; want 1, 50, 50", got.Page, got.Size, len(got.Items))
	}
}

func TestListingInBothShapes(t *testing.T) {
	var asArray []user
	start(t).do("GET", "/api/users/listing?type=Service", "").want(t, 200).into(t, &asArray)
	var asItems usersPage
	start(t, func(o *sim.Options) { o.ListingItems = true }).
		do("GET", "/api/users/listing?type=Service", "").want(t, 200).into(t, &asItems)
	for shape, got := range map[string][]user{"array": asArray, "items": asItems.Items} {
		if len(got) != 1 || got[0].UserID != "handover_admin@service" {
			t.Errorf("%s: got %+v, want the admin alone", shape, got)
		}
	}
}

func TestTeams(t *testing.T) {
	i := start(t, func(o *sim.Options) { o.Teams = []string{"Blue", "Red", "Blue"} })
	member := i.mint(i.account("Reader", "Member"), "one", 1).value()
	var got struct {
		Items []struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"items"`
		Total int `json:"total"`
	}
	i.send(t.Context(), "GET", "/api/teams?page=1&size=100", member, "").want(t, 200).into(t, &got)
	var names []string
	for _, team := range got.Items {
		names = append(names, team.Name)
		r := i.send(t.Context(), "GET", fmt.Sprintf("/api/teams/%d", team.ID), member, "").want(t, 200)
		if !strings.Contains(r.text(), team.Name) {
			t.Errorf("team %d: got %s, want %s", team.ID, r.text(), team.Name)
		}
	}
	if diff := cmp.Diff([]string{"Public", "Blue", "Red"}, names); diff != "" || got.Total != 3 {
		t.Errorf("total %d, teams (-want +got):\n%s", got.Total, diff)
	}
	i.do("GET", "/api/teams/99", "").want(t, 404)
}
