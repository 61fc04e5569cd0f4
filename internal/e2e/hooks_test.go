package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/handover-agent/handover/internal/outside"
)

// TestRequiredHook: a program that prints the very token that it is told of, and
// fails, keeps the old token alive, and everybody can see why; nobody can see the
// token. Once it succeeds the old token goes.
func TestRequiredHook(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	hook := s.path("hook")
	s.write("hook", "#!/bin/sh\n/bin/cat "+s.path("delivered/token")+"; /usr/bin/env\n[ $HANDOVER_GENERATION = 1 ] || [ -e "+s.path("allowed")+" ]\n")
	if err := os.Chmod(hook, 0o700); err != nil {
		t.Fatal(err)
	}
	s.declare(q.Base, outside.Calm, strings.Replace(oneToken, "name: token,", "name: token, on_delivery: [{exec: ["+hook+"], required: true}],", 1))
	a := s.start()
	a.awaitStatus("the first token", allServed)
	if generation := s.rotated(oneSlot); generation != 2 {
		t.Errorf("generation %d after the rotation", generation)
	}
	a.awaitStatus("the old token to wait for the hook", func(got status) bool {
		one := got.slot(oneSlot)
		return len(one.Retired) == 1 && one.Retired[0].Reason == "hook_required"
	})
	await(t, patience, "the old token to outlive its grace by several failures", func() (bool, string) {
		r := s.run("explain", oneSlot)
		return strings.Contains(r.out, "failed 4 times; no older token is revoked before it succeeds"), r.out + r.err
	})
	if live := server.LiveTokens(oneAccount); len(live) != 2 {
		t.Errorf("%d tokens live while the hook fails", len(live))
	}
	s.write("allowed", "")
	if r := s.run("resume", oneSlot); r.code != 0 {
		t.Errorf("resume: exit %d, %s", r.code, r.err)
	}
	a.awaitStatus("the old token to be retired", func(got status) bool { return got.slot(oneSlot).settled() })
	done, failed := s.history("hook_done"), s.history("hook_failed")
	if done[1].Detail != hook || done[2].Detail != hook || failed[2].Reason != "hook_failed" {
		t.Errorf("the history tells of %+v and %+v", done, failed)
	}
	a.keepPages()
	if _, body, err := a.ask("/metrics"); err != nil || !strings.Contains(body, `handover_hooks_total{result="done"} 2`) {
		t.Errorf("the metrics don't count the hooks: %v", fmt.Sprint(err))
	}
	s.noTraces("stderr of agent 1", "output of handover explain", "output of handover history", "page /", "page /api/v1/status")
}
