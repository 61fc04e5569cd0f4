package backends_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// TestDeliver goes the whole road on every kind of store.
func TestDeliver(t *testing.T) {
	for name, test := range map[string]struct {
		options mem.Options
		want    []faulty.Op
	}{
		"put":               {mem.LikeVault(), []faulty.Op{faulty.Put, faulty.Get}},
		"stage and promote": {mem.LikeAWS(), []faulty.Op{faulty.Stage, faulty.Promote, faulty.Get}},
		"poorest":           {mem.Options{}, []faulty.Op{faulty.Put, faulty.Get}},
	} {
		t.Run(name, func(t *testing.T) {
			store := mem.New(test.options)
			target := target(store, faulty.Nothing())
			got, err := target.Deliver(t.Context(), itemOf(t, target, newToken), backends.Absent)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Present || !got.Token.Equal(newToken) || got.Version != "1" || got.Meta.IsZero() == test.options.Metadata {
				t.Errorf("reading present %v at %q, meta %+v", got.Present, got.Version, got.Meta)
			}
			if diff := cmp.Diff(test.want, opsOf(target)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			again, err := target.Deliver(t.Context(), itemOf(t, target, newToken), backends.Absent)
			if err != nil || again.Version != got.Version {
				t.Errorf("the same delivery again: version %q, %v", again.Version, err)
			}
		})
	}
}

func opsOf(target *backends.Target) []faulty.Op {
	wrapped, _ := target.Backend.(*faulty.Backend)
	var ops []faulty.Op
	for _, c := range wrapped.Calls() {
		ops = append(ops, c.Op)
	}
	return ops
}

// TestDeliverFails has one row for each way in which a delivery goes wrong. The
// store serves the old token at first, at version 1.
func TestDeliverFails(t *testing.T) {
	const path = "ci"
	byHand := secret.New(linePrefix + "by hand")
	oldPayload := secret.New(linePrefix + oldToken.Reveal())
	newPayload := secret.New(linePrefix + newToken.Reveal())
	other := func(s *mem.Store) faulty.Fault {
		return faulty.Fault{After: func(error) error { s.Overwrite(path, byHand); return nil }}
	}
	gone := func(s *mem.Store) faulty.Fault {
		return faulty.Fault{After: func(error) error { s.Delete(path); return nil }}
	}
	tests := []struct {
		name    string
		options mem.Options
		op      faulty.Op
		fault   func(*mem.Store) faulty.Fault
		prev    backends.Version
		want    error
		serves  secret.Value
	}{
		{"denied", mem.LikeVault(), faulty.Put, fixed(faulty.Fail(backends.ErrDenied)), "1", backends.ErrDenied, oldPayload},
		{"stale", mem.LikeVault(), faulty.Check, fixed(faulty.Fault{}), "0", backends.ErrConflict, oldPayload},
		{"answer lost", mem.LikeVault(), faulty.Put, fixed(faulty.LoseAnswer()), "1", backends.ErrUnknownOutcome, newPayload},
		{"no kind", mem.LikeVault(), faulty.Put, fixed(faulty.FailAfter(unclassified())), "1", backends.ErrUnknownOutcome, newPayload},
		{"overwritten before the read-back", mem.LikeVault(), faulty.Put, other, "1", backends.ErrConflict, byHand},
		{"deleted before the read-back", mem.LikeVault(), faulty.Put, gone, "1", backends.ErrUnknownOutcome, secret.Value{}},
		{"read-back denied", mem.LikeVault(), faulty.Get, fixed(faulty.Fail(backends.ErrDenied)), "1", backends.ErrUnknownOutcome, newPayload},
		{"staging fails", mem.LikeAWS(), faulty.Stage, fixed(faulty.Fail(backends.ErrThrottled)), "1", backends.ErrThrottled, oldPayload},
		{"staging answer lost", mem.LikeAWS(), faulty.Stage, fixed(faulty.LoseAnswer()), "1", backends.ErrUnknownOutcome, oldPayload},
		{"another writes between stage and promote", mem.LikeAWS(), faulty.Stage, other, "1", backends.ErrConflict, byHand},
		{"promote answer lost", mem.LikeAWS(), faulty.Promote, fixed(faulty.LoseAnswer()), "1", backends.ErrUnknownOutcome, newPayload},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := mem.New(test.options)
			store.Overwrite(path, oldPayload)
			target := target(store, faulty.InTurn(test.op, test.fault(store)))
			_, err := target.Deliver(t.Context(), itemOf(t, target, newToken), test.prev)
			wantError(t, err, test.want)
			if got := store.Peek(path); !got.Equal(test.serves) {
				t.Errorf("a consumer reads %s, want %s", got.Fingerprint().Short(), test.serves.Fingerprint().Short())
			}
		})
	}
}

func fixed(f faulty.Fault) func(*mem.Store) faulty.Fault {
	return func(*mem.Store) faulty.Fault { return f }
}

// unclassified is what a driver should not return.
func unclassified() error { return &backends.Error{Err: errors.New("something broke")} }

// TestLateWriteAfterReadBack: a write that timed out lands when the target was
// read already, and found without it.
func TestLateWriteAfterReadBack(t *testing.T) {
	store := mem.New(mem.LikeAzure())
	var land func()
	target := target(store, faulty.InTurn(faulty.Put, faulty.LandLate(func(l func()) { land = l })))
	_, err := target.Deliver(t.Context(), itemOf(t, target, newToken), backends.Absent)
	wantError(t, err, backends.ErrUnknownOutcome)
	if r, err := target.Read(t.Context(), backends.Current); err != nil || r.Present {
		t.Fatalf("before it lands: present %v, %v", r.Present, err)
	}
	land()
	if r, err := target.Read(t.Context(), backends.Current); err != nil || !r.Token.Equal(newToken) {
		t.Errorf("after it landed: %s, %v", r.Token.Fingerprint().Short(), err)
	}
}

// TestErrorsAreRedacted: a store that repeats what it was sent, in one form or
// another, does not get it into an error.
func TestErrorsAreRedacted(t *testing.T) {
	leaks := map[string]error{
		"the payload": fmt.Errorf("bad value %q", linePrefix+newToken.Reveal()),
		"the token":   fmt.Errorf("refused: %s", newToken.Reveal()),
		"in a driver's error": &backends.Error{
			Op: "put", Ref: backends.Ref{Backend: "store", Path: "ci"}, Kind: backends.ErrUnknownOutcome,
			Err: fmt.Errorf("body was {%q: %q}", "value", newToken.Reveal()),
		},
		"around a driver's error": fmt.Errorf("sent %s: %w", newToken.Reveal(),
			&backends.Error{Op: "put", Kind: backends.ErrUnknownOutcome}),
	}
	for name, leak := range leaks {
		t.Run(name, func(t *testing.T) {
			for op, options := range map[faulty.Op]mem.Options{
				faulty.Put: mem.LikeVault(), faulty.Stage: mem.LikeAWS(), faulty.Promote: mem.LikeAWS(), faulty.Get: mem.LikeVault(),
			} {
				target := target(mem.New(options), faulty.Nothing())
				item := itemOf(t, target, newToken)
				target.Backend = leaking{target.Backend, op, leak}
				_, err := target.Deliver(t.Context(), item, backends.Absent)
				wantError(t, err, backends.ErrUnknownOutcome)
			}
		})
	}
}

// TestErrorsKeepWhatTheySay: redaction takes a secret out and nothing else.
func TestErrorsKeepWhatTheySay(t *testing.T) {
	ref := backends.Ref{Backend: "store", Path: "ci"}
	cause := &causeError{}
	clean := &backends.Error{Op: "write", Ref: ref, Kind: backends.ErrThrottled, RetryAfter: time.Minute, Err: cause}
	leaking := &backends.Error{
		Op: "write", Ref: ref, Kind: backends.ErrThrottled, RetryAfter: time.Minute,
		Err: errors.New("slow down with " + newToken.Reveal()),
	}
	for name, test := range map[string]struct {
		err  error
		text string
	}{
		"clean":   {clean, "write store/ci: throttled: cause"},
		"wrapped": {fmt.Errorf("x: %w", clean), "write store/ci: throttled: cause"},
		"leaking": {leaking, "write store/ci: throttled: slow down with <secret>.<secret>.<secret>"},
	} {
		t.Run(name, func(t *testing.T) {
			target := target(mem.New(mem.LikeVault()), faulty.Always(faulty.Put, faulty.Fail(test.err)))
			_, err := target.Deliver(t.Context(), itemOf(t, target, newToken), backends.Absent)
			if err == nil || err.Error() != test.text {
				t.Errorf("got %v, want %s", err, test.text)
			}
			if backends.RetryAfter(err) != time.Minute {
				t.Errorf("retry after %v, want 1m", backends.RetryAfter(err))
			}
			if name != "leaking" && !errors.Is(err, cause) {
				t.Error("the cause was lost")
			}
		})
	}
}

// TestReadBackKeepsItsDelay: a throttled read-back has one kind, the write's,
// and the store's wish to wait.
func TestReadBackKeepsItsDelay(t *testing.T) {
	throttled := &backends.Error{Op: "get", Kind: backends.ErrThrottled, RetryAfter: time.Minute, Err: &causeError{}}
	target := target(mem.New(mem.LikeVault()), faulty.Always(faulty.Get, faulty.Fail(throttled)))
	_, err := target.Deliver(t.Context(), itemOf(t, target, newToken), backends.Absent)
	wantError(t, err, backends.ErrUnknownOutcome)
	if errors.Is(err, backends.ErrThrottled) {
		t.Errorf("two kinds in %v", err)
	}
	if backends.RetryAfter(err) != time.Minute || !errors.Is(err, throttled.Err) {
		t.Errorf("delay %v, error %v", backends.RetryAfter(err), err)
	}
}
