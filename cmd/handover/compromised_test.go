package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// silent is a hand that takes orders, and of whom nothing is heard again.
type silent struct {
	saying
	tokens report.Tokens
	taken  []rotation.Request
}

func (s *silent) Submit(_ context.Context, list []rotation.Request) ([]rotation.Request, error) {
	for i := range list {
		list[i].ID = int64(i + 1)
	}
	s.taken = list
	return list, nil
}

func (s *silent) Tokens(context.Context, string) (report.Tokens, error) { return s.tokens, nil }

// What doesn't end is told as such, with the tokens that live; tokens that are no
// slot's are shared out among the slots, and the account comes last.
func TestCompromisedAccountOfWhichNothingIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &silent{saying: saying{looks: [][]rotation.EmergencyReport{{}}, began: time.Now()},
			tokens: report.Tokens{Tokens: []report.Token{{ID: 1, Label: "x", Active: true, Live: true}, {ID: 2, Label: "y", Active: true, Live: true},
				{ID: 3, Label: "old"}, {ID: 4, Label: "b.acme.g1", Slot: "a/b", Active: true, Live: true}}}}
		var out bytes.Buffer
		c := compromise{app: &app{streams: streams{out: &out, err: io.Discard}}, to: f, account: "a", slots: []string{"a/b", "a/c"},
			order: order{kind: rotation.RequestRevoke, reason: "stolen", yes: true}, revoked: map[int64]time.Time{}, journal: t.TempDir() + "/none.db"}
		began := time.Now()
		err := c.carryOut(t.Context())
		var e *exit
		if !errors.As(err, &e) || e.code != exitPartly || time.Since(began) > patience+time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		var asked []string
		for _, r := range f.taken {
			asked = append(asked, string(r.Kind)+" "+r.Slot+" "+strings.Repeat("#", int(r.TokenID)))
		}
		if want := []string{"revoke a/b ", "revoke a/c ", "revoke a/b #", "revoke a/c ##", "deactivate a/b "}; !slices.Equal(asked, want) {
			t.Errorf("asked for %q, want %q", asked, want)
		}
		for _, want := range []string{"token 1 (x) lives still", "not all has ended, 5 requests left", "deactivate a in Qualytics", "a is in use still"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q isn't told:\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "old") {
			t.Errorf("a token is told that was dead before:\n%s", out.String())
		}
	})
}
