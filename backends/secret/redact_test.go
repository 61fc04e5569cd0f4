package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends/secret"
)

// fakeJWT is signed by nobody; its parts are built here, so that no file holds
// anything like a token.
func fakeJWT() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part([]byte(`{"sub":"pipeline_automation@service","name":"a>b?c~d/e"}`)) + "." +
		part([]byte("a signature of 32 bytes, or near"))
}

// shown reports whether text has any twelve bytes of the secret parts of a
// token, its payload and its signature.
func shown(text, token string) bool {
	for _, part := range strings.Split(token, ".")[1:] {
		for i := range len(part) - 11 {
			if strings.Contains(text, part[i:i+12]) {
				return true
			}
		}
	}
	return false
}

func TestRedactForms(t *testing.T) {
	token := fakeJWT()
	parts := strings.Split(token, ".")
	std, raw := base64.StdEncoding, base64.RawURLEncoding
	inJSON, err := json.Marshal(map[string]string{"value": `{"token":"` + token + `"}`})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"whole":                token,
		"in a header":          "Authorization: Bearer " + token,
		"payload alone":        parts[1],
		"signature alone":      parts[2],
		"cut off":              token[:len(token)-25],
		"cut off in front":     token[50:],
		"a piece":              parts[1][7:22],
		"URL-encoded":          url.QueryEscape("http://:" + token + "@host/?a=" + token),
		"quoted":               strconv.Quote(`"` + token + `"`),
		"JSON in JSON":         string(inJSON),
		"twice":                token + " and " + token,
		"in upper-case text":   "TOKEN" + token + "TOKEN",
		"over several lines":   parts[0] + "\n" + parts[1] + "\n" + parts[2],
		"between other tokens": parts[2] + parts[1] + parts[2],
	}
	for name, text := range tests {
		got := secret.Redact(errors.New("put x: "+text+" refused"), secret.New(token)).Error()
		if shown(got, token) {
			t.Errorf("%s: a part of the token is left", name)
		}
		if !strings.HasPrefix(got, "put x: ") || !strings.HasSuffix(got, " refused") || !strings.Contains(got, "<secret>") {
			t.Errorf("%s: got %q, want the rest of the text", name, got)
		}
	}
	for name, encode := range map[string]func([]byte) string{
		"base64": std.EncodeToString, "base64url": raw.EncodeToString, "hex": hex.EncodeToString,
		"HEX": func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) },
	} {
		for before := range 4 { // every alignment, in a larger text
			text := encode([]byte("user"[:before] + token + ":tail"))
			got := secret.Redact(errors.New(text), secret.New(token)).Error()
			for _, part := range parts[1:] {
				if middle := encode([]byte(part[:3*(len(part)/3)])); strings.Contains(got, middle[:16]) {
					t.Errorf("%s behind %d bytes: a part of the token is left", name, before)
				}
			}
			if len(got) > len(text)/2 {
				t.Errorf("%s behind %d bytes: %d of %d characters are left", name, before, len(got), len(text))
			}
		}
	}
}

func TestRedactPayload(t *testing.T) {
	token := fakeJWT()
	payload := `{"url":"https://acme.qualytics.io","token":"` + token + `"}`
	err := fmt.Errorf("put https://acme.qualytics.io/v1/data: bad body %q", payload)
	got := secret.Redact(err, secret.New(payload)).Error()
	if shown(got, token) {
		t.Error("a part of the token is left")
	}
	if !strings.Contains(got, "https://acme.qualytics.io/v1/data: bad body") {
		t.Errorf("got %q, want the place still named", got)
	}
}

func TestRedactShortSecrets(t *testing.T) {
	for _, text := range []string{"hunter2", "correct horse battery", "p.a.s.s=w:o@r/d", "ümläut!"} {
		for name, form := range map[string]string{
			"plain": text, "query": url.QueryEscape(text), "path": url.PathEscape(text),
			"base64": base64.StdEncoding.EncodeToString([]byte("u:" + text)), "hex": hex.EncodeToString([]byte(text)),
		} {
			got := secret.Redact(errors.New("login with ("+form+") failed"), secret.New(text)).Error()
			if strings.Contains(got, form) || !strings.Contains(got, "<secret>") {
				t.Errorf("a secret of %d bytes, %s: got %q", len(text), name, got)
			}
		}
	}
}

func TestRedactKeepsCleanErrors(t *testing.T) {
	err := fmt.Errorf("put vault/kv/ci: %w", io.ErrUnexpectedEOF)
	if got := secret.Redact(err, secret.New(fakeJWT()), secret.Value{}); got != err {
		t.Errorf("a clean error was changed to %v", got)
	}
	if got := secret.Redact(err); got != err {
		t.Errorf("without values: got %v", got)
	}
	if got := secret.Redact(nil, secret.New("x")); got != nil {
		t.Errorf("of nil: got %v", got)
	}
}

// terse is an error whose text hides what it wraps.
type terse struct{ inner []error }

func (terse) Error() string     { return "terse" }
func (e terse) Unwrap() []error { return e.inner }

type silent struct{ inner error }

func (silent) Error() string   { return "silent" }
func (e silent) Unwrap() error { return e.inner }

func TestRedactCutsTheChain(t *testing.T) {
	token := fakeJWT()
	leak := fmt.Errorf("body %s", token)
	for name, err := range map[string]error{
		"itself":           leak,
		"wrapped":          fmt.Errorf("put: %w", leak),
		"joined":           errors.Join(io.EOF, leak),
		"in a terse join":  terse{[]error{nil, io.EOF, leak}},
		"in a silent one":  silent{silent{leak}},
		"deep in a silent": fmt.Errorf("x: %w", silent{errors.Join(io.EOF, leak)}),
	} {
		got := secret.Redact(err, secret.New(token))
		var all []string
		for e := got; e != nil; e = errors.Unwrap(e) {
			all = append(all, e.Error())
		}
		if shown(fmt.Sprintf("%v %+v %#v %s", got, got, got, all), token) {
			t.Errorf("%s: the token is left in the chain", name)
		}
		if errors.Is(got, leak) || errors.Is(got, io.EOF) {
			t.Errorf("%s: the chain is left", name)
		}
	}
	clean := error(silent{silent{nil}})
	if got := secret.Redact(clean, secret.New(token)); got != clean {
		t.Errorf("a silent error that wraps nothing was changed to %v", got)
	}
}

func TestRedactAnyPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`[A-Za-z0-9_-]{20,40}(\.[A-Za-z0-9_-]{20,60}){0,2}`).Draw(t, "token")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		from := rapid.IntRange(0, len(token)-12).Draw(t, "from")
		to := rapid.IntRange(from+12, len(token)).Draw(t, "to")
		got := secret.Redact(errors.New(before+token[from:to]+after), secret.New(token)).Error()
		for part := range strings.SplitSeq(token, ".") {
			for i := range len(part) - 11 {
				if strings.Contains(got, part[i:i+12]) {
					t.Fatal("twelve bytes of the token are left")
				}
			}
		}
	})
}

// FuzzRedact: a secret word of twelve bytes or more is gone, wherever it stood;
// what isn't a part of the value stays.
func FuzzRedact(f *testing.F) {
	f.Add("put x: ", "hunter2hunter2", " refused")
	f.Add("", fakeJWT(), fakeJWT())
	f.Add("\xff", "\xffaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaa")
	f.Add("", strings.Repeat("=-", 50_000), strings.Repeat("-", 100_000)) // in no more than a moment
	f.Fuzz(func(t *testing.T, before, value, after string) {
		err := errors.New(before + value + after)
		got := secret.Redact(err, secret.New(value))
		if value == "" {
			if got != err {
				t.Fatal("there is no value, and yet a change")
			}
			return
		}
		if !strings.Contains(got.Error(), "<secret>") && len(value) < 20 {
			t.Fatal("the value is not replaced")
		}
		word := strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
		if word && !strings.Contains("<secret>", value) && strings.Contains(got.Error(), value) {
			t.Fatal("the value is left")
		}
	})
}
