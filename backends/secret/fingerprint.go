package secret

import (
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprint names a Value: the first 16 bytes of its SHA-256, as 32
// lower-case hexadecimal digits. "" is the fingerprint of no value.
//
// It is safe to log and to store: a token carries more entropy than anybody
// can search. It has no key, because it must outlive the journal (design.md,
// "Words").
type Fingerprint string

// fingerprintBytes is how much of the SHA-256 is kept.
const fingerprintBytes = 16

// Fingerprint names v; "" for the zero Value.
func (v Value) Fingerprint() Fingerprint {
	if v.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(v.Reveal()))
	return Fingerprint(hex.EncodeToString(sum[:fingerprintBytes]))
}

// Short is the first eight digits, for people.
func (f Fingerprint) Short() string {
	if len(f) < 8 {
		return string(f)
	}
	return string(f[:8])
}
