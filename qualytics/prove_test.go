package qualytics

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// byPath answers each path by its own script.
func byPath(answers map[string]answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		if a, ok := answers[strings.TrimPrefix(req.URL.Path, "/api")]; ok {
			return a(req)
		}
		return say(404, `{"detail": "Not Found"}`)(req)
	}
}

const meBody = `{"id": 7, "user_id": "pipeline@service", "name": "Pipeline"}`

func TestProve(t *testing.T) {
	teams := `{"items": [{"id": 1, "name": "Public"}], "total": 4, "page": 1, "size": 1}`
	tests := map[string]struct {
		me, teams answer
		want      error
		account   string
		calls     int
	}{
		"live":                      {say(200, meBody), nil, nil, "pipeline@service", 1},
		"live, by number":           {say(200, `{"id": 7}`), nil, nil, "", 1},
		"dead":                      {say(401, `{"detail": "no"}`), nil, rotation.ErrDead, "", 1},
		"no me, live":               {say(404, ""), say(200, teams), nil, "", 2},
		"no me, live, array":        {say(404, ""), say(200, `[]`), nil, "", 2},
		"no me, dead":               {say(404, ""), say(401, ""), rotation.ErrDead, "", 2},
		"no me, restricted":         {say(404, ""), say(403, ""), rotation.ErrRefused, "", 2},
		"no me, no teams":           {say(404, ""), say(404, ""), rotation.ErrInvalidAnswer, "", 2},
		"no me, away":               {say(404, ""), say(503, "", "Retry-After: 99"), rotation.ErrUnavailable, "", 2},
		"me taken for a number":     {say(422, ""), say(200, teams), nil, "", 2},
		"me not allowed":            {say(405, ""), say(200, teams), nil, "", 2},
		"me forbidden, live":        {say(403, ""), say(200, teams), nil, "", 2},
		"me forbidden, dead":        {say(403, ""), say(401, ""), rotation.ErrDead, "", 2},
		"SCIM alone":                {say(403, ""), say(403, ""), rotation.ErrRefused, "", 2},
		"throttled":                 {say(429, "", "Retry-After: 99"), nil, rotation.ErrThrottled, "", 1},
		"bad request":               {say(400, ""), nil, rotation.ErrRefused, "", 1},
		"a web page":                {say(200, "<html>"), nil, rotation.ErrInvalidAnswer, "", 1},
		"nobody":                    {say(200, `{}`), nil, rotation.ErrInvalidAnswer, "", 1},
		"no object":                 {say(200, `[]`), nil, rotation.ErrInvalidAnswer, "", 1},
		"no me, teams is a page":    {say(404, ""), say(200, "<html>"), rotation.ErrInvalidAnswer, "", 2},
		"no me, teams is no list":   {say(404, ""), say(200, `{"ok": true}`), rotation.ErrInvalidAnswer, "", 2},
		"a login page, by redirect": {say(302, "", "Location: https://login.test/"), nil, rotation.ErrInvalidAnswer, "", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, byPath(map[string]answer{"/users/me": test.me, "/teams": test.teams}))
				who, err := c.Prove(t.Context(), secret.New(otherToken))
				if !errors.Is(err, test.want) || who.AccountID != test.account {
					t.Errorf("%v, err = %v; want %q, %v", who, err, test.account, test.want)
				}
				if errors.Is(err, rotation.ErrUnauthorized) {
					t.Error("another's token says something of the agent's credential")
				}
				if len(s.sent()) != test.calls {
					t.Errorf("%d calls, want %d", len(s.sent()), test.calls)
				}
				for _, a := range s.sent() {
					if a.bearer != otherToken || a.path == "/api/teams" && a.query != "page=1&size=1" {
						t.Errorf("asked %s?%s, with the token to prove: %v", a.path, a.query, a.bearer == otherToken)
					}
				}
			})
		})
	}
}

// Once a deployment has shown that it has no /users/me, it isn't asked again;
// a 404 of everything shows nothing.
func TestProveRemembersThatMeIsAbsent(t *testing.T) {
	up := false
	c, s := scripted(t, func(req *http.Request) (*http.Response, error) {
		if up && req.URL.Path == "/api/teams" {
			return say(200, `[]`)(req)
		}
		return say(404, "")(req)
	})
	for i, want := range []int{2, 4, 6, 7, 8} {
		up = i >= 2
		if _, err := c.Prove(t.Context(), secret.New(otherToken)); up != (err == nil) {
			t.Errorf("proof %d: %v", i, err)
		}
		if got := len(s.sent()); got != want {
			t.Errorf("after proof %d: %d calls, want %d", i, got, want)
		}
	}
}

func TestProveSendsNothingThatIsNoToken(t *testing.T) {
	for name, value := range map[string]secret.Value{
		"nothing": {}, "two words": secret.New("Bearer x"), "two lines": secret.New("a\r\nHost: b"), "umlaut": secret.New("tökën"),
	} {
		c, s := scripted(t, say(200, meBody))
		if _, err := c.Prove(t.Context(), value); !errors.Is(err, rotation.ErrRefused) || len(s.sent()) != 0 {
			t.Errorf("%s: err = %v after %d calls", name, err, len(s.sent()))
		}
	}
}

func TestMe(t *testing.T) {
	c, s := scripted(t, say(200, meBody), say(401, ""))
	who, err := c.Me(t.Context())
	if err != nil || who.AccountID != "pipeline@service" || s.sent()[0].bearer != adminToken {
		t.Errorf("%v, %v", who, err)
	}
	if _, err := c.Me(t.Context()); !errors.Is(err, rotation.ErrUnauthorized) {
		t.Errorf("err = %v, want unauthorized", err)
	}
}
