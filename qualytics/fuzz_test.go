package qualytics

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// FuzzAnswers lets a server answer with anything, to any call: a call fails
// with one of the kinds and a short text without a secret, or what it returns
// is whole. A mint is sent once; a success to it that isn't whole is an
// unknown outcome.
func FuzzAnswers(f *testing.F) {
	for which, body := range []string{
		usersBody, userBody, userBody, userBody, `{"items": [{"id": 1, "name": "Public"}], "total": 1}`, tokensBody, tokensBody,
		mintedBody, meBody, meBody, `{"id": 9, "active": false}`, `{"id": 9, "active": true}`, "", `{"status": "ok"}`, "null",
		`{"paths": {"/api/users": {"get": {}}}}`,
	} {
		f.Add(byte(which), uint16(200), []byte(body))
		f.Add(byte(which), uint16(422), []byte(`{"detail": [{"loc": ["body", 0], "msg": "`+adminToken+`"}]}`))
	}
	f.Add(byte(5), uint16(200), []byte(`{"items": [{"id": 1, "active": true}], "total": 2}`))
	f.Add(byte(8), uint16(401), []byte(`{"detail": "Could not validate `+otherToken+`"}`))
	all := methods()
	f.Fuzz(func(t *testing.T, which byte, status uint16, body []byte) {
		m := all[int(which)%len(all)]
		c, s := scripted(t, say(int(status), string(body)))
		c.tries = 1
		err := m.call(t.Context(), c)
		if m.class == mints && len(s.sent()) != 1 {
			t.Errorf("%s: sent %d times", m.name, len(s.sent()))
		}
		success := status >= 200 && status < 300
		if err == nil {
			checkWhole(t, c, m.name)
			if !success && m.name != "Revoke" && m.name != "Restore" {
				t.Errorf("%s: %d is no success", m.name, status)
			}
			return
		}
		fail := apiError(t, err)
		if !slices.Contains([]error{auth, dead, duplicate, missing, refused, throttled, away, unknown, invalid}, fail.Kind) {
			t.Errorf("%s: kind %v", m.name, fail.Kind)
		}
		if m.class == mints && success != (fail.Kind == unknown && success) {
			t.Errorf("%s: a success that isn't whole is %v", m.name, fail.Kind)
		}
		if errors.Is(err, dead) && status != 401 {
			t.Errorf("%s: %d says dead", m.name, status)
		}
		if text := fmt.Sprint(err); utf8.RuneCountInString(text) > 800 {
			t.Errorf("%s: an error of %d bytes", m.name, len(text))
		} else {
			noSecretOf(t, text, s.sent()[0].bearer) // of another it can't know each piece
		}
	})
}

// checkWhole calls again and looks at what a success returns.
func checkWhole(t *testing.T, c *Client, name string) {
	t.Helper()
	switch name {
	case "Issue":
		issued, err := c.Issue(t.Context(), order())
		if err != nil || issued.ID <= 0 || sendable(issued.Value) != nil || issued.Expires.IsZero() {
			t.Errorf("Issue: id %d, expires %v, %v", issued.ID, issued.Expires, err)
		}
	case "CreateAccount":
		account, err := c.CreateAccount(t.Context(), rotation.AccountSpec{Name: "Pipeline"})
		if err != nil || account.UserID <= 0 {
			t.Errorf("CreateAccount: %+v, %v", account, err)
		}
	case "Tokens":
		tokens, err := c.Tokens(t.Context())
		seen := map[int64]bool{}
		for _, token := range tokens {
			if token.ID <= 0 || seen[token.ID] {
				t.Errorf("Tokens: id %d", token.ID)
			}
			seen[token.ID] = true
		}
		if err != nil {
			t.Errorf("Tokens: %v at the second time", err)
		}
	case "Prove":
		if _, err := c.Prove(t.Context(), secret.New(otherToken)); err != nil {
			t.Errorf("Prove: %v at the second time", err)
		}
	}
}
