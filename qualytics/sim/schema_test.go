package sim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestTheDocumentsSchemasFitTheServer holds every body of the rules against
// the schema that the OpenAPI document has for it: what the schema refuses,
// the server refuses; what the server takes, the schema takes.
func TestTheDocumentsSchemasFitTheServer(t *testing.T) {
	i := start(t)
	var doc any
	i.do("GET", "/api/openapi.json", "").want(t, 200).into(t, &doc)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("mem:///openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	ids := placeholders(t, i)
	checked := 0
	for _, r := range rules {
		body, err := jsonschema.UnmarshalJSON(strings.NewReader(ids.Replace(r.body)))
		if r.who != "Admin" || r.body == "" || err != nil {
			continue
		}
		path := r.path
		for _, placeholder := range []string{"USER", "TOKEN", "PERSONAL", "abc", "9999"} {
			path = strings.Replace(path, placeholder, "{id}", 1)
		}
		pointer := fmt.Sprintf("mem:///openapi.json#/paths/%s/%s/requestBody/content/application~1json/schema",
			strings.ReplaceAll("/api"+path, "/", "~1"), strings.ToLower(r.method))
		schema, err := compiler.Compile(pointer)
		if err != nil {
			t.Fatalf("%s %s: %v", r.method, r.path, err)
		}
		checked++
		refused := schema.Validate(body)
		if refused != nil && r.status != 422 || refused == nil && r.status == 422 && r.detail == "Field required" {
			t.Errorf("%s %s %s: the server answers %d, the schema says %v", r.method, r.path, r.body, r.status, refused)
		}
	}
	if checked < 30 {
		t.Errorf("only %d bodies were checked", checked)
	}
}

// FuzzMint sends any body to POST /user-tokens: it is refused as documented, or
// mints what it asked for.
func FuzzMint(f *testing.F) {
	for _, seed := range []string{
		`{"name": "a", "user_id": 103, "expires_in_days": 1}`, `{"name": "a", "user_id": 103, "expires_in_days": null}`,
		`{"name": "a", "user_id": 103, "expires_in_days": 365, "scim_endpoints_only": true}`,
		`{"NAME": "a", "user_id": 103, "expires_in_days": 1}`, `{"name": "\u0000\ud800", "user_id": 1.03e2, "expires_in_days": 0}`,
		`[]`, `null`, `{`, "\xff", `{"name": {"name": "a"}, "user_id": [103]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		i := start(t)
		i.account("API Access", "Member")
		before := len(i.Tokens())
		r := i.do("POST", "/api/user-tokens", string(body))
		if r.status != 200 {
			if r.status != 404 && r.status != 422 || len(i.Tokens()) != before {
				t.Fatalf("got %d and %d new tokens", r.status, len(i.Tokens())-before)
			}
			checkRefusal(t, r)
			return
		}
		var asked map[string]json.RawMessage
		if err := json.Unmarshal(body, &asked); err != nil {
			t.Fatalf("it took what isn't an object: %v", err)
		}
		var minted row
		r.into(t, &minted)
		if n := len([]rune(minted.Name)); n < 1 || n > 255 {
			t.Errorf("it minted a name of %d characters", n)
		}
		days := "null"
		if minted.Expiration != nil {
			days = fmt.Sprint(minted.Expiration.Sub(begin).Hours() / 24)
		}
		if n := strings.TrimSpace(string(asked["expires_in_days"])); n != days {
			t.Errorf("asked for %s days, got %s", n, days)
		}
		if got := i.proves(minted.value()); got != 200 && (got != 403 || string(asked["scim_endpoints_only"]) != "true") {
			t.Errorf("the minted token got %d", got)
		}
	})
}
