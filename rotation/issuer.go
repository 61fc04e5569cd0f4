package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Issuer is Qualytics as the engine needs it. Implementations are safe for
// concurrent use, bound every call in time, and fail with [*APIError]. They
// may repeat a call that is idempotent; CreateAccount and Issue are sent at
// most once a call.
type Issuer interface {
	// Now is the API's time: its last Date, carried on by the monotonic
	// clock. Before the first answer it is the local time.
	Now() time.Time
	// Accounts lists every service account, all pages.
	Accounts(ctx context.Context) ([]Account, error)
	// CreateAccount makes a service account.
	CreateAccount(ctx context.Context, spec AccountSpec) (Account, error)
	// UpdateAccount sets role and teams of an account.
	UpdateAccount(ctx context.Context, userID int64, spec AccountSpec) error
	// DeactivateAccount takes an account out of use: none of its tokens works
	// any more. ErrRefused, ErrMissing: the API won't, or can't.
	DeactivateAccount(ctx context.Context, userID int64) error
	// Tokens lists every service token of every account. It either has the
	// whole list or fails.
	Tokens(ctx context.Context) ([]Token, error)
	// Issue mints a token. The value is in this answer and nowhere else.
	Issue(ctx context.Context, order Order) (Issued, error)
	// Prove uses a token once. nil: it is live. ErrDead: the API refused it.
	// Any other kind: nothing is known.
	Prove(ctx context.Context, token secret.Value) (Identity, error)
	// Revoke makes a token invalid at once. A revoked token is no error.
	Revoke(ctx context.Context, tokenID int64) error
	// Restore undoes Revoke.
	Restore(ctx context.Context, tokenID int64) error
	// Delete removes a revoked token for good; ErrRefused when it is active,
	// ErrMissing when it is gone already.
	Delete(ctx context.Context, tokenID int64) error
}

// AccountSpec is what the declaration says of an account.
type AccountSpec struct {
	Name  string
	Role  string
	Teams []string
}

// Account is a service account as the API lists it.
type Account struct {
	// UserID is the number that Order wants.
	UserID int64
	// ID is the id made from the name: "pipeline_automation@service".
	ID    string
	Name  string
	Role  string
	Teams []string
	// Deleted: deleted_at is set.
	Deleted bool
	// Deactivated: the account exists and its tokens don't work. That the
	// list tells it is a guess (qualytics-api.md).
	Deactivated bool
}

// Token is a service token as the API lists it; the value is never in it.
type Token struct {
	ID int64
	// Label is the token's name in Qualytics.
	Label string
	// UserID and AccountID name the account that owns it.
	UserID    int64
	AccountID string
	// Active is false once the token is revoked.
	Active  bool
	Created time.Time
	// Expires is the zero time for never.
	Expires time.Time
	// LastUsed is the zero time for never used.
	LastUsed time.Time
}

// Live reports whether the API would take the token at now.
func (t Token) Live(now time.Time) bool { return t.Active && !t.Expired(now) }

// Expired reports whether the token's end has come.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Order asks for a token.
type Order struct {
	UserID int64
	// AccountID is for error messages and for checking the answer.
	AccountID string
	Label     string
	// Days is the lifetime, 1 to 365; 0 is never.
	Days int
}

// Issued is the answer to an Order.
type Issued struct {
	ID      int64
	Value   secret.Value
	Expires time.Time
}

// Identity is who a token proves to be, as far as the API tells. All fields
// may be empty.
type Identity struct{ AccountID, Role string }

// The kinds of errors of the API. Qualytics' answers are mapped to them in one
// table, in package qualytics.
var (
	// ErrUnauthorized: the agent's own credential was refused, 401 or 403.
	ErrUnauthorized = errors.New("the agent's credential was refused")
	// ErrDead: the token that was to be proved was refused.
	ErrDead = errors.New("the token was refused")
	// ErrDuplicate: a token of that name exists on the account, 409.
	ErrDuplicate = errors.New("the name is taken")
	// ErrMissing: there is no such account or token, 404.
	ErrMissing = errors.New("not found")
	// ErrRefused: the API understood and won't: 400, 422, 409 of a delete.
	ErrRefused = errors.New("refused")
	// ErrThrottled: 429; wait RetryAfter.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: not reached, or 5xx to a call that changes nothing or
	// can be repeated.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknownOutcome: a call that mints was sent, and whether it took
	// place is not known. Only a list tells.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrInvalidAnswer: the API answered with something that isn't in its
	// documents.
	ErrInvalidAnswer = errors.New("invalid answer")
)

// APIError is what each method of an Issuer fails with. It unwraps to its Kind
// and Err. Its text holds no secret and no body.
type APIError struct {
	// Call is the method and path: "POST /user-tokens".
	Call string
	// Status is the HTTP status; 0 when there was no answer.
	Status     int
	Kind       error
	RetryAfter time.Duration
	// Err is the cause, with what to do where that is known; may be nil.
	Err error
}

// Error names the call, the status, the kind and the cause.
func (e *APIError) Error() string {
	text := e.Call + ": "
	if e.Status != 0 {
		text += fmt.Sprintf("%d: ", e.Status)
	}
	text += e.Kind.Error()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap serves errors.Is by kind and errors.As by cause.
func (e *APIError) Unwrap() []error { return []error{e.Kind, e.Err} }
