package backends

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of errors: what the agent decides by. A driver maps its vendor's
// errors to them at the edge, in one table.
var (
	// ErrNotFound: the store answered, and nothing stands there.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the store knows the caller and refuses it.
	ErrDenied = errors.New("permission denied")
	// ErrConflict: the place has moved on since it was last seen.
	ErrConflict = errors.New("changed by another writer")
	// ErrThrottled: the store asks to come back later; no attempt is spent.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: the store could not be asked, or could not answer.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: the request can't succeed as it is; a person must act.
	ErrInvalid = errors.New("invalid")
	// ErrUnknownOutcome: a write may or may not have taken place, or may yet.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Error is what each method of a Backend and of a Target fails with. It
// unwraps to its Kind and to Err. Its text holds no secret.
type Error struct {
	// Op is what was tried: "put", "get", "promote", "check" …
	Op string
	// Ref is where.
	Ref Ref
	// Kind is one of the kinds above.
	Kind error
	// RetryAfter is how long a throttling store asks to wait; 0 is unsaid.
	RetryAfter time.Duration
	// Err is the cause with what to do about it; may be nil.
	Err error
}

// Error names the operation and the place, once.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Op, e.Ref, e.Kind)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap serves errors.Is by kind and errors.As by cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// KindOf returns the kind of err. An error without one is ErrUnavailable, for
// that leads to waiting, never to overwriting; nil has none.
func KindOf(err error) error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Kind != nil:
		return e.Kind
	}
	return ErrUnavailable
}

// RetryAfter is how long err asks to wait; 0 when it doesn't say.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
