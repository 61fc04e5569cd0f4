// Package secret holds the two types that a token may travel in: [Value],
// which can be passed around but not printed, and [Fingerprint], which names a
// value and can be printed.
//
// It is a leaf: it imports nothing of this project.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a Value is printed.
const redacted = "<secret>"

// ErrMarshal is what every encoder gets that tries to write a Value. A journal
// or an answer that would hold a token fails here, before it is written.
var ErrMarshal = errors.New("a secret value must not be encoded")

// Value is a secret: a token, a rendered payload, a credential. The zero Value
// is "no value". A Value is immutable and safe for concurrent use.
//
// The text sits behind a pointer: fmt prints unexported fields of a struct
// without asking their methods, and finds only an address here. [Value.Reveal]
// is the one door; each call of it is a place to review. Only what goes past
// the language's protection looks behind it, as go-cmp's Diff does in a test:
// compare fingerprints there.
type Value struct{ text *string }

// New wraps text. An empty text gives the zero Value.
func New(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{text: &text}
}

// Reveal returns the text, or "" for the zero Value.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.text == nil }

// Len is the length of the text in bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal compares in constant time for texts of one length.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// String returns a placeholder.
func (v Value) String() string { return redacted }

// GoString returns a placeholder.
func (v Value) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses with [ErrMarshal]; so do JSON, YAML and XML through it.
func (v Value) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// MarshalJSON refuses with [ErrMarshal].
func (v Value) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalYAML refuses with [ErrMarshal].
func (v Value) MarshalYAML() (any, error) { return nil, ErrMarshal }

// GobEncode refuses with [ErrMarshal].
func (v Value) GobEncode() ([]byte, error) { return nil, ErrMarshal }
