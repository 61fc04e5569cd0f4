package backends

import (
	"context"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/backends/secret"
)

// Target is one place where a token must stand: a backend, a path and the
// format that its consumer reads. It does once what every driver would else
// repeat: rendering, staging, reading back, comparing, and keeping secrets out
// of errors. It is safe for concurrent use.
type Target struct {
	Ref     Ref
	Backend Backend
	Format  Format
}

// Reading is what was found at a Target. The zero Reading is "nothing stands
// there".
type Reading struct {
	// Present reports whether a value stands there.
	Present bool
	// Version is what the next Deliver must expect, also when nothing stands
	// there.
	Version Version
	// Payload is the fingerprint of the stored payload.
	Payload secret.Fingerprint
	// Token is the token in the payload; zero when the format can't give it
	// back or the payload has another shape.
	Token secret.Value
	// Meta is what the store's metadata says, zero unless it fits both the
	// version and the token that were read.
	Meta Meta
}

// Key names the target inside its slot; it is the key of its journal record.
func (t *Target) Key() string { return t.Ref.String() }

// Read looks at one stage. "Nothing there" is a Reading, not an error.
func (t *Target) Read(ctx context.Context, at Stage) (Reading, error) {
	item, version, err := t.Backend.Get(ctx, t.Ref, at)
	if errors.Is(err, ErrNotFound) {
		return Reading{Version: version}, nil
	}
	if err != nil {
		return Reading{}, t.wrap("get", err, item.Payload)
	}
	return t.reading(item, version), nil
}

func (t *Target) reading(item Item, version Version) Reading {
	r := Reading{Present: true, Version: version, Payload: item.Payload.Fingerprint(), Meta: item.Meta}
	token, err := t.Format.Extract(item.Payload)
	if err == nil {
		r.Token = token
	}
	if !r.Token.IsZero() && r.Meta.Token != r.Token.Fingerprint() {
		r.Meta = Meta{}
	}
	return r
}

// Payload renders the token in the target's format and checks its size.
func (t *Target) Payload(token Token) (secret.Value, error) {
	payload, err := t.Format.Render(token)
	if err != nil {
		return secret.Value{}, t.fail("render", ErrInvalid, secret.Redact(err, token.Value))
	}
	if most := t.Backend.Properties().MaxPayload; most > 0 && payload.Len() > most {
		return secret.Value{}, t.fail("render", ErrInvalid,
			fmt.Errorf("the payload has %d bytes, the store takes at most %d", payload.Len(), most))
	}
	return payload, nil
}

// Deliver puts item, reads it back and compares. prev is the Version of the
// last Reading. When it returns nil, the target serves the payload. A read-back
// that finds another payload is a Conflict; one that can't be done, or finds
// nothing, is an UnknownOutcome.
func (t *Target) Deliver(ctx context.Context, item Item, prev Version) (Reading, error) {
	if err := t.put(ctx, item, prev); err != nil {
		return Reading{}, err
	}
	back, err := t.Read(ctx, Current)
	switch {
	case err != nil:
		return Reading{}, t.fail("read back", ErrUnknownOutcome, secret.Redact(err, item.Payload))
	case !back.Present:
		return Reading{}, t.fail("read back", ErrUnknownOutcome, errors.New("nothing stands there after the write"))
	case back.Payload != item.Payload.Fingerprint():
		return Reading{}, t.fail("read back", ErrConflict, errors.New("another value stands there after the write"))
	}
	return back, nil
}

func (t *Target) put(ctx context.Context, item Item, prev Version) error {
	stager, ok := As[Stager](t.Backend)
	if !ok {
		_, err := t.Backend.Put(ctx, t.Ref, item, prev)
		return t.wrap("put", err, item.Payload)
	}
	pending, err := stager.PutPending(ctx, t.Ref, item)
	if err != nil {
		return t.wrap("stage", err, item.Payload)
	}
	return t.wrap("promote", stager.Promote(ctx, t.Ref, pending, prev), item.Payload)
}

// Check asks the store, where it can be asked, whether a Put would be allowed.
func (t *Target) Check(ctx context.Context) error {
	checker, ok := As[Checker](t.Backend)
	if !ok {
		return nil
	}
	return t.wrap("check", checker.Check(ctx, t.Ref))
}

// wrap makes err an *Error of this target without a trace of the secrets.
func (t *Target) wrap(op string, err error, secrets ...secret.Value) error {
	if err == nil {
		return nil
	}
	clean := secret.Redact(err, secrets...)
	var e *Error
	if errors.As(clean, &e) {
		return clean
	}
	return &Error{Op: op, Ref: t.Ref, Kind: KindOf(err), RetryAfter: RetryAfter(err), Err: clean}
}

func (t *Target) fail(op string, kind, cause error) *Error {
	return &Error{Op: op, Ref: t.Ref, Kind: kind, Err: cause}
}
