package qualytics

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const tokensBody = `[{"id": 456, "created": "2025-11-05T12:34:56Z", "name": "api-production", "active": true,
	"expiration": "2026-11-05T12:34:56Z", "last_used": "2026-01-02T03:04:05.678901", "bearer_token": "` + mintedToken + `",
	"user": {"id": 123, "user_id": "api_access@service", "user_name": "api_access@service", "email": "", "name": "API Access",
	"role": "Editor", "user_type": "Service"}},
	{"id": 457, "created": "2025-11-05T12:34:56Z", "name": "x", "active": false, "expiration": null, "last_used": null, "user": null}]`

var tokensWant = []rotation.Token{
	{
		ID: 456, Label: "api-production", UserID: 123, AccountID: "api_access@service", Active: true,
		Created: time.Date(2025, 11, 5, 12, 34, 56, 0, time.UTC), Expires: time.Date(2026, 11, 5, 12, 34, 56, 0, time.UTC),
		LastUsed: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC),
	},
	{ID: 457, Label: "x", Created: time.Date(2025, 11, 5, 12, 34, 56, 0, time.UTC)},
}

// One call without paging, when the answer is as documented; pages, when the
// deployment gives pages.
func TestTokens(t *testing.T) {
	items := strings.Split(strings.Trim(tokensBody, "[]"), ",\n\t{\"id\": 457")
	page := func(rest string) answer {
		return func(req *http.Request) (*http.Response, error) {
			switch req.URL.Query().Get("page") {
			case "2":
				return say(200, `{"items": [{"id": 457`+items[1]+`]`+rest+`}`)(req)
			case "3":
				return say(200, `{"items": []`+rest+`}`)(req)
			}
			return say(200, `{"items": [`+items[0]+`]`+rest+`}`)(req)
		}
	}
	for name, test := range map[string]struct {
		answer answer
		calls  int
	}{
		"array":           {say(200, tokensBody), 1},
		"items, counted":  {say(200, `{"total": 2, "items": `+tokensBody+`}`), 1},
		"pages, counted":  {page(`, "total": 2`), 3},
		"pages, no count": {page(``), 4},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := scripted(t, test.answer)
			got, err := c.Tokens(t.Context())
			if diff := cmp.Diff(tokensWant, got); err != nil || diff != "" {
				t.Errorf("err = %v, (-want +got):\n%s", err, diff)
			}
			if got := s.sent(); len(got) != test.calls || got[0].path != "/api/user-tokens/service" || got[0].query != "" {
				t.Errorf("%d calls, want %d; the first was %s?%s", len(got), test.calls, got[0].path, got[0].query)
			}
		})
	}
}

// A token of which something needed isn't known makes the list invalid.
func TestTokensWithHoles(t *testing.T) {
	for _, item := range []string{
		`{"name": "a", "active": true}`, `{"id": 0, "active": true}`, `{"id": -1, "active": true}`, `{"id": 1}`, `{"id": 1, "active": null}`,
		`{"id": 1, "active": "yes"}`, `{"id": 1, "active": true, "expiration": "soon"}`, `{"id": 1.5, "active": true}`,
	} {
		c, _ := scripted(t, say(200, `[{"id": 9, "active": true}, `+item+`]`))
		if tokens, err := c.Tokens(t.Context()); !errors.Is(err, rotation.ErrInvalidAnswer) || tokens != nil {
			t.Errorf("%s: %d tokens, err = %v", item, len(tokens), err)
		}
	}
}

func TestPersonalTokens(t *testing.T) {
	c, s := scripted(t, say(200, tokensBody))
	got, err := c.PersonalTokens(t.Context())
	if diff := cmp.Diff(tokensWant, got); err != nil || diff != "" {
		t.Errorf("err = %v, (-want +got):\n%s", err, diff)
	}
	if s.sent()[0].path != "/api/user-tokens" || s.sent()[0].method != "GET" {
		t.Errorf("asked %s", s.sent()[0].path)
	}
}

func TestIssue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := strings.Replace(mintedBody, `"2026-11-05T12:34:56Z"`, "null", 1)
		for name, test := range map[string]struct {
			days       int
			body, sent string
			expires    time.Time
		}{
			"a lifetime":       {30, mintedBody, `"expires_in_days":30`, time.Date(2026, 11, 5, 12, 34, 56, 0, time.UTC)},
			"never":            {0, never, `"expires_in_days":null`, time.Time{}},
			"a lifetime, mute": {30, never, `"expires_in_days":30`, time.Now().UTC().Add(30 * 24 * time.Hour)},
		} {
			c, s := scripted(t, say(200, test.body))
			o := order()
			o.Days = test.days
			got, err := c.Issue(t.Context(), o)
			if err != nil || got.ID != 456 || !got.Value.Equal(secret.New(mintedToken)) || !got.Expires.Equal(test.expires) {
				t.Errorf("%s: err = %v, id %d, expires %v, the right value: %v", name, err, got.ID, got.Expires, got.Value.Equal(secret.New(mintedToken)))
			}
			want := asked{"POST", "/api/user-tokens", "", adminToken, `{"name":"pipeline.acme.g1","user_id":7,` + test.sent + `,"scim_endpoints_only":false}`}
			if s.sent()[0] != want {
				t.Errorf("%s: sent %s", name, s.sent()[0].body)
			}
		}
	})
}

func TestRevokeAndRestore(t *testing.T) {
	list := `[{"id": 9, "name": "a", "active": %t}]`
	revoked, live := strings.Replace(list, "%t", "false", 1), strings.Replace(list, "%t", "true", 1)
	tests := map[string]struct {
		answers         []answer
		revoke, restore error
	}{
		"no body":            {[]answer{say(200, "")}, nil, nil},
		"204":                {[]answer{say(204, "")}, nil, nil},
		"a token":            {[]answer{say(200, `{"id": 9}`)}, nil, nil},
		"it is revoked":      {[]answer{say(200, `{"id": 9, "active": false}`)}, nil, rotation.ErrInvalidAnswer},
		"it is live":         {[]answer{say(200, `{"id": 9, "active": true}`)}, rotation.ErrInvalidAnswer, nil},
		"a web page":         {[]answer{say(200, `<html>`)}, rotation.ErrInvalidAnswer, rotation.ErrInvalidAnswer},
		"gone":               {[]answer{say(404, gone)}, rotation.ErrMissing, rotation.ErrMissing},
		"refused, revoked":   {[]answer{say(409, ""), say(200, revoked)}, nil, rotation.ErrRefused},
		"refused, live":      {[]answer{say(400, ""), say(200, live)}, rotation.ErrRefused, nil},
		"refused, unlisted":  {[]answer{say(422, ""), say(200, `[]`)}, rotation.ErrRefused, rotation.ErrRefused},
		"refused, no list":   {[]answer{say(422, ""), say(403, ``)}, rotation.ErrRefused, rotation.ErrRefused},
		"the second attempt": {[]answer{say(502, ""), say(200, "")}, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.answers...)
				if err := c.Revoke(t.Context(), 9); !errors.Is(err, test.revoke) {
					t.Errorf("Revoke: %v, want %v", err, test.revoke)
				}
				if want := (asked{"PUT", "/api/user-tokens/9", "", adminToken, `{"revoke":true}`}); s.sent()[0] != want {
					t.Errorf("sent %s", s.sent()[0].body)
				}
				c, s = scripted(t, test.answers...)
				if err := c.Restore(t.Context(), 9); !errors.Is(err, test.restore) {
					t.Errorf("Restore: %v, want %v", err, test.restore)
				}
				if s.sent()[0].body != `{"revoke":false}` {
					t.Errorf("sent %s", s.sent()[0].body)
				}
			})
		})
	}
}

func TestDelete(t *testing.T) {
	for name, test := range map[string]struct {
		answers []answer
		want    error
	}{
		"204":                     {[]answer{say(204, "")}, nil},
		"200":                     {[]answer{say(200, `{"id": 9}`)}, nil},
		"active, 400":             {[]answer{say(400, "")}, rotation.ErrRefused},
		"active, 409":             {[]answer{say(409, "")}, rotation.ErrRefused},
		"gone":                    {[]answer{say(404, gone)}, rotation.ErrMissing},
		"gone by a lost attempt":  {[]answer{fail(errors.New("reset")), say(404, gone)}, rotation.ErrMissing},
		"done at the second":      {[]answer{say(500, ""), say(204, "")}, nil},
		"a web page is no answer": {[]answer{say(200, "<html>")}, rotation.ErrInvalidAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.answers...)
				if err := c.Delete(t.Context(), 9); !errors.Is(err, test.want) {
					t.Errorf("err = %v, want %v", err, test.want)
				}
				if want := (asked{"DELETE", "/api/user-tokens/9", "", adminToken, ""}); s.sent()[0] != want {
					t.Errorf("sent %s %s", s.sent()[0].method, s.sent()[0].path)
				}
			})
		})
	}
}
