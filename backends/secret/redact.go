package secret

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// minSecretPart is the shortest part of a secret that Redact looks for: parts
// of a JWT between its dots, lines of a payload.
const minSecretPart = 20

// Redact returns err with every trace of the values taken out of its text: the
// values whole, their parts between dots, quotes and white space, and both of
// those URL-encoded and in base64. An error without a trace is returned as it
// is; one with a trace loses its chain, for the text sits in the chain.
func Redact(err error, values ...Value) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, v := range values {
		for _, form := range forms(v) {
			clean = strings.ReplaceAll(clean, form, redacted)
		}
	}
	if clean == text {
		return err
	}
	return errors.New(clean)
}

// forms lists the texts under which v may show up, the longest first.
func forms(v Value) []string {
	if v.IsZero() {
		return nil
	}
	whole := v.Reveal()
	parts := strings.FieldsFunc(whole, func(r rune) bool {
		return strings.ContainsRune(".\"'\\ \t\r\n=:@/?&{},", r)
	})
	var all []string
	for _, text := range append([]string{whole}, parts...) {
		if len(text) < minSecretPart && text != whole {
			continue
		}
		all = append(all, text, url.QueryEscape(text), url.PathEscape(text),
			base64.StdEncoding.EncodeToString([]byte(text)),
			base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	return all
}
