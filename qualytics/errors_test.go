package qualytics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Each status, by class, as qualytics-api.md has it; written out a second time
// so that a slip in the table of errors.go shows.
func TestStatusTable(t *testing.T) {
	const (
		A, D, C, M, R = "unauthorized", "dead", "duplicate", "missing", "refused"
		T, U, X, I    = "throttled", "unavailable", "unknown outcome", "invalid"
	)
	kinds := map[string]error{
		A: rotation.ErrUnauthorized, D: rotation.ErrDead, C: rotation.ErrDuplicate, M: rotation.ErrMissing,
		R: rotation.ErrRefused, T: rotation.ErrThrottled, U: rotation.ErrUnavailable,
		X: rotation.ErrUnknownOutcome, I: rotation.ErrInvalidAnswer,
	}
	table := []struct {
		status int
		want   [classes]string // reads, lists, changes, mints, proofs
	}{
		{301, [...]string{I, I, I, X, I}},
		{303, [...]string{I, I, I, X, I}},
		{307, [...]string{I, I, I, X, I}},
		{400, [...]string{R, R, R, R, R}},
		{401, [...]string{A, A, A, A, D}},
		{402, [...]string{I, I, I, I, I}},
		{403, [...]string{A, A, A, A, R}},
		{404, [...]string{M, I, M, M, I}},
		{405, [...]string{I, I, I, I, I}},
		{408, [...]string{U, U, U, X, U}},
		{409, [...]string{R, R, R, C, R}},
		{413, [...]string{I, I, I, I, I}},
		{418, [...]string{I, I, I, X, I}},
		{422, [...]string{R, R, R, R, R}},
		{425, [...]string{U, U, U, X, U}},
		{429, [...]string{T, T, T, T, T}},
		{499, [...]string{I, I, I, X, I}},
		{500, [...]string{U, U, U, X, U}},
		{501, [...]string{U, U, U, X, U}},
		{502, [...]string{U, U, U, X, U}},
		{503, [...]string{U, U, U, X, U}},
		{504, [...]string{U, U, U, X, U}},
		{599, [...]string{U, U, U, X, U}},
		{999, [...]string{I, I, I, X, I}},
	}
	for _, row := range table {
		for _, m := range methods() {
			t.Run(fmt.Sprintf("%d/%s", row.status, m.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, _ := scripted(t, say(row.status, `{"detail": "no"}`))
					fail := apiError(t, m.call(t.Context(), c))
					if want := kinds[row.want[m.class]]; fail.Kind != want {
						t.Errorf("kind = %v, want %v", fail.Kind, want)
					}
					if fail.Status != row.status {
						t.Errorf("status = %d, want %d", fail.Status, row.status)
					}
				})
			})
		}
	}
}

// The text names the call, the status, the kind, the API's own words and what
// to do, each once.
func TestErrorTexts(t *testing.T) {
	tests := map[string]struct {
		answer answer
		call   func(context.Context, *Client) error
		want   string
	}{
		"forbidden": {
			say(403, `{"detail": "Admins only"}`), callOf("Tokens"),
			`GET /user-tokens/service: 403: the agent's credential was refused: the API says "Admins only"; check that the agent's credential is live and has the role Admin`,
		},
		"validation": {
			say(422, `{"detail": [{"loc": ["body", "user_id"], "msg": "not a number", "input": {"x": 1}}]}`), callOf("Issue"),
			`POST /user-tokens: 422: refused: the API says "body.user_id: not a number"`,
		},
		"no words": {say(409, `gone`), callOf("Delete"), `DELETE /user-tokens/9: 409: refused`},
		"a message": {
			say(409, `{"message": "name\n taken"}`), callOf("Issue"),
			`POST /user-tokens: 409: the name is taken: the API says "name taken"`,
		},
		"a web page": {
			say(200, "<!doctype html>", "Content-Type: text/html"), callOf("Revoke"),
			`PUT /user-tokens/9: 200: invalid answer: a web page, not JSON: is the url right?`,
		},
		"a wrong type": {
			say(200, `[{"id": "nine"}]`), callOf("Tokens"),
			`GET /user-tokens/service: 200: invalid answer: field "id" holds a JSON string`,
		},
		"a redirect": {
			say(302, "", "Location: https://login.test/sso?state=x"), callOf("Delete"),
			`DELETE /user-tokens/9: 302: invalid answer: it redirects to https://login.test; is the url right?`,
		},
		"a lost answer": {
			fail(errors.New("connection reset")), callOf("Issue"),
			`POST /user-tokens: outcome unknown: connection reset`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, test.answer)
			if got := test.call(t.Context(), c).Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// callOf is the call of the method of that name.
func callOf(name string) func(context.Context, *Client) error {
	for _, m := range methods() {
		if m.name == name {
			return m.call
		}
	}
	return nil
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":            {http.Header{}, 0},
		"seconds":         {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"zero":            {http.Header{"Retry-After": {"0"}}, 0},
		"negative":        {http.Header{"Retry-After": {"-5"}}, 0},
		"endless":         {http.Header{"Retry-After": {"9223372036854775807"}}, time.Hour},
		"words":           {http.Header{"Retry-After": {"soon"}}, 0},
		"minutes":         {http.Header{"Retry-After": {"5m"}}, 0},
		"date":            {http.Header{"Retry-After": {in(20 * time.Second)}}, 20 * time.Second},
		"past date":       {http.Header{"Retry-After": {in(-time.Minute)}}, 0},
		"far date":        {http.Header{"Retry-After": {in(48 * time.Hour)}}, time.Hour},
		"by its own Date": {http.Header{"Retry-After": {in(20 * time.Second)}, "Date": {in(15 * time.Second)}}, 5 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := retryAfter(test.header, now); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestOriginIsNoMoreThanSchemeAndHost(t *testing.T) {
	for location, want := range map[string]string{
		"https://user:pass@login.test/a?b=c": "https://login.test",
		"/elsewhere":                         "another path",
		"://":                                "another path",
	} {
		if got := origin(location); got != want {
			t.Errorf("origin(%q) = %q, want %q", location, got, want)
		}
	}
}
