package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

const (
	// minSecretPart is the shortest part of a secret that counts as secret by
	// itself: parts of a JWT between its dots, words of a payload.
	minSecretPart = 20
	// minTrace is the shortest run of characters, of such a part or of an
	// encoding of it, that Redact takes out. Errors quote cut-off texts.
	minTrace = 12
	// minEncoded is the shortest encoding of a short secret that Redact looks
	// for; below, every text has it somewhere.
	minEncoded = 6
)

// Redact returns err with every trace of the values taken out of its text: of
// each part between dots, quotes and white space that is long enough to be
// secret, or else of the whole value, any twelve characters in a row, plain,
// URL-encoded, escaped as in JSON, in hexadecimal digits, and in base64 in any
// alignment.
//
// An error without a trace in itself or in what it wraps is returned as it is.
// One with a trace loses its chain, for the text sits in the chain.
func Redact(err error, values ...Value) error {
	if err == nil {
		return nil
	}
	var all []string
	for _, v := range values {
		for _, form := range forms(v) {
			if !slices.Contains(all, form) { // a token is a part of its payload
				all = append(all, form)
			}
		}
	}
	if len(all) == 0 || !traced(err, all) {
		return err
	}
	return errors.New(cover(err.Error(), all))
}

// traced reports whether err or anything that it wraps shows one of the forms.
func traced(err error, forms []string) bool {
	if text := err.Error(); cover(text, forms) != text {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // it walks the whole chain itself
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		return inner != nil && traced(inner, forms)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil && traced(inner, forms) {
				return true
			}
		}
	}
	return false
}

// cover replaces in text each run of characters that comes from the forms.
func cover(text string, forms []string) string {
	// Each run of minTrace ends first there, and then there again; 0 is never.
	first, again := make(map[string]int, len(text)), make([]int, len(text)+1)
	for end := len(text); end >= minTrace; end-- {
		run := text[end-minTrace : end]
		again[end], first[run] = first[run], end
	}
	hidden := make([]bool, len(text))
	for _, form := range forms {
		if len(form) < minTrace {
			hideAll(text, form, hidden)
		}
		for i := range len(form) - minTrace + 1 {
			run := form[i : i+minTrace]
			end := first[run]
			if end == 0 {
				continue
			}
			delete(first, run) // once is enough: a long repetition has the same run everywhere
			for ; end != 0; end = again[end] {
				hide(hidden[end-minTrace : end])
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(redacted)
		}
	}
	return out.String()
}

// hideAll marks each place where a form too short for runs stands whole.
func hideAll(text, form string, hidden []bool) {
	for i := range len(text) - len(form) + 1 {
		if text[i:i+len(form)] == form {
			hide(hidden[i : i+len(form)])
		}
	}
}

func hide(marks []bool) {
	for i := range marks {
		marks[i] = true
	}
}

// forms lists the texts under which v may show up.
func forms(v Value) []string {
	if v.IsZero() {
		return nil
	}
	whole := v.Reveal()
	parts := strings.FieldsFunc(whole, func(r rune) bool {
		return strings.ContainsRune(".\"'\\ \t\r\n=:@/?&{},", r)
	})
	var all []string
	for _, part := range parts {
		if len(part) >= minSecretPart {
			all = append(all, encodings(part)...)
		}
	}
	if len(all) == 0 {
		return encodings(whole)
	}
	return all
}

// encodings lists text and what the usual encoders make of it.
func encodings(text string) []string {
	inQuery, inJSON := url.QueryEscape(text), escapeJSON(text)
	candidates := []string{
		url.PathEscape(text), inQuery, strings.ReplaceAll(inQuery, "+", "%20"), inJSON, escapeJSON(inJSON),
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
	}
	for before := range 3 {
		core := base64Core(text, before)
		candidates = append(candidates, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
	}
	all := []string{text}
	for _, form := range candidates {
		if form != text && len(form) >= minEncoded {
			all = append(all, form)
		}
	}
	return all
}

// escapeJSON is text as it stands between the quotes of a JSON string.
func escapeJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil { // a string is always encoded
		return text
	}
	return string(quoted[1 : len(quoted)-1])
}

// base64Core is the base64 of a longer text that holds text behind so many
// bytes (modulo 3), less the characters that the neighbours have a share in.
func base64Core(text string, before int) string {
	padded := append(make([]byte, before), text...)
	encoded := base64.RawStdEncoding.EncodeToString(padded)
	first := (before*8 + 5) / 6
	last := len(padded) * 8 / 6
	return encoded[min(first, last):last]
}
