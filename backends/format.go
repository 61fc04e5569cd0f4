package backends

import (
	"errors"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Token is what a Format renders.
type Token struct {
	// Value is the bearer token.
	Value secret.Value
	// ID is Qualytics' number of the token.
	ID int64
	// Name is the token's label in Qualytics.
	Name string
	// Account is the declared name, AccountID the id made from it.
	Account, AccountID string
	// Environment is the declared environment; may be "".
	Environment string
	// URL is the instance, without a trailing slash and without /api:
	// "https://acme.qualytics.io".
	URL string
	// Expiration is in UTC; the zero time is never.
	Expiration time.Time
}

// ErrLossy says that a format's payload doesn't give its token back.
var ErrLossy = errors.New("the format does not keep the token extractable")

// Format is the shape in which a consumer reads a token. Implementations are
// values without state, safe for concurrent use.
type Format interface {
	// Render makes the payload. It fails where the token can't be written
	// in this shape.
	Render(Token) (secret.Value, error)
	// Extract finds the token in a payload of this shape, whoever wrote it.
	// It fails with ErrLossy where the shape can't give it back, and with
	// another error where the payload isn't of this shape.
	Extract(secret.Value) (secret.Value, error)
	// Lossy reports whether Extract always fails with ErrLossy.
	Lossy() bool
}
