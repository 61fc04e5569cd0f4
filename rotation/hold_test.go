package rotation

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// clockIssuer knows the time and nothing else.
type clockIssuer struct{ Issuer }

func (clockIssuer) Now() time.Time { return time.Now() }

func TestHold(t *testing.T) {
	call := func(status int, kind error, after time.Duration) error {
		return fmt.Errorf("in a pass: %w", &APIError{Call: "GET /x", Status: status, Kind: kind, RetryAfter: after})
	}
	for _, tt := range []struct {
		name   string
		err    error
		always bool
		want   Reason // "": no hold
		atMost time.Duration
	}{
		{"401", call(401, ErrUnauthorized, 0), false, CredentialRefused, time.Second},
		{"403", call(403, ErrUnauthorized, 0), false, CredentialRefused, time.Second},
		{"429", call(429, ErrThrottled, time.Minute), false, APIThrottled, time.Minute},
		{"no answer", call(0, ErrUnavailable, 0), false, APIUnavailable, time.Second},
		{"no answer to a mint", call(0, ErrUnknownOutcome, 0), false, OutcomeUnknown, time.Second},
		{"503", call(503, ErrUnavailable, 0), false, APIUnavailable, time.Second},
		{"500 of one call", call(500, ErrUnavailable, 0), false, "", 0},
		{"500 of a list", call(500, ErrUnavailable, 0), true, APIUnavailable, time.Second},
		{"422", call(422, ErrRefused, 0), false, "", 0},
		{"a token that was refused", call(401, ErrDead, 0), false, "", 0},
		{"an answer that makes no sense", call(0, ErrInvalidAnswer, 0), false, "", 0},
		{"the end of the process", context.Canceled, true, "", 0},
		{"another error of a list", errors.New("x"), true, APIUnavailable, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(Options{Issuer: clockIssuer{}, Process: "p"})
				e.hold(tt.err, tt.always)
				held := e.Held()
				wait := time.Until(held.Until)
				if held.Reason != tt.want || tt.want != "" && (wait > tt.atMost || wait < tt.atMost*3/4) {
					t.Errorf("held for %q, %s; want %q, %s", held.Reason, wait, tt.want, tt.atMost)
				}
			})
		})
	}
}

func TestHoldGrowsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Issuer: clockIssuer{}, Process: "p"})
		refused := &APIError{Call: "GET /x", Status: 401, Kind: ErrUnauthorized}
		var last time.Duration
		for n := range 14 {
			for range 10 { // calls that were under way together are one failure
				e.hold(refused, false)
			}
			wait := time.Until(e.Held().Until)
			if wait < last || wait > longestBackOff {
				t.Errorf("failure %d: held for %s after %s", n+1, wait, last)
			}
			last = wait
			time.Sleep(wait)
		}
		if last < longestBackOff*3/4 {
			t.Errorf("after 14 failures it is held for %s", last)
		}
		e.answered()
		if held := e.Held(); held != (Held{}) {
			t.Errorf("still held: %+v", held)
		}
		e.hold(refused, false)
		if wait := time.Until(e.Held().Until); wait > time.Second {
			t.Errorf("the first failure after an answer: held for %s", wait)
		}
	})
}

// TestHoldIsNotEndedByAListAtHand: only an answer of the API ends it.
func TestHoldIsNotEndedByAListAtHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Issuer: clockIssuer{}, Process: "p"})
		e.tokens.last = &snapshot[[]Token]{at: time.Now()}
		e.hold(&APIError{Call: "POST /x", Status: 403, Kind: ErrUnauthorized}, false)
		before := e.Held()
		pol := testPolicy(one)
		w := &work{e: e, pol: &pol, mem: e.memoryOf(pol.Slot), soft: t.Context()}
		w.lookTokens(LookTokens{})
		if w.obs.Tokens == nil || e.Held() != before {
			t.Errorf("the list at hand: %+v; held: %+v, before %+v", w.obs.Tokens, e.Held(), before)
		}
	})
}

func TestLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		late, cancel := lingering(ctx, 15*time.Second)
		defer cancel()
		end()
		time.Sleep(15*time.Second - 1)
		if late.Err() != nil {
			t.Error("it ended with its parent")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if late.Err() == nil {
			t.Error("it didn't end")
		}
	})
	synctest.Test(t, func(t *testing.T) { // an act that ends in time leaves nothing behind
		ctx, end := context.WithCancel(t.Context())
		late, cancel := lingering(ctx, time.Hour)
		end()
		cancel()
		if late.Err() == nil {
			t.Error("cancelled, and not done")
		}
	})
}

func TestAPIErrorNamesTheCallOnce(t *testing.T) {
	err := &APIError{Call: "POST /user-tokens", Status: 422, Kind: ErrRefused, Err: errors.New("name: too long")}
	if got, want := err.Error(), "POST /user-tokens: 422: refused: name: too long"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := (&APIError{Call: "GET /users", Kind: ErrUnavailable}).Error(), "GET /users: unavailable"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(err, ErrRefused) || errors.Is(err, ErrDead) {
		t.Error("errors.Is doesn't tell its kind")
	}
}
