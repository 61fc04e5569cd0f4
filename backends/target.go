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
	if errors.Is(KindOf(err), ErrNotFound) {
		return Reading{Version: version}, nil
	}
	if err != nil {
		return Reading{}, t.wrap("get", err, KindOf(err))
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
	if payload.IsZero() {
		return secret.Value{}, t.fail("render", ErrInvalid, errors.New("the payload is empty"))
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
// nothing, is an UnknownOutcome, and so is a write that failed without a kind.
// With a Stager the payload is staged first, and a Conflict leaves what stands
// there untouched.
func (t *Target) Deliver(ctx context.Context, item Item, prev Version) (Reading, error) {
	if err := t.put(ctx, item, prev); err != nil {
		return Reading{}, err
	}
	back, err := t.Read(ctx, Current)
	switch {
	case err != nil:
		return Reading{}, t.unread(err, item.Payload)
	case !back.Present:
		return Reading{}, t.fail("read back", ErrUnknownOutcome, errors.New("nothing stands there after the write"))
	case back.Payload != item.Payload.Fingerprint():
		return Reading{}, t.fail("read back", ErrConflict, errors.New("another value stands there after the write"))
	}
	return back, nil
}

// put writes item by the road that the backend has.
func (t *Target) put(ctx context.Context, item Item, prev Version) error {
	stager, ok := As[Stager](t.Backend)
	if !ok {
		_, err := t.Backend.Put(ctx, t.Ref, item, prev)
		return t.wrap("put", err, writeKind(err), item.Payload)
	}
	pending, err := stager.PutPending(ctx, t.Ref, item)
	if err != nil {
		return t.wrap("stage", err, writeKind(err), item.Payload)
	}
	err = stager.Promote(ctx, t.Ref, pending, prev)
	return t.wrap("promote", err, writeKind(err), item.Payload)
}

// Find looks for the token with that fingerprint at every stage of the target:
// current, pending where the backend stages, previous. It returns the zero
// Value when every stage has answered and none holds the token (a lossy format
// gives none back), and an error when one that might hold it could not be read:
// unreachable isn't absent.
func (t *Target) Find(ctx context.Context, token secret.Fingerprint) (secret.Value, error) {
	if token == "" {
		return secret.Value{}, nil
	}
	stages := []Stage{Current, Previous}
	if _, ok := As[Stager](t.Backend); ok {
		stages = []Stage{Current, Pending, Previous}
	}
	var unread error
	for _, at := range stages {
		found, err := t.Read(ctx, at)
		if err != nil && unread == nil {
			unread = err
		}
		if !found.Token.IsZero() && found.Token.Fingerprint() == token {
			return found.Token, nil
		}
	}
	return secret.Value{}, unread
}

// Describes reports whether the store can say what stands there without giving
// the secret away.
func (t *Target) Describes() bool {
	_, ok := As[Describer](t.Backend)
	return ok
}

// Describe is what the store says of the current value without reading it. It
// must not be called where Describes is false. "Nothing there" is an error
// here: only Read tells what that means.
func (t *Target) Describe(ctx context.Context) (Meta, Version, error) {
	describer, ok := As[Describer](t.Backend)
	if !ok {
		return Meta{}, Absent, t.fail("describe", ErrInvalid, errors.New("the store can't describe"))
	}
	meta, version, err := describer.Describe(ctx, t.Ref)
	if err != nil {
		return Meta{}, Absent, t.wrap("describe", err, KindOf(err))
	}
	return meta, version, nil
}

// Check asks the store, where it can be asked, whether a Put would be allowed.
func (t *Target) Check(ctx context.Context) error {
	checker, ok := As[Checker](t.Backend)
	if !ok {
		return nil
	}
	err := checker.Check(ctx, t.Ref)
	return t.wrap("check", err, KindOf(err))
}

// writeKind is KindOf for a write: without a kind nobody knows whether it took
// place.
func writeKind(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Kind != nil {
		return e.Kind
	}
	return ErrUnknownOutcome
}

// wrap makes err an *Error of this target without a trace of the payload or of
// the token in it. What the driver said of operation, place and delay is kept.
func (t *Target) wrap(op string, err, kind error, payload ...secret.Value) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return t.fail(op, kind, t.redact(err, payload...))
	}
	if err.Error() == e.Error() && e.Ref.String() == t.Key() && e.Kind != nil && t.clean(e, payload...) {
		return e
	}
	if e.Op != "" {
		op = e.Op
	}
	return &Error{Op: op, Ref: t.Ref, Kind: kind, RetryAfter: e.RetryAfter, Err: t.redact(e.Err, payload...)}
}

// unread is the error of a write that can't be looked at. The reader's kind
// becomes text: an error has one kind, and here it is the write's.
func (t *Target) unread(err error, payload secret.Value) *Error {
	cause := err
	var e *Error
	if errors.As(err, &e) {
		cause = errors.New(e.Kind.Error())
		if e.Err != nil {
			cause = fmt.Errorf("%s: %w", e.Kind.Error(), e.Err)
		}
	}
	return &Error{
		Op: "read back", Ref: t.Ref, Kind: ErrUnknownOutcome,
		RetryAfter: RetryAfter(err), Err: t.redact(cause, payload),
	}
}

// clean reports whether err shows nothing of the payload.
func (t *Target) clean(err error, payload ...secret.Value) bool {
	return t.redact(err, payload...).Error() == err.Error()
}

// redact takes out of err the token that the format finds in the payload, and
// the payload around it.
func (t *Target) redact(err error, payload ...secret.Value) error {
	var secrets []secret.Value
	for _, p := range payload {
		if token, notFound := t.Format.Extract(p); notFound == nil {
			secrets = append(secrets, token)
		}
	}
	return secret.Redact(err, append(secrets, payload...)...)
}

func (t *Target) fail(op string, kind, cause error) *Error {
	return &Error{Op: op, Ref: t.Ref, Kind: kind, Err: cause}
}
