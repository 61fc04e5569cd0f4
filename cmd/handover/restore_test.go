package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// A request that isn't closed is waited for a while; then the exit code says that
// something is left.
func TestRestoreThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &saying{closed: rotation.Request{Kind: rotation.RequestRestore, Slot: "a/b"}}
		began := time.Now()
		open, err := closed(t.Context(), f, rotation.Request{ID: 7})
		if err != nil || time.Since(began) < patience || time.Since(began) > patience+glance {
			t.Fatalf("it was waited for %s: %v", time.Since(began), err)
		}
		var out bytes.Buffer
		a := &app{streams: streams{out: &out, err: io.Discard}}
		var e *exit
		if err := a.restoredAs(open); !errors.As(err, &e) || e.code != exitPartly || !strings.HasPrefix(out.String(), "a/b: not restored yet") {
			t.Errorf("%v: %s", err, out.String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := closed(ctx, f, rotation.Request{ID: 7}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v after it was told to end", err)
		}
	})
}

// In a revocation nobody is delivered to, and what serves a dead token is named.
func TestRevocationTable(t *testing.T) {
	e := overReport("")
	e.RevokeOnly, e.NewTokenID, e.Generation = true, 0, 0
	e.Targets = []rotation.EmergencyTarget{{Backend: "v", Path: "p", Reason: rotation.Leaked, Dead: true},
		{Backend: "v", Path: "q", Reason: rotation.TargetNew}, {Backend: "v", Path: "r", Delivered: true, At: ptr(leakedAt)}}
	f := &saying{looks: [][]rotation.EmergencyReport{{e}}}
	out, errs, _, err := watched(f, order{kind: rotation.RequestRevoke})
	if err != nil {
		t.Errorf("%v; all that was to be revoked is dead", err)
	}
	for _, want := range []string{"v/p           cut off  -                     it serves a dead token\n",
		"v/q           cut off  -                     " + string(rotation.TargetNew) + "\n", "v/r           serves   2026-11-05T03:00:00Z  another token\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(errs, "v/p") {
		t.Errorf("news of a delivery: %s", errs)
	}
}
