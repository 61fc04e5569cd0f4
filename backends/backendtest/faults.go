package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

func faultTests() []subtest {
	return []subtest{
		{
			name: "UnreachableIsNotNotFound", run: unreachableIsNotNotFound,
			lacks: func(h Harness) bool { return h.Unreachable == nil },
		},
		{name: "DeniedIsTold", run: deniedIsTold, lacks: func(h Harness) bool { return h.Denied == nil }},
		{name: "ThrottledIsTold", run: throttledIsTold, lacks: func(h Harness) bool { return h.Throttled == nil }},
		{
			name: "LostAnswerIsUnknownOutcome", run: lostAnswerIsUnknownOutcome,
			lacks: func(h Harness) bool { return h.AnswerLost == nil },
		},
		{
			name: "HangingStoreEndsWithContext", run: hangingStoreEndsWithContext,
			lacks: func(h Harness) bool { return h.Hanging == nil },
		},
		{name: "ErrorsHoldNoSecret", run: errorsHoldNoSecret},
	}
}

func unreachableIsNotNotFound(t *testing.T, s *suite) {
	b, ref := closing(t, s.Unreachable(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1)) {
		kinds := []error{backends.ErrUnavailable}
		if c.writes {
			kinds = append(kinds, backends.ErrUnknownOutcome)
		}
		wantKind(t, c.op+" on a store out of reach", c.do(t.Context(), ref), kinds...)
	}
	for _, at := range []backends.Stage{backends.Previous, backends.Pending} {
		_, _, err := b.Get(t.Context(), ref, at)
		if at == backends.Pending && !s.stages && errors.Is(err, backends.ErrNotFound) {
			continue // a store without that stage needn't be asked
		}
		if at == backends.Previous && !s.properties.Versions && errors.Is(err, backends.ErrNotFound) {
			continue
		}
		wantKind(t, "get "+at.String()+" on a store out of reach", err, backends.ErrUnavailable)
	}
}

func deniedIsTold(t *testing.T, s *suite) {
	b, ref := s.Denied(t)
	closing(t, b)
	for _, c := range calls(b, newItem(1)) {
		wantKind(t, c.op+" where it is denied", c.do(t.Context(), ref), backends.ErrDenied)
	}
}

func throttledIsTold(t *testing.T, s *suite) {
	b, ref := closing(t, s.Throttled(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1)) {
		wantKind(t, c.op+" on a store that asks to wait", c.do(t.Context(), ref), backends.ErrThrottled)
	}
}

// lostAnswerIsUnknownOutcome: the write took place and the caller can't know;
// Get resolves it, and so does the same Put again.
func lostAnswerIsUnknownOutcome(t *testing.T, s *suite) {
	lossy, b, ref, item := closing(t, s.AnswerLost(t)), s.open(t), s.Ref(t), newItem(1)
	_, err := lossy.Put(t.Context(), ref, item, backends.Absent)
	wantKind(t, "put whose answer was lost", err, backends.ErrUnknownOutcome)
	wantPayload(t, b, ref, backends.Current, item.Payload)
	put(t, b, ref, item, backends.Absent)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

// patience is how long a call to a hanging store is let run before its context
// ends. It bounds nothing else: a driver that hangs is stopped by the test's
// own limit.
const patience = 50 * time.Millisecond

func hangingStoreEndsWithContext(t *testing.T, s *suite) {
	b, ref := closing(t, s.Hanging(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1)) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		kinds := []error{backends.ErrUnavailable}
		if c.writes {
			kinds = append(kinds, backends.ErrUnknownOutcome)
		}
		err := c.do(ctx, ref)
		cancel()
		wantKind(t, c.op+" on a store that never answers", err, kinds...)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v does not unwrap to the context's error", c.op, err)
		}
	}
}

// errorsHoldNoSecret provokes what errors it can and searches their texts.
func errorsHoldNoSecret(t *testing.T, s *suite) {
	item := newItem(1)
	secrets := append(slices.Clone(s.Secrets), item.Payload)
	for _, err := range s.provoke(t, item) {
		if err == nil {
			continue
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			for i, v := range secrets {
				if hasTrace(text, v) {
					t.Errorf("an error of kind %v holds a part of secret %d", backends.KindOf(err), i)
				}
			}
		}
	}
}

func (s *suite) provoke(t *testing.T, item backends.Item) []error {
	b := s.open(t)
	var errs []error
	try := func(ctx context.Context, b backends.Backend, ref backends.Ref) {
		for _, c := range calls(b, item) {
			errs = append(errs, c.do(ctx, ref))
		}
	}
	taken := s.Ref(t)
	s.Overwrite(t, taken, newPayload())
	try(t.Context(), b, taken)
	try(done(t), b, s.Ref(t))
	for _, path := range s.Escapes {
		ref := s.Ref(t)
		ref.Path = path
		try(t.Context(), b, ref)
	}
	if s.Denied != nil {
		denied, ref := s.Denied(t)
		try(t.Context(), closing(t, denied), ref)
	}
	if s.Unreachable != nil {
		try(t.Context(), closing(t, s.Unreachable(t)), s.Ref(t))
	}
	if s.AnswerLost != nil {
		try(t.Context(), closing(t, s.AnswerLost(t)), s.Ref(t))
	}
	if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Error("no error could be provoked")
	}
	return errs
}
