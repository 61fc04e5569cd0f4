package qualytics

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// noSecret fails when text holds 12 bytes of a token's payload or signature,
// raw or encoded.
func noSecret(t testing.TB, text string) {
	t.Helper()
	noSecretOf(t, text, adminToken, otherToken, mintedToken)
}

func noSecretOf(t testing.TB, text string, tokens ...string) {
	t.Helper()
	const window = 12
	for _, token := range tokens {
		for _, part := range strings.Split(token, ".")[1:] {
			for i := 0; i+window <= len(part); i++ {
				piece := part[i : i+window]
				for _, form := range []string{piece, url.QueryEscape(piece), base64.StdEncoding.EncodeToString([]byte(piece))} {
					if strings.Contains(text, form) {
						t.Fatalf("%d bytes of a token at its byte %d are in a text of %d bytes", window, i, len(text))
					}
				}
			}
		}
	}
}

// A server that shows tokens wherever it can, in every way to fail.
func TestNoSecretInErrors(t *testing.T) {
	all := adminToken + " " + otherToken + " " + mintedToken
	encoded := base64.StdEncoding.EncodeToString([]byte(adminToken))
	detail := fmt.Sprintf(`{"detail": "bad header Bearer %s in %s", "bearer_token": %q}`, all, encoded, mintedToken)
	befalls := map[string]answer{
		"detail 400":       say(400, detail),
		"detail 401":       say(401, detail),
		"detail 403":       say(403, detail),
		"detail 404":       say(404, detail),
		"detail 409":       say(409, detail),
		"detail 500":       say(500, detail),
		"token shown late": say(422, fmt.Sprintf(`{"detail": "%s %s"}`, strings.Repeat("x ", 95), mintedToken)),
		"rows 422":         say(422, fmt.Sprintf(`{"detail": [{"loc": [%q], "msg": %q, "input": %q}]}`, adminToken, otherToken, mintedToken)),
		"message 500":      say(500, fmt.Sprintf(`{"message": %q}`, all)),
		"location":         say(307, "", "Location: https://x.test/"+adminToken),
		"location host":    say(307, "", "Location: https://"+adminToken+".test/"),
		"no JSON":          say(200, mintedToken),
		"wrong types":      say(200, fmt.Sprintf(`{"id": %q, "items": %q, "expiration": %q}`, mintedToken, mintedToken, mintedToken)),
		"bad time":         say(200, fmt.Sprintf(`{"id": 1, "active": true, "bearer_token": %q, "expiration": %q}`, mintedToken, mintedToken)),
		"cut":              sayFrom(200, cut(fmt.Sprintf(`{"id": 1, "bearer_token": %q`, mintedToken))),
		"other account":    say(200, fmt.Sprintf(`{"id": 1, "bearer_token": %q, "name": %q}`, mintedToken, mintedToken)),
		"transport":        fail(errors.New("malformed HTTP response: Bearer " + adminToken + " and Bearer " + otherToken)),
	}
	for name, befall := range befalls {
		for _, m := range methods() {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					s := &script{answers: []answer{befall}}
					c := client(t, Options{Transport: s, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
					err := m.call(t.Context(), c)
					if name == "transport" { // holds the token of this very call, and can't know another
						s.answers[0] = fail(errors.New("malformed HTTP response: Bearer " + s.sent()[0].bearer + " "))
						err = m.call(t.Context(), c)
					}
					if err != nil {
						noSecret(t, fmt.Sprintf("%v %+v %#v", err, err, apiError(t, err).Err))
						noSecret(t, fmt.Sprint(errors.Unwrap(err)))
						if len(err.Error()) > 1000 {
							t.Errorf("an error of %d bytes", len(err.Error()))
						}
					}
					noSecret(t, log.String())
				})
			})
		}
	}
}

func TestWithoutPieces(t *testing.T) {
	const whole = "abcdefghijklmnopqrstuvwxyz"
	for text, want := range map[string]string{
		"":                             "",
		"abcdefghijk":                  "abcdefghijk", // 11 bytes are no piece
		"abcdefghijkl":                 "<secret>",
		"x opqrstuvwxyz y":             "x <secret> y",
		whole + whole:                  "<secret><secret>",
		"bcdefghijklmnX-klmnopqrstuv!": "<secret>X-<secret>!",
		"no part of it at all":         "no part of it at all",
	} {
		if got := withoutPieces(text, whole); got != want {
			t.Errorf("withoutPieces(%q) = %q, want %q", text, got, want)
		}
	}
	if got := withoutPieces("text", ""); got != "text" {
		t.Errorf("without a secret: %q", got)
	}
}

func TestDetailIsOneShortLine(t *testing.T) {
	for in, want := range map[string]string{
		`{"detail": "plain"}`:     "plain",
		`{"detail": ""}`:          "",
		`{"detail": {"code": 5}}`: "",
		`{"detail": [{"msg": "a"}, {"loc": [], "msg": "b"}]}`:      "a; b",
		`{"detail": [{"loc": ["q", 0], "msg": "a"}]}`:              "q.0: a",
		`{"detail": [1, 2]}`:                                       "",
		`{"error": "x"}`:                                           "",
		`["x"]`:                                                    "",
		`{"detail": "a\r\n\u001b[31mb"}`:                           "a [31mb",
		`{"detail": "` + strings.Repeat("é ", 300) + `"}`:          strings.Repeat("é ", 100) + "…",
		`{"detail": "` + mintedToken + `"}`:                        "<secret>.<secret>.<secret>",
		`{"detail": "` + strings.Repeat("x", maxDetailBody) + `"}`: "",
	} {
		if got := readDetail(strings.NewReader(in)); got != want {
			t.Errorf("readDetail(%.60s) = %q, want %q", in, got, want)
		}
	}
}
