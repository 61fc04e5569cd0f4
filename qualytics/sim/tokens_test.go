package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
)

func TestTokenLife(t *testing.T) {
	i := start(t)
	u := i.account("Pipeline Automation", "Editor")
	minted := i.mint(u, "pipeline-production", 365)
	value, path := minted.value(), fmt.Sprintf("/api/user-tokens/%d", minted.ID)
	step := func(what string, status, proves int) {
		t.Helper()
		if got := i.proves(value); got != proves {
			t.Errorf("after %s (%d): its proof got %d, want %d", what, status, got, proves)
		}
	}
	step("mint", 200, 200)
	i.do("DELETE", path, "").want(t, 409)
	step("refused delete", 409, 200)
	for range 2 { // again is no error
		var got row
		i.do("PUT", path, `{"revoke": true}`).want(t, 200).into(t, &got)
		if got.Active || got.ID != minted.ID || got.BearerToken != "" {
			t.Errorf("revoke: got active %v, id %d, value shown %v", got.Active, got.ID, got.BearerToken != "")
		}
		step("revoke", 200, 401)
	}
	i.do("PUT", path, `{"revoke": false}`).want(t, 200)
	step("restore", 200, 200)
	i.do("PUT", path, `{"revoke": true}`).want(t, 200)
	i.do("DELETE", path, "").want(t, 204)
	step("delete", 204, 401)
	for _, method := range []string{"PUT", "DELETE"} {
		i.do(method, path, `{"revoke": false}`).want(t, 404)
	}
	if list := i.listed(); len(list) != 0 {
		t.Errorf("after delete: listed %v", list)
	}
}

func TestMintAnswersAsDocumented(t *testing.T) {
	i := start(t)
	i.clock.advance(900 * time.Millisecond)
	u := i.account("API Access", "Editor")
	minted := i.mint(u, "api-production", 365)
	expires := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	want := row{
		ID: minted.ID, Name: "api-production", Active: true, Expiration: &expires, BearerToken: minted.BearerToken,
		User: user{ID: u.ID, UserID: u.UserID, Name: "API Access", UserType: "Service"},
	}
	if diff := cmp.Diff(want, minted); diff != "" {
		t.Errorf("POST /user-tokens (-want +got):\n%s", diff)
	}
	listed := i.listed()["api-production"]
	want = row{
		ID: minted.ID, Name: "api-production", Active: true, Created: begin.Add(900 * time.Millisecond), Expiration: &expires,
		User: user{
			ID: u.ID, UserID: u.UserID, UserName: u.UserID, Email: u.Email,
			Name: "API Access", Role: "Editor", UserType: "Service",
		},
	}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("GET /user-tokens/service (-want +got):\n%s", diff)
	}
}

func TestTheValueIsASignedJWT(t *testing.T) {
	i := start(t)
	u := i.account("API Access", "Editor")
	minted := i.mint(u, "one", 30)
	var claims struct {
		Email string `json:"email"`
		Name  string `json:"name"`
		jwt.RegisteredClaims
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(minted.BearerToken, &claims)
	if err != nil {
		t.Fatal(secret.Redact(err, minted.value()))
	}
	if parsed.Method.Alg() != "HS256" || len(parsed.Signature) != 32 {
		t.Errorf("signed with %s, %d bytes", parsed.Method.Alg(), len(parsed.Signature))
	}
	got := fmt.Sprint(claims.Subject, " ", claims.Email, " ", claims.Name, " ", claims.ID, " ",
		claims.IssuedAt.UTC(), " ", claims.ExpiresAt.UTC())
	want := fmt.Sprint(u.UserID, " ", u.Email, " API Access ", minted.ID, " ", begin, " ", begin.AddDate(0, 0, 30))
	if got != want {
		t.Errorf("claims: got %s, want %s", got, want)
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("another key"))
	if err != nil {
		t.Fatal(err)
	}
	if status := i.proves(secret.New(forged)); status != 401 {
		t.Errorf("a forged token got %d, want 401", status)
	}
}

func TestExpiry(t *testing.T) {
	i := start(t)
	u := i.account("API Access", "Editor")
	day, never := i.mint(u, "day", 1), row{}
	i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "never", "user_id": %d, "expires_in_days": null}`, u.ID)).want(t, 200).into(t, &never)
	if never.Expiration != nil {
		t.Errorf("never: expiration %v, want null", never.Expiration)
	}
	i.clock.advance(24*time.Hour - time.Second)
	if got := i.proves(day.value()); got != 200 {
		t.Errorf("a second before its end: got %d, want 200", got)
	}
	i.clock.advance(time.Second)
	if got := i.proves(day.value()); got != 401 {
		t.Errorf("at its end: got %d, want 401", got)
	}
	path := fmt.Sprintf("/api/user-tokens/%d", day.ID)
	if r := i.listed()["day"]; !r.Active {
		t.Error("expired: listed as revoked")
	}
	i.do("DELETE", path, "").want(t, 409)
	i.do("PUT", path, `{"revoke": true}`).want(t, 200)
	i.do("DELETE", path, "").want(t, 204)
	i.clock.advance(20 * 365 * 24 * time.Hour)
	if got := i.proves(never.value()); got != 200 {
		t.Errorf("never, after 20 years: got %d, want 200", got)
	}
}

func TestNamesAreUniquePerAccount(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("deleted names kept %v", keep), func(t *testing.T) {
			i := start(t, func(o *sim.Options) { o.KeepDeletedNames = keep })
			one, other := i.account("One", "Member"), i.account("Other", "Member")
			minted := i.mint(one, "same", 1)
			i.mint(other, "same", 1)
			again := fmt.Sprintf(`{"name": "same", "user_id": %d, "expires_in_days": 1}`, one.ID)
			i.do("POST", "/api/user-tokens", again).want(t, 409)
			if err := i.RevokeToken(minted.ID); err != nil {
				t.Fatal(err)
			}
			i.do("POST", "/api/user-tokens", again).want(t, 409)
			if err := i.DeleteToken(minted.ID); err != nil {
				t.Fatal(err)
			}
			status := map[bool]int{false: 200, true: 409}[keep]
			i.do("POST", "/api/user-tokens", again).want(t, status)
		})
	}
}

func TestLastUsed(t *testing.T) {
	i := start(t)
	u := i.account("API Access", "Member")
	minted := i.mint(u, "one", 365)
	if r := i.listed()["one"]; r.LastUsed != nil {
		t.Errorf("fresh: last used %v, want null", r.LastUsed)
	}
	for _, use := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api/users/me", 200},
		{"GET", "/api/users", 403}, // the token was good, the role wasn't
		{"GET", "/api/teams/77", 404},
	} {
		i.clock.advance(1500 * time.Millisecond)
		i.send(t.Context(), use.method, use.path, minted.value(), "").want(t, use.status)
		if r := i.listed()["one"]; r.LastUsed == nil || !r.LastUsed.Equal(i.clock.now()) {
			t.Errorf("%s %s: last used %v, want %v", use.method, use.path, r.LastUsed, i.clock.now())
		}
	}
	last := i.clock.now()
	if err := i.RevokeToken(minted.ID); err != nil {
		t.Fatal(err)
	}
	i.clock.advance(time.Hour)
	i.send(t.Context(), "GET", "/api/users/me", minted.value(), "").want(t, 401)
	i.send(t.Context(), "GET", "/api/status", minted.value(), "").want(t, 200)
	if r := i.listed()["one"]; !r.LastUsed.Equal(last) {
		t.Errorf("refused or not asked for: last used %v, want %v", r.LastUsed, last)
	}
}

func TestPersonalTokens(t *testing.T) {
	i := start(t)
	person, err := i.CreatePerson("Ada", "ada@example.com", "Admin")
	if err != nil {
		t.Fatal(err)
	}
	id, value, err := i.CreateToken(person.ID, "laptop", 30)
	if err != nil {
		t.Fatal(err)
	}
	service := i.mint(i.account("API Access", "Member"), "one", 1)
	if _, listed := i.listed()["laptop"]; listed {
		t.Error("a personal token is in the list of service tokens")
	}
	for name, who := range map[string]secret.Value{"laptop": value, "one": service.value()} {
		var own []row
		i.send(t.Context(), "GET", "/api/user-tokens", who, "").want(t, 200).into(t, &own)
		if len(own) != 1 || own[0].Name != name {
			t.Errorf("own tokens of %s: got %d, want itself alone", name, len(own))
		}
	}
	refused := i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "x", "user_id": %d, "expires_in_days": 1}`, person.UserID))
	if refused.status != 422 || !strings.Contains(refused.text(), "service users") {
		t.Errorf("a service token for a person: got %d %s", refused.status, refused.text())
	}
	path := fmt.Sprintf("/api/user-tokens/%d", id)
	i.do("PUT", path, `{"revoke": true}`).want(t, 404)
	i.do("DELETE", path, "").want(t, 404)
	i.send(t.Context(), "PUT", path, value, `{"revoke": true}`).want(t, 200)
	if got := i.proves(value); got != 401 {
		t.Errorf("revoked by its owner: got %d, want 401", got)
	}
}

func TestSCIMTokens(t *testing.T) {
	i := start(t)
	u := i.account("SCIM Sync", "Admin")
	var minted row
	i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "scim", "user_id": %d, "expires_in_days": 1, "scim_endpoints_only": true}`, u.ID)).want(t, 200).into(t, &minted)
	for path, want := range map[string]int{
		"/api/scim/v2/ServiceProviderConfig": 200,
		"/scim/v2/ServiceProviderConfig":     200,
		"/api/scim/v2/Users":                 404,
		"/api/users/me":                      403,
		"/api/users":                         403,
		"/api/teams":                         403,
		"/api/openapi.json":                  403,
		"/api/status":                        200,
	} {
		if got := i.send(t.Context(), "GET", path, minted.value(), "").status; got != want {
			t.Errorf("GET %s: got %d, want %d", path, got, want)
		}
	}
}

func TestTokensOfDeletedAccountsAreListedAndDead(t *testing.T) {
	i := start(t)
	u := i.account("Gone", "Member")
	minted := i.mint(u, "orphan", 1)
	if err := i.DeleteAccount(u.UserID); err != nil {
		t.Fatal(err)
	}
	if got := i.proves(minted.value()); got != 401 {
		t.Errorf("got %d, want 401", got)
	}
	if r, ok := i.listed()["orphan"]; !ok || !r.Active {
		t.Errorf("listed %v, active %v; want an orphan that was never revoked", ok, r.Active)
	}
	i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "x", "user_id": %d, "expires_in_days": 1}`, u.ID)).want(t, 404)
	path := fmt.Sprintf("/api/user-tokens/%d", minted.ID)
	i.do("PUT", path, `{"revoke": true}`).want(t, 200)
	i.do("DELETE", path, "").want(t, 204)
}

func TestNoTokenForADeactivatedAccount(t *testing.T) {
	i := start(t)
	u := i.account("Asleep", "Member")
	if err := i.DeactivateAccount(u.UserID); err != nil {
		t.Fatal(err)
	}
	i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "x", "user_id": %d, "expires_in_days": 1}`, u.ID)).want(t, 422)
}

func TestNoListHoldsAValue(t *testing.T) {
	i := start(t)
	minted := i.mint(i.account("API Access", "Admin"), "one", 1)
	for _, path := range []string{"/api/user-tokens/service", "/api/user-tokens", "/api/users", "/api/users/me", "/api/openapi.json"} {
		body := string(i.do("GET", path, "").want(t, 200).body)
		for _, part := range strings.Split(minted.BearerToken, ".") {
			if strings.Contains(body, part) {
				t.Errorf("GET %s shows a part of a token", path)
			}
		}
	}
}
