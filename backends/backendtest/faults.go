package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

func faultTests() []subtest {
	remote := []property{not(local)}
	losing := func(h Harness) bool { return h.AnswerLost == nil }
	return []subtest{
		{
			name: "UnreachableIsNotNotFound", run: unreachableIsNotNotFound,
			lacks: func(h Harness) bool { return h.Unreachable == nil },
		},
		{name: "DeniedIsTold", run: deniedIsTold, lacks: func(h Harness) bool { return h.Denied == nil }},
		{name: "ThrottledIsTold", run: throttledIsTold, needs: remote, lacks: func(h Harness) bool { return h.Throttled == nil }},
		{name: "LostAnswerIsUnknownOutcome", run: lostAnswerIsUnknownOutcome, needs: remote, lacks: losing},
		{name: "LostPromoteIsUnknownOutcome", run: lostPromoteIsUnknownOutcome, needs: append(remote, stages), lacks: losing},
		{
			name: "HangingStoreEndsWithContext", run: hangingStoreEndsWithContext, needs: remote,
			lacks: func(h Harness) bool { return h.Hanging == nil },
		},
	}
}

func unreachableIsNotNotFound(t *testing.T, s *suite) {
	b, ref := closing(t, s.Unreachable(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1), s.version(t)) {
		kinds := []error{backends.ErrUnavailable}
		if c.writes {
			kinds = append(kinds, backends.ErrUnknownOutcome)
		}
		wantKind(t, c.op+" on a store out of reach", c.do(t.Context(), ref), kinds...)
	}
	for _, at := range []backends.Stage{backends.Previous, backends.Pending} {
		_, _, err := b.Get(t.Context(), ref, at)
		if at == backends.Pending && !stages.of(s) && errors.Is(err, backends.ErrNotFound) {
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
	for _, c := range calls(b, newItem(1), s.version(t)) {
		wantKind(t, c.op+" where it is denied", c.do(t.Context(), ref), backends.ErrDenied)
	}
}

// throttledIsTold: each call says that the store asks to wait, and for how long.
func throttledIsTold(t *testing.T, s *suite) {
	b, ref := closing(t, s.Throttled(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1), s.version(t)) {
		err := c.do(t.Context(), ref)
		wantKind(t, c.op+" on a store that asks to wait", err, backends.ErrThrottled)
		if after := backends.RetryAfter(err); after != s.RetryAfter {
			t.Errorf("%s: is to wait %s, the store says %s", c.op, after, s.RetryAfter)
		}
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

// lostPromoteIsUnknownOutcome is the same for the second of the two steps.
func lostPromoteIsUnknownOutcome(t *testing.T, s *suite) {
	b, stager := s.stager(t)
	lossy, ref, second := closing(t, s.AnswerLost(t)), s.Ref(t), newItem(2)
	v1 := put(t, b, ref, newItem(1), backends.Absent)
	v2 := stage(t, stager, ref, second)
	losing, _ := backends.As[backends.Stager](lossy)
	err := losing.Promote(t.Context(), ref, v2, v1)
	wantKind(t, "promote whose answer was lost", err, backends.ErrUnknownOutcome)
	wantPayload(t, b, ref, backends.Current, second.Payload)
	promote(t, stager, ref, v2, v1)
	wantPayload(t, b, ref, backends.Current, second.Payload)
}

// patience is how long a call to a hanging store is let run before its context
// ends. It bounds nothing else: a driver that hangs is stopped by the test's
// own limit.
const patience = 50 * time.Millisecond

func hangingStoreEndsWithContext(t *testing.T, s *suite) {
	b, ref := closing(t, s.Hanging(t)), s.Ref(t)
	for _, c := range calls(b, newItem(1), s.version(t)) {
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
