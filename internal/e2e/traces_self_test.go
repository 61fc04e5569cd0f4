package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// newToken makes a text like a token: header, payload and signature in
// base64url, of random bytes.
func newToken(t *testing.T) (token, payload, signature string) {
	t.Helper()
	random := make([]byte, 96)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	payload, signature = base64.RawURLEncoding.EncodeToString(random[:64]), base64.RawURLEncoding.EncodeToString(random[64:])
	return "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + payload + "." + signature, payload, signature
}

// The ways in which a piece of a token could show up.
var disguises = map[string]func(piece string) string{
	"raw":              func(p string) string { return p },
	"quoted":           func(p string) string { return fmt.Sprintf("%q", "x"+p) },
	"in a query":       func(p string) string { return url.QueryEscape(p) },
	"hexadecimal":      func(p string) string { return hex.EncodeToString([]byte(p)) },
	"HEXADECIMAL":      func(p string) string { return strings.ToUpper(hex.EncodeToString([]byte(p))) },
	"percent":          percent,
	"PERCENT":          func(p string) string { return strings.ToUpper(percent(p)) },
	"base64 at 0":      func(p string) string { return base64.StdEncoding.EncodeToString([]byte(p)) },
	"base64 at 1":      func(p string) string { return base64.StdEncoding.EncodeToString([]byte("a" + p)) },
	"base64 at 2":      func(p string) string { return base64.StdEncoding.EncodeToString([]byte("ab" + p + "c")) },
	"base64url at 0":   func(p string) string { return base64.RawURLEncoding.EncodeToString([]byte(p + "yz")) },
	"base64url at 1":   func(p string) string { return base64.RawURLEncoding.EncodeToString([]byte("?" + p)) },
	"base64url at 2":   func(p string) string { return base64.RawURLEncoding.EncodeToString([]byte("~?" + p)) },
	"between lines":    func(p string) string { return "log\n" + p + "\nlog" },
	"between NULs":     func(p string) string { return "\x00" + p + "\x00" },
	"base64 of quoted": func(p string) string { return base64.StdEncoding.EncodeToString([]byte(`{"token":"` + p + `"}`)) },
}

// TestSearcherFindsWhatIsPlanted: twelve bytes from anywhere in payload or
// signature, at the start, in the middle and at the end of a text.
func TestSearcherFindsWhatIsPlanted(t *testing.T) {
	token, payload, signature := newToken(t)
	s := newSearcher()
	s.addToken("the token", token)
	for name, disguise := range disguises {
		for _, part := range []string{payload, signature} {
			for i := 0; i+window <= len(part); i++ {
				trace := disguise(part[i : i+window])
				for _, text := range []string{trace, "before " + trace, trace + " after", strings.Repeat("log ", 1000) + trace + "\n"} {
					if s.find([]byte(text)) == "" {
						t.Fatalf("%s: %d bytes at %d of %d are not found", name, window, i, len(part))
					}
				}
			}
		}
	}
}

// TestSearcherFindsNothingElse: another token, eleven bytes, and what stands in
// every log are no traces.
func TestSearcherFindsNothingElse(t *testing.T) {
	token, payload, _ := newToken(t)
	other, _, _ := newToken(t)
	s := newSearcher()
	s.addToken("the token", token)
	for _, text := range []string{
		"", "short", other, payload[:window-1], payload[20:20+window-1] + " ", strings.Split(token, ".")[0],
		`{"time":"2026-11-23T15:49:00Z","level":"INFO","msg":"issued","slot":"pipeline_automation@service/pipeline-production"}`,
	} {
		if what := s.find([]byte(text)); what != "" {
			t.Errorf("found %s in a text without it", what)
		}
	}
}

// TestSearcherTellsManyApart: the name of the right one of many secrets, and
// of one that is no token.
func TestSearcherTellsManyApart(t *testing.T) {
	s := newSearcher()
	var payloads []string
	for i := range 50 {
		token, payload, _ := newToken(t)
		s.addToken(fmt.Sprintf("token %d", i), token)
		payloads = append(payloads, payload)
	}
	s.add("the password", "correct-horse-battery")
	if got := s.find([]byte("log " + payloads[31][40:60])); got != "token 31" {
		t.Errorf("found %q, want token 31", got)
	}
	if got := s.find([]byte("a horse-battery of")); got != "the password" {
		t.Errorf("found %q, want the password", got)
	}
}

// TestEvidence: the place is named, once, and the piece isn't.
func TestEvidence(t *testing.T) {
	token, payload, _ := newToken(t)
	s, kept := newSearcher(), &evidence{}
	s.addToken("the token", token)
	kept.keep("log", []byte("nothing"))
	kept.keep("log", []byte("nothing"))
	kept.keep("page", []byte("x"+payload))
	kept.keep("page", []byte("y"+payload))
	if names, size := kept.places(); fmt.Sprint(names) != "[log page]" || size != len("nothing")+2*len("x"+payload) {
		t.Errorf("kept %v, %d bytes", names, size)
	}
	if got := fmt.Sprint(kept.search(s)); got != "[page shows the token]" {
		t.Errorf("found %s", got)
	}
}
