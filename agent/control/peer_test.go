package control

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestOnlyTheAgentsUserAndRootAreAllowed(t *testing.T) {
	tests := map[string]struct {
		peer peer
		want error
	}{
		"the agent's user": {peer{uid: os.Geteuid()}, nil},
		"root":             {peer{uid: 0}, nil},
		"another user":     {peer{uid: os.Geteuid() + 1}, ErrDenied},
		"an unmapped user": {peer{uid: 65534}, ErrDenied},
		"not told":         {peer{err: errors.ErrUnsupported}, ErrDenied},
		"no connection":    {caller(context.Background()), ErrDenied},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.peer.allowed(); !errors.Is(err, test.want) {
				t.Errorf("allowed = %v, want %v", err, test.want)
			}
		})
	}
}

func TestPeerOfTCPIsNotTold(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	defer func() { _ = theirs.Close() }()
	if p := peerOf(ours); p.err == nil || p.allowed() == nil {
		t.Errorf("peer of a %T = %+v, want an error", ours, p)
	}
}

func TestNameOfAPeer(t *testing.T) {
	if got := (peer{uid: os.Getuid()}).name(); !regexp.MustCompile(`^uid \d+( \(.+\))?$`).MatchString(got) {
		t.Errorf("name = %q", got)
	}
	if got := (peer{uid: 987654321}).name(); got != "uid 987654321" {
		t.Errorf("name of an unknown uid = %q", got)
	}
}

func TestKindsSurviveTheWire(t *testing.T) {
	for _, k := range []error{ErrInvalid, ErrDenied, ErrNotFound, ErrUnavailable} {
		err := &Error{Call: "GET /v1/status", Status: statusOf(k), Message: "no"}
		if !errors.Is(err, k) {
			t.Errorf("%v became %v", k, err)
		}
		if !strings.HasPrefix(err.Error(), "GET /v1/status at the agent: ") {
			t.Errorf("error %q names no call", err)
		}
	}
	if err := (&Error{Status: 500}).Unwrap(); err != nil {
		t.Errorf("a 500 has the kind %v, want none", err)
	}
}
