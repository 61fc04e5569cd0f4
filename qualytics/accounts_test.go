package qualytics

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

// The answers of the documents' tables.
const (
	userBody = `{"id": 123, "user_id": "api_access@service", "user_name": "api_access@service", "email": "x@acme.example",
		"name": "API Access", "user_type": "Service", "role": "Editor", "teams": ["Public", "Data Engineering"]}`
	usersBody = `{"total_count": 2, "items": [` + userBody + `, {"id": 124, "user_id": "old@service", "name": "Old", "role": "Member",
		"user_type": "Service", "teams": null, "last_login": null, "created_at": "2026-01-01T00:00:00", "deleted_at": "2026-02-01T00:00:00Z"}]}`
)

var apiAccess = rotation.Account{
	UserID: 123, ID: "api_access@service", Name: "API Access", Role: "Editor", Teams: []string{"Public", "Data Engineering"},
}

func TestAccounts(t *testing.T) {
	c, s := scripted(t, say(200, usersBody))
	got, err := c.Accounts(t.Context())
	want := []rotation.Account{apiAccess, {UserID: 124, ID: "old@service", Name: "Old", Role: "Member", Deleted: true}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
	if got := s.sent()[0]; got.path != "/api/users" || got.query != "include_deleted=true&page=1&size=100&type=Service" {
		t.Errorf("asked %s?%s", got.path, got.query)
	}
}

// An older deployment: no /users, and a listing that filters nothing.
func TestAccountsOlderListing(t *testing.T) {
	people := `{"id": 1, "user_id": "a@acme.example", "user_type": "User"}`
	for name, body := range map[string]string{
		"array": "[" + people + "," + userBody + "]", "items": `{"items": [` + people + "," + userBody + `], "total": 2}`,
	} {
		c, s := scripted(t, func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/listing") {
				return say(200, body)(req)
			}
			return say(404, `{"detail": "Not Found"}`)(req)
		})
		got, err := c.Accounts(t.Context())
		if diff := cmp.Diff([]rotation.Account{apiAccess}, got); err != nil || diff != "" {
			t.Errorf("%s: err = %v, (-want +got):\n%s", name, err, diff)
		}
		if asked := s.sent()[1]; asked.path != "/api/users/listing" || !strings.Contains(asked.query, "type=Service") {
			t.Errorf("%s: asked %s?%s", name, asked.path, asked.query)
		}
	}
}

// Only a missing list is a reason to ask the other.
func TestAccountsFallBackOnMissingAlone(t *testing.T) {
	for _, status := range []int{400, 401, 403, 405, 422, 429} {
		c, s := scripted(t, say(status, "", "Retry-After: 3600"), say(200, `[]`))
		if _, err := c.Accounts(t.Context()); err == nil || len(s.sent()) != 1 {
			t.Errorf("%d: err = %v after %d calls", status, err, len(s.sent()))
		}
	}
}

func TestDeactivated(t *testing.T) {
	for extra, want := range map[string]bool{
		``: false, `, "active": true`: false, `, "active": false`: true, `, "is_active": false`: true, `, "active": null`: false,
		`, "disabled": true`: true, `, "deactivated_at": "2026-01-01T00:00:00Z"`: true, `, "deactivated_at": null`: false,
	} {
		c, _ := scripted(t, say(200, `{"id": 7, "user_id": "a@service"`+extra+`}`))
		account, err := c.Account(t.Context(), 7)
		if err != nil || account.Deactivated != want {
			t.Errorf("%q: deactivated = %v, %v; want %v", extra, account.Deactivated, err, want)
		}
	}
}

func TestAccount(t *testing.T) {
	c, s := scripted(t, say(200, userBody), say(404, gone), say(200, `{}`))
	got, err := c.Account(t.Context(), 123)
	if diff := cmp.Diff(apiAccess, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
	if s.sent()[0].path != "/api/users/123" {
		t.Errorf("asked %s", s.sent()[0].path)
	}
	for _, want := range []error{rotation.ErrMissing, rotation.ErrInvalidAnswer} {
		if _, err := c.Account(t.Context(), 123); !errors.Is(err, want) {
			t.Errorf("err = %v, want %v", err, want)
		}
	}
}

func TestCreateAccount(t *testing.T) {
	c, s := scripted(t, say(200, userBody))
	got, err := c.CreateAccount(t.Context(), rotation.AccountSpec{Name: "API Access", Role: "Editor", Teams: []string{"Data Engineering"}})
	if diff := cmp.Diff(apiAccess, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
	want := asked{"POST", "/api/users", "", adminToken, `{"name":"API Access","role":"Editor","teams":["Data Engineering"]}`}
	if s.sent()[0] != want {
		t.Errorf("sent another request than documented: %s", s.sent()[0].body)
	}
	if _, err := c.CreateAccount(t.Context(), rotation.AccountSpec{}); !errors.Is(err, rotation.ErrRefused) || len(s.sent()) != 1 {
		t.Errorf("no name: err = %v, %d calls", err, len(s.sent()))
	}
}

func TestUpdateAccount(t *testing.T) {
	for _, body := range []string{userBody, "", "null"} {
		c, s := scripted(t, say(200, body))
		if err := c.UpdateAccount(t.Context(), 123, rotation.AccountSpec{Name: "ignored", Role: "Admin"}); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		want := asked{"PUT", "/api/users/123", "", adminToken, `{"role":"Admin","teams":[]}`}
		if s.sent()[0] != want {
			t.Errorf("sent %s", s.sent()[0].body)
		}
	}
}

func TestTeams(t *testing.T) {
	c, s := scripted(t, say(200, `{"items": [{"id": 1, "name": "Public"}], "total": 1, "page": 1, "size": 100}`))
	got, err := c.Teams(t.Context())
	if diff := cmp.Diff([]Team{{1, "Public"}}, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
	if s.sent()[0].query != "page=1&size=100" {
		t.Errorf("asked %s", s.sent()[0].query)
	}
}

// Teams and roles may come as objects (a guess that is tolerated).
func TestNamedShapes(t *testing.T) {
	c, _ := scripted(t, say(200, `{"id": 7, "user_name": "a@service", "role": {"id": 3, "name": "Editor"}, "teams": [{"name": "Public"}, "Data", null]}`))
	got, err := c.Account(t.Context(), 7)
	want := rotation.Account{UserID: 7, ID: "a@service", Role: "Editor", Teams: []string{"Public", "Data", ""}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
}

func TestStampLayouts(t *testing.T) {
	for text, want := range map[string]string{
		`null`: "0001-01-01T00:00:00Z", `""`: "0001-01-01T00:00:00Z",
		`"2026-11-05T12:34:56Z"`:             "2026-11-05T12:34:56Z",
		`"2026-11-05T12:34:56"`:              "2026-11-05T12:34:56Z",
		`"2026-11-05T12:34:56.789"`:          "2026-11-05T12:34:56.789Z",
		`"2026-11-05T12:34:56.123456+00:00"`: "2026-11-05T12:34:56.123456Z",
		`"2026-11-05T12:34:56+02:00"`:        "2026-11-05T10:34:56Z",
		`"2026-11-05T12:34:56+0200"`:         "2026-11-05T10:34:56Z",
		`"2026-11-05 12:34:56.5"`:            "2026-11-05T12:34:56.5Z",
		`"2026-11-05 12:34:56+00:00"`:        "2026-11-05T12:34:56Z",
		`"2026-11-05"`:                       "", `"now"`: "", `17`: "", `{}`: "", `"2026-13-05T12:34:56Z"`: "",
	} {
		var s stamp
		err := s.UnmarshalJSON([]byte(text))
		got := s.Format("2006-01-02T15:04:05.999999999Z07:00")
		if want == "" && err == nil || want != "" && (err != nil || got != want) {
			t.Errorf("%s = %s, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(fmt.Sprint(err), "2026") {
			t.Errorf("%s: the error shows the value: %v", text, err)
		}
	}
}
