package payload

import (
	"errors"
	"net/url"
	"strings"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// What Extract fails with. None of them quotes the payload.
var (
	errOther = errors.New("the payload is not of the shape that the format writes")
	errTwo   = errors.New("the payload holds two different tokens")
)

// shape implements [backends.Format]: one way to write a token and the places
// where it stands then.
type shape struct {
	// write makes the payload. Its token passed checkToken.
	write func(backends.Token) (string, error)
	// read finds the token; nil where the payload can't give it back.
	read func(payload string) (string, error)
}

// Render implements [backends.Format]. It refuses what the consumer would
// break on, and says which part of the token or of the URL is to blame without
// quoting the token.
func (s shape) Render(t backends.Token) (secret.Value, error) {
	if err := checkToken(t.Value.Reveal()); err != nil {
		return secret.Value{}, err
	}
	text, err := s.write(t)
	if err != nil {
		return secret.Value{}, secret.Redact(err, t.Value)
	}
	return secret.New(text), nil
}

// Extract implements [backends.Format]. What it returns could have been
// rendered.
func (s shape) Extract(payload secret.Value) (secret.Value, error) {
	if s.Lossy() {
		return secret.Value{}, backends.ErrLossy
	}
	token, err := s.read(payload.Reveal())
	if err != nil {
		return secret.Value{}, err
	}
	if checkToken(token) != nil {
		return secret.Value{}, errOther
	}
	return secret.New(token), nil
}

// Lossy implements [backends.Format].
func (s shape) Lossy() bool { return s.read == nil }

// checkToken refuses what no consumer could send as "Authorization: Bearer …".
func checkToken(token string) error {
	if token == "" {
		return errors.New("there is no token to write")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("the token holds a line break or another character that an HTTP header can't carry")
	}
	if strings.TrimSpace(token) != token {
		return errors.New("the token has a space at its start or end, which an HTTP header loses")
	}
	return nil
}

// bareCharacters are those of a bearer token, before the "=" at its end (RFC
// 6750, section 2.1).
const bareCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/-"

// checkBare refuses what can't stand alone as a payload: nothing else there
// tells a token from a URI, a JSON object or a note.
func checkBare(token string) error {
	body := strings.TrimRight(token, "=")
	if body == "" || strings.Trim(body, bareCharacters) != "" {
		return errors.New("the token can't stand alone, for it holds what a bearer token doesn't (RFC 6750); use the format json")
	}
	return nil
}

// checkURL parses the instance's URL as [backends.Token] promises it.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, errors.New("the instance's URL is not like https://acme.qualytics.io")
	}
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if plain.String() != raw || strings.HasSuffix(u.Path, "/") || strings.ContainsAny(raw, "\"'\\ ") {
		return nil, errors.New("the instance's URL has more than scheme, host, port and path, or ends in a slash")
	}
	return u, nil
}

// agree returns the one token that stands at every place where one was found.
func agree(found ...string) (string, error) {
	if len(found) == 0 {
		return "", errOther
	}
	for _, token := range found[1:] {
		if token != found[0] {
			return "", errTwo
		}
	}
	return found[0], nil
}
