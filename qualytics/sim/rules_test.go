package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends/secret"
)

// document is what tests read of /openapi.json.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		Security  []any          `json:"security"`
		Responses map[string]any `json:"responses"`
	} `json:"paths"`
}

// declares reports whether the document lists a call with that answer.
func (d document) declares(method, path string, status int) bool {
	path, _, _ = strings.Cut(path, "?")
	path = "/api" + regexp.MustCompile(`/(users|user-tokens|teams)/(\d+|abc)$`).ReplaceAllString(strings.TrimPrefix(path, "/api"), "/$1/{id}")
	_, ok := d.Paths[path][strings.ToLower(method)].Responses[fmt.Sprint(status)]
	return ok
}

// rule is one line of the API's rules: who asks what, and gets which answer.
type rule struct {
	who, method, path, body string
	status                  int
	detail                  string // a part of it
}

// rules covers who may call what, and every way to get a body or query wrong.
// USER, PERSON, TOKEN, REVOKED and PERSONAL are replaced by ids.
var rules = []rule{
	{"nobody", "GET", "/status", "", 200, ""},
	{"nobody", "GET", "/health", "", 200, ""},
	{"nobody", "GET", "/users/me", "", 401, "Not authenticated"},
	{"nobody", "GET", "/users", "", 401, ""},
	{"nobody", "POST", "/users", "", 401, ""},
	{"nobody", "GET", "/teams", "", 401, ""},
	{"nobody", "GET", "/openapi.json", "", 401, ""},
	{"stranger", "GET", "/users/me", "", 401, "Could not validate credentials"},
	{"stranger", "DELETE", "/user-tokens/REVOKED", "", 401, ""},

	{"Member", "GET", "/users/me", "", 200, ""},
	{"Member", "GET", "/teams", "", 200, ""},
	{"Member", "GET", "/teams/1", "", 200, ""},
	{"Member", "GET", "/user-tokens", "", 200, ""},
	{"Member", "GET", "/openapi.json", "", 200, ""},
	{"Member", "GET", "/users", "", 403, "Admin role is required"},
	{"Member", "POST", "/users", `{"name": "New", "role": "Member"}`, 403, ""},
	{"Member", "GET", "/users/listing", "", 403, ""},
	{"Editor", "GET", "/users/USER", "", 403, ""},
	{"Editor", "PUT", "/users/USER", `{"role": "Admin"}`, 403, ""},
	{"Editor", "GET", "/user-tokens/service", "", 403, ""},
	{"Manager", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 1}`, 403, ""},
	{"Manager", "PUT", "/user-tokens/TOKEN", `{"revoke": true}`, 403, ""},
	{"Manager", "DELETE", "/user-tokens/REVOKED", "", 403, ""},
	{"Manager", "GET", "/users", "", 403, ""},

	{"Admin", "GET", "/users?size=101", "", 422, "less than or equal to 100"},
	{"Admin", "GET", "/users?size=0", "", 422, "greater than or equal to 1"},
	{"Admin", "GET", "/users?page=0", "", 422, "greater than or equal to 1"},
	{"Admin", "GET", "/users?page=x", "", 422, "valid integer"},
	{"Admin", "GET", "/users?page=", "", 422, "valid integer"},
	{"Admin", "GET", "/users?type=Robot", "", 422, "'Service', 'User'"},
	{"Admin", "GET", "/users?role=admin", "", 422, "'Admin', 'Manager', 'Editor', 'Member'"},
	{"Admin", "GET", "/users?sort=shoe", "", 422, ""},
	{"Admin", "GET", "/users?sort_dir=up", "", 422, ""},
	{"Admin", "GET", "/users?include_deleted=maybe", "", 422, "boolean"},
	{"Admin", "GET", "/users?unknown=1", "", 200, ""},
	{"Admin", "GET", "/users/listing?type=x", "", 422, ""},
	{"Admin", "GET", "/teams?size=1000", "", 422, ""},
	{"Admin", "GET", "/users/abc", "", 422, "path"},
	{"Admin", "GET", "/users/9999", "", 404, "User not found"},
	{"Admin", "GET", "/teams/9999", "", 404, "Team not found"},
	{"Admin", "GET", "/teams/abc", "", 422, ""},

	{"Admin", "POST", "/users", ``, 422, "Field required"},
	{"Admin", "POST", "/users", `{`, 422, "JSON decode error"},
	{"Admin", "POST", "/users", `[]`, 422, "valid dictionary"},
	{"Admin", "POST", "/users", `null`, 422, "valid dictionary"},
	{"Admin", "POST", "/users", `{}`, 422, "Field required"},
	{"Admin", "POST", "/users", `{"name": "", "role": "Member"}`, 422, "at least 1"},
	{"Admin", "POST", "/users", `{"name": "!!!", "role": "Member"}`, 422, "leaves no id"},
	{"Admin", "POST", "/users", `{"name": 7, "role": "Member"}`, 422, "valid string"},
	{"Admin", "POST", "/users", `{"name": null, "role": "Member"}`, 422, "valid string"},
	{"Admin", "POST", "/users", `{"name": "X"}`, 422, "Field required"},
	{"Admin", "POST", "/users", `{"name": "X", "role": "Root"}`, 422, "'Admin'"},
	{"Admin", "POST", "/users", `{"name": "X", "role": "Member", "teams": "Analytics"}`, 422, "list of strings"},
	{"Admin", "POST", "/users", `{"name": "X", "role": "Member", "teams": [null]}`, 422, "valid string"},
	{"Admin", "POST", "/users", `{"name": "X", "role": "Member", "teams": ["Nowhere"]}`, 422, "does not exist"},
	{"Admin", "POST", "/users", `{"name": "pipeline automation", "role": "Member"}`, 200, ""},
	{"Admin", "POST", "/users", `{"name": "PIPELINE automation!", "role": "Member"}`, 409, "already exists"},
	{"Admin", "POST", "/users", `{"name": "Extra", "role": "Member", "teams": null, "colour": "red"}`, 200, ""},
	{"Admin", "PUT", "/users/USER", `{"role": "Root"}`, 422, ""},
	{"Admin", "PUT", "/users/USER", `{"teams": ["Nowhere"]}`, 422, "does not exist"},
	{"Admin", "PUT", "/users/USER", `{"active": "no"}`, 422, "boolean"},
	{"Admin", "PUT", "/users/USER", `{}`, 200, ""},
	{"Admin", "PUT", "/users/abc", `{}`, 422, ""},
	{"Admin", "PUT", "/users/9999", `{}`, 404, ""},

	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER}`, 422, "Field required"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 0}`, 422, "greater than or equal to 1"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": -1}`, 422, "greater than or equal to 1"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 366}`, 422, "less than or equal to 365"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 1.5}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 1.0}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 1e2}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": "30"}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": true}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 99999999999999999999}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "", "user_id": USER, "expires_in_days": 1}`, 422, "at least 1"},
	{"Admin", "POST", "/user-tokens", `{"name": "LONG", "user_id": USER, "expires_in_days": 1}`, 422, "at most 255"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": "USER", "expires_in_days": 1}`, 422, "valid integer"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": 9999, "expires_in_days": 1}`, 404, "User not found"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": PERSON, "expires_in_days": 1}`, 422, "service users"},
	{"Admin", "POST", "/user-tokens", `{"name": "token", "user_id": USER, "expires_in_days": 1}`, 409, "already exists"},
	{"Admin", "POST", "/user-tokens", `{"name": "x", "user_id": USER, "expires_in_days": 1, "scim_endpoints_only": 1}`, 422, "boolean"},
	{"Admin", "POST", "/user-tokens", `{"name": "edge", "user_id": USER, "expires_in_days": 365}`, 200, ""},
	{"Admin", "PUT", "/user-tokens/TOKEN", `{}`, 422, "Field required"},
	{"Admin", "PUT", "/user-tokens/TOKEN", `{"revoke": null}`, 422, "boolean"},
	{"Admin", "PUT", "/user-tokens/TOKEN", `{"revoke": "true"}`, 422, "boolean"},
	{"Admin", "PUT", "/user-tokens/abc", `{"revoke": true}`, 422, ""},
	{"Admin", "PUT", "/user-tokens/9999", `{"revoke": true}`, 404, "Token not found"},
	{"Admin", "PUT", "/user-tokens/PERSONAL", `{"revoke": true}`, 404, "Token not found"},
	{"Admin", "DELETE", "/user-tokens/TOKEN", "", 409, "revoked"},
	{"Admin", "DELETE", "/user-tokens/abc", "", 422, ""},
	{"Admin", "DELETE", "/user-tokens/9999", "", 404, ""},
	{"Admin", "DELETE", "/user-tokens/REVOKED", "", 204, ""},
}

func TestRules(t *testing.T) {
	for _, base := range []string{"/api", ""} {
		t.Run("base "+base, func(t *testing.T) {
			i := start(t)
			who := map[string]secret.Value{"nobody": {}, "stranger": secret.New("not.a.token"), "Admin": i.admin}
			for _, role := range []string{"Manager", "Editor", "Member"} {
				who[role] = i.mint(i.account("A "+role, role), "one", 30).value()
			}
			ids := placeholders(t, i)
			var doc document
			i.do("GET", "/openapi.json", "").want(t, 200).into(t, &doc)
			for _, r := range rules {
				path, body := base+ids.Replace(r.path), ids.Replace(r.body)
				got := i.send(t.Context(), r.method, path, who[r.who], body)
				if got.err != nil || got.status != r.status || !strings.Contains(got.text(), r.detail) {
					t.Errorf("%s: %s %s %s: got %d %s (error %v), want %d %q", r.who, r.method, r.path, r.body, got.status, got.text(), got.err, r.status, r.detail)
				}
				if got.status >= 400 {
					checkRefusal(t, got)
				}
				if !doc.declares(r.method, path, got.status) {
					t.Errorf("%s %s: answer %d isn't in the OpenAPI document", r.method, r.path, got.status)
				}
			}
		})
	}
}

// placeholders makes what the rules talk about.
func placeholders(t *testing.T, i *instance) *strings.Replacer {
	t.Helper()
	u := i.account("Subject", "Member")
	token, revoked := i.mint(u, "token", 30), i.mint(u, "revoked", 30)
	if err := i.RevokeToken(revoked.ID); err != nil {
		t.Fatal(err)
	}
	person, err := i.CreatePerson("Ada", "ada@example.com", "Admin")
	if err != nil {
		t.Fatal(err)
	}
	personal, _, err := i.CreateToken(person.ID, "laptop", 30)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("USER", fmt.Sprint(u.ID), "PERSONAL", fmt.Sprint(personal), "PERSON", fmt.Sprint(person.UserID),
		"TOKEN", fmt.Sprint(token.ID), "REVOKED", fmt.Sprint(revoked.ID), "LONG", strings.Repeat("é", 256))
}

// checkRefusal checks the shape of an error's body, and the 401's challenge.
func checkRefusal(t *testing.T, got reply) {
	t.Helper()
	var body struct {
		Detail json.RawMessage `json:"detail"`
	}
	got.into(t, &body)
	var problems []struct {
		Type, Msg string
		Loc       []any
	}
	switch isList := json.Unmarshal(body.Detail, &problems) == nil; {
	case got.status == http.StatusUnprocessableEntity && (!isList || len(problems) == 0 || problems[0].Type == "" || len(problems[0].Loc) == 0):
		t.Errorf("422 with detail %s, want a list of type, loc, msg", body.Detail)
	case got.status != http.StatusUnprocessableEntity && (isList || len(body.Detail) < 3):
		t.Errorf("%d with detail %s, want a text", got.status, body.Detail)
	}
	if challenge := got.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (got.status == 401) {
		t.Errorf("%d with WWW-Authenticate %q", got.status, challenge)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	got := start(t).do("POST", "/api/user-tokens", `{"name": "", "expires_in_days": 0}`).want(t, 422)
	for _, place := range []string{`["body","name"]`, `["body","user_id"]`, `["body","expires_in_days"]`} {
		if !strings.Contains(got.text(), place) {
			t.Errorf("got %s, want %s in it", got.text(), place)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	i := start(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api", 404, ""},
		{"GET", "/api/", 404, ""},
		{"GET", "/apiusers", 404, ""},
		{"GET", "/api/api/users", 404, ""},
		{"GET", "/api/users/101/tokens", 404, ""},
		{"BREW", "/api/users", 404, ""},
		{"DELETE", "/api/users", 405, "GET, POST"},
		{"POST", "/api/users/me", 405, "GET"},
		{"DELETE", "/api/users/101", 405, "GET, PUT"},
		{"GET", "/api/user-tokens/5001", 405, "PUT, DELETE"},
		{"PATCH", "/api/user-tokens/5001", 405, "PUT, DELETE"},
		{"POST", "/api/teams", 405, "GET"},
	} {
		got := i.do(c.method, c.path, "").want(t, c.status)
		if got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got.header.Get("Allow"), c.allow)
		}
		checkRefusal(t, got)
	}
}

func TestBodiesAreBoundedAndTyped(t *testing.T) {
	i := start(t)
	got := i.do("POST", "/api/users", `{"name": "`+strings.Repeat("x", 1<<20)+`"}`).want(t, 413)
	checkRefusal(t, got)
	deep := strings.Repeat("[", 100_000)
	i.do("POST", "/api/users", deep).want(t, 422)
	for contentType, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "application/merge-patch+json": 200,
		"": 200, "text/plain": 422, "application/x-www-form-urlencoded": 422, ";": 422,
	} {
		body := fmt.Sprintf(`{"name": "Type %x", "role": "Member"}`, contentType)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://qualytics.test/users", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "bearer   "+i.admin.Reveal()) // the scheme has no case
		r.Header.Set("Content-Type", contentType)
		resp, err := i.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != status {
			t.Errorf("Content-Type %q: got %d (error %v), want %d", contentType, resp.StatusCode, err, status)
		}
	}
}

func TestOpenAPIListsWhatIsServed(t *testing.T) {
	i := start(t)
	var doc document
	i.do("GET", "/api/openapi.json", "").want(t, 200).into(t, &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		t.Errorf("openapi %q, want 3", doc.OpenAPI)
	}
	needed := []string{
		"POST /api/users", "GET /api/users", "GET /api/users/listing", "GET /api/users/{id}", "PUT /api/users/{id}",
		"GET /api/teams", "GET /api/teams/{id}", "POST /api/user-tokens", "GET /api/user-tokens/service", "GET /api/user-tokens",
		"PUT /api/user-tokens/{id}", "DELETE /api/user-tokens/{id}", "GET /api/users/me", "GET /api/status", "GET /api/health",
	}
	var listed []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			listed = append(listed, strings.ToUpper(method)+" "+path)
			status := i.send(t.Context(), strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "1"), secret.Value{}, "").status
			if want := map[bool]int{true: 401, false: 200}[op.Security != nil]; status != want {
				t.Errorf("%s %s without a token: got %d, the document implies %d", method, path, status, want)
			}
		}
	}
	for _, call := range needed {
		if !slices.Contains(listed, call) {
			t.Errorf("%s isn't listed", call)
		}
	}
}
