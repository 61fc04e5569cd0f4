package backends_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

var place = backends.Ref{Backend: "vault", Path: "kv/ci"}

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  *backends.Error
		want string
	}{
		{
			"kind alone",
			&backends.Error{Op: "put", Ref: place, Kind: backends.ErrDenied},
			"put vault/kv/ci: permission denied",
		},
		{
			"with its cause",
			&backends.Error{Op: "get", Ref: place, Kind: backends.ErrUnavailable, Err: errors.New("no route: check the address")},
			"get vault/kv/ci: unavailable: no route: check the address",
		},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestErrorUnwraps(t *testing.T) {
	cause := &causeError{}
	err := fmt.Errorf("deliver: %w", &backends.Error{Op: "put", Ref: place, Kind: backends.ErrThrottled, Err: cause})
	if !errors.Is(err, backends.ErrThrottled) {
		t.Error("the kind is not found")
	}
	if errors.Is(err, backends.ErrDenied) {
		t.Error("another kind is found")
	}
	var found *causeError
	if !errors.As(err, &found) || found != cause {
		t.Error("the cause is not found")
	}
	bare := &backends.Error{Op: "put", Ref: place, Kind: backends.ErrInvalid}
	if errors.As(bare, &found) || errors.Is(bare, cause) {
		t.Error("a cause is found where there is none")
	}
}

type causeError struct{}

func (*causeError) Error() string { return "cause" }

func TestKindOf(t *testing.T) {
	invalid := &backends.Error{Kind: backends.ErrInvalid}
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"nothing", nil, nil},
		{"a driver's error", invalid, backends.ErrInvalid},
		{"a driver's error inside another", fmt.Errorf("x: %w", invalid), backends.ErrInvalid},
		{"without a kind", &backends.Error{Op: "put"}, backends.ErrUnavailable},
		{"foreign", errors.New("boom"), backends.ErrUnavailable},
		{"deadline", context.DeadlineExceeded, backends.ErrUnavailable},
		{"a bare kind proves nothing", backends.ErrNotFound, backends.ErrUnavailable},
	}
	for _, test := range tests {
		if got := backends.KindOf(test.err); !errors.Is(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	throttled := &backends.Error{Kind: backends.ErrThrottled, RetryAfter: 7 * time.Second}
	for name, test := range map[string]struct {
		err  error
		want time.Duration
	}{
		"said":    {throttled, 7 * time.Second},
		"wrapped": {fmt.Errorf("x: %w", throttled), 7 * time.Second},
		"unsaid":  {&backends.Error{Kind: backends.ErrThrottled}, 0},
		"foreign": {errors.New("boom"), 0},
		"nothing": {nil, 0},
	} {
		if got := backends.RetryAfter(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
