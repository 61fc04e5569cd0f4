// Package backends defines what a store of secrets is to the agent, and holds
// what all drivers would else repeat: the kinds of errors, the [Target] that
// delivers and reads back, and the [Registry] that the declaration is checked
// against.
//
// A driver lives in a folder of its own, imports this package,
// backends/secret and one vendor's SDK, and passes backends/backendtest.
package backends

import (
	"context"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Ref names one place in a backend.
type Ref struct {
	// Backend is the name under which the declaration declares the backend.
	Backend string
	// Path is the place as the declaration writes it.
	Path string
	// Options is nil, or what the driver's Driver.TargetOptions returned,
	// filled from the declaration's target.
	Options any
}

// String is "backend/path", the form in errors, logs and tables.
func (r Ref) String() string { return r.Backend + "/" + r.Path }

// Version names one state of a place. It is opaque: only the driver that made
// it reads it, others compare it. It is not a secret.
type Version string

// Absent is the Version of a place where nothing was ever written.
const Absent Version = ""

// Stage says which of a place's values is meant.
type Stage int

const (
	// Current is the value that a reader gets who asks for nothing else.
	Current Stage = iota
	// Previous is the value that Current replaced, where the store keeps it.
	Previous
	// Pending is a value written beside Current by a Stager and not yet
	// promoted.
	Pending
)

// String names the stage.
func (s Stage) String() string {
	switch s {
	case Previous:
		return "previous"
	case Pending:
		return "pending"
	}
	return "current"
}

// Meta says which token a stored payload carries. It holds no secret. The zero
// Meta means that nothing is known.
type Meta struct {
	// Slot is "<account id>/<token name>".
	Slot string `json:"slot"`
	// Generation is the agent's number of the token; 0 is none.
	Generation uint64 `json:"generation"`
	// TokenID is Qualytics' number of the token.
	TokenID int64 `json:"token_id"`
	// Token is the fingerprint of the token, not of the payload around it.
	Token secret.Fingerprint `json:"token"`
	// Expires is the token's end in UTC; the zero time is never.
	Expires time.Time `json:"expires"`
}

// IsZero reports whether nothing is known.
func (m Meta) IsZero() bool { return m == Meta{} }

// Item is a payload and what is known of it.
type Item struct {
	Payload secret.Value
	Meta    Meta
}

// Backend is one store of secrets, as a driver gives it. All methods are safe
// for concurrent use, honour ctx, and return errors made with [Error].
//
// "MUST" marks what backendtest asks of each driver.
type Backend interface {
	// Put makes item current at ref.
	//
	// It MUST be idempotent by the payload's fingerprint: where the current
	// payload is the same already, no new version is made, the metadata is
	// brought up to date, and the current Version is returned, whatever prev
	// says. So a Put whose answer was lost can be repeated as it was.
	//
	// prev is the Version that the caller last saw, Absent for none. A
	// backend with Properties.CompareAndSet MUST refuse with Conflict when
	// the place has moved on since; others ignore prev.
	//
	// A ctx that is done already MUST change nothing, and the error unwraps
	// to the ctx's. When the driver can't know whether the write took place,
	// the kind is UnknownOutcome.
	//
	// A payload larger than Properties.MaxPayload, a path that leaves the
	// backend's root, and bytes that the store can't give back unchanged MUST
	// be refused with Invalid, and change nothing.
	//
	// After a Put, Get at Previous MUST find the replaced value where
	// Properties.Versions is true.
	Put(ctx context.Context, ref Ref, item Item, prev Version) (Version, error)

	// Get returns what stands at ref.
	//
	// Where nothing stands there, the kind MUST be NotFound, and the Version
	// is what a Put has to expect (a store can count versions of deleted
	// values). So it is for a Stage that the store doesn't have. An
	// unreachable store MUST NOT look like NotFound.
	//
	// Meta MUST be zero unless the store's metadata describes the very
	// version that is returned.
	Get(ctx context.Context, ref Ref, at Stage) (Item, Version, error)

	// Properties says what this backend can do; it needs no network and
	// MUST always answer the same.
	Properties() Properties

	// Close ends what the driver runs in the background and waits for it.
	// It MUST leave no goroutine behind.
	Close() error
}

// Stager is a Backend that can write a value beside the current one.
type Stager interface {
	// PutPending writes item at Pending, in place of another that stands
	// there, and MUST leave Current alone; but where nothing stands at
	// Current, a backend with Properties.FirstIsCurrent makes it current. Like
	// Put it is idempotent: the same
	// payload, pending or current already, makes no new version.
	PutPending(ctx context.Context, ref Ref, item Item) (Version, error)
	// Promote makes a pending version current if the current one is still
	// prev, else the kind MUST be Conflict and nothing changes. A version
	// that is current already is no error, so Promote can be repeated.
	Promote(ctx context.Context, ref Ref, pending, prev Version) error
}

// Describer is a Backend that can say what stands somewhere without reading
// the secret.
type Describer interface {
	// Describe returns the current Version and its Meta; errors as Get.
	Describe(ctx context.Context, ref Ref) (Meta, Version, error)
}

// Checker is a Backend that can tell before a token is issued whether a Put
// would be allowed.
type Checker interface {
	// Check returns nil when nothing speaks against a Put at ref now. It
	// changes nothing.
	Check(ctx context.Context, ref Ref) error
}

// Remover is a Backend that can take an old version out of reach.
type Remover interface {
	// Remove makes one version that isn't current unreadable. A version that
	// is gone already is no error. The current one MUST be refused with
	// Conflict.
	Remove(ctx context.Context, ref Ref, version Version) error
}

// Unwrapper is a Backend around another one.
type Unwrapper interface{ Unwrap() Backend }

// As finds an optional interface of b. A wrapper has a capability exactly when
// what it wraps has it: where both implement T, the wrapper is returned, so
// that no call gets past it; a wrapper that lacks T lets the call through.
func As[T any](b Backend) (T, bool) {
	own, ok := b.(T)
	u, wraps := b.(Unwrapper)
	if !wraps {
		return own, ok
	}
	inner, has := As[T](u.Unwrap())
	if has && ok {
		return own, true
	}
	return inner, has
}
