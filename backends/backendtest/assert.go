package backendtest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// open returns a backend that is closed at the end of the subtest.
func (s *suite) open(t *testing.T) backends.Backend {
	t.Helper()
	return closing(t, s.Open(t))
}

func closing(t *testing.T, b backends.Backend) backends.Backend {
	t.Helper()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// newPayload is a text like a JWT that nobody wrote before.
func newPayload() secret.Value {
	return secret.New("eyJhbGciOiJIUzI1NiJ9." + rand.Text() + rand.Text() + "." + rand.Text())
}

// newItem is a new payload with the metadata of generation n.
func newItem(n uint64) backends.Item {
	payload := newPayload()
	return backends.Item{Payload: payload, Meta: newMeta(n, payload)}
}

func newMeta(n uint64, token secret.Value) backends.Meta {
	return backends.Meta{
		Slot:       "suite@service/conformance",
		Generation: n,
		TokenID:    4711,
		Token:      token.Fingerprint(),
		Expires:    time.Date(2031, time.March, 5, 12, 34, 56, 0, time.UTC),
	}
}

// put makes item current; it fails the test when it can't.
func put(t *testing.T, b backends.Backend, ref backends.Ref, item backends.Item, prev backends.Version) backends.Version {
	t.Helper()
	v, err := b.Put(t.Context(), ref, item, prev)
	if err != nil {
		t.Fatalf("put: %.500v", err)
	}
	return v
}

// get returns what stands at a stage; it fails the test when nothing does.
func get(t *testing.T, b backends.Backend, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version) {
	t.Helper()
	item, v, err := b.Get(t.Context(), ref, at)
	if err != nil {
		t.Fatalf("get %s: %v", at, err)
	}
	return item, v
}

// wantPayload fails the test unless exactly want stands there. It prints
// fingerprints alone.
func wantPayload(t *testing.T, b backends.Backend, ref backends.Ref, at backends.Stage, want secret.Value) {
	t.Helper()
	item, _ := get(t, b, ref, at)
	if !item.Payload.Equal(want) {
		t.Errorf("the %s value is %s with %d bytes, want %s with %d", at,
			item.Payload.Fingerprint().Short(), item.Payload.Len(), want.Fingerprint().Short(), want.Len())
	}
}

// wantNothing fails the test unless the store says that nothing stands there,
// and returns the Version that it says.
func wantNothing(t *testing.T, b backends.Backend, ref backends.Ref, at backends.Stage) backends.Version {
	t.Helper()
	item, v, err := b.Get(t.Context(), ref, at)
	wantKind(t, "get "+at.String(), err, backends.ErrNotFound)
	if !item.Payload.IsZero() || !item.Meta.IsZero() {
		t.Errorf("get %s: not found, and yet an item came back", at)
	}
	return v
}

// wantKind fails the test unless err is an *Error of just one of the kinds.
func wantKind(t *testing.T, op string, err error, kinds ...error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", op, kinds)
		return
	}
	var e *backends.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v is not a *backends.Error", op, err)
		return
	}
	if e.Op == "" || e.Ref.Path == "" {
		t.Errorf("%s: %v does not name operation and place", op, err)
	}
	for _, kind := range kinds {
		if errors.Is(e.Kind, kind) {
			return
		}
	}
	t.Errorf("%s: kind %v, want %v (%.500v)", op, e.Kind, kinds, err)
}

// done returns a context that is over.
func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// wantCancelled fails the test unless err tells of a context that was over, and
// doesn't claim more than that.
func wantCancelled(t *testing.T, op string, err error) {
	t.Helper()
	wantKind(t, op, err, backends.ErrUnavailable)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v does not unwrap to context.Canceled", op, err)
	}
}

// traceLength is how many bytes of a secret in a row are a trace of it.
const traceLength = 12

// hasTrace reports whether text holds any traceLength bytes of v.
func hasTrace(text string, v secret.Value) bool {
	whole := v.Reveal()
	for i := 0; i+traceLength <= len(whole); i++ {
		if strings.Contains(text, whole[i:i+traceLength]) {
			return true
		}
	}
	return false
}
