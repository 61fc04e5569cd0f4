package agent

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// receiver takes what webhooks post, and answers with its status.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	calls  []rotation.HookCall
	ids    []string
	bodies string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		var call rotation.HookCall
		if err := json.Unmarshal(body, &call); err != nil {
			t.Error(err)
		}
		r.calls, r.ids, r.bodies = append(r.calls, call), append(r.ids, req.Header.Get("webhook-id")), r.bodies+string(body)
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// told are the calls so far.
func (r *receiver) told() []rotation.HookCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// TestHooksTellOthers: a program and a webhook hear of a delivery before Once
// returns, with what they need to know and without the token.
func TestHooksTellOthers(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.not-for-hooks")
	r := newReceiver(t)
	w := newWorld(t, oneStore, oneSlot)
	out := filepath.Join(w.folder, "out")
	program := filepath.Join(w.folder, "hook")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n/usr/bin/env | grep -v ^PATH > "+out+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.edit("defaults:\n", "defaults:\n  on_delivery:\n    - {exec: ["+program+"]}\n    - {webhook: \""+r.URL+"\", secret: {file: admin.token}}\n")
	a := w.agent()
	if sum, err := a.Once(t.Context()); err != nil || sum.Settled != 1 {
		t.Fatalf("Once = %+v, %v", sum, err)
	}
	env, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HANDOVER_AFTER=delivery", "HANDOVER_SLOT=" + pipelineSlot, "HANDOVER_GENERATION=1", "HANDOVER_BACKEND=one",
		"HANDOVER_PATH=pipeline", "HANDOVER_TOKEN_NAME=production", "HANDOVER_REASON=never_issued", "HANDOVER_AGENT=acme"} {
		if !strings.Contains(string(env), want+"\n") {
			t.Errorf("%s is missing in\n%s", want, env)
		}
	}
	if len(r.told()) != 1 || r.told()[0].Slot != pipelineSlot || r.told()[0].After != rotation.AfterDelivery || r.told()[0].Path != "pipeline" {
		t.Errorf("the webhook was told %+v", r.told())
	}
	token, err := plainToken.Extract(w.secretAt("pipeline"))
	if err != nil {
		t.Fatal(err)
	}
	said := errors.New(string(env) + r.bodies + w.logged())
	if secret.Redact(said, token).Error() != said.Error() || strings.Contains(said.Error(), "not-for-hooks") {
		t.Error("a secret was told")
	}
	if got := sample(t, a, `handover_hooks_total{result="done"}`); got != "2" {
		t.Errorf("handover_hooks_total is %s", got)
	}
	if s := w.status(a, pipelineSlot); len(s.Hooks) != 0 {
		t.Errorf("still to be told: %+v", s.Hooks)
	}
}

// TestRequiredWebhookThatFails shows in status and metrics, and is told again
// under the same id by the next process.
func TestRequiredWebhookThatFails(t *testing.T) {
	r := newReceiver(t)
	r.answer(http.StatusForbidden)
	w := newWorld(t, oneStore, oneSlot)
	w.edit("deliver: [", "on_delivery: [{webhook: \""+r.URL+"\", required: true}], deliver: [")
	a := w.agent()
	if sum, err := a.Once(t.Context()); err != nil || sum.Settled != 1 {
		t.Fatalf("Once = %+v, %v", sum, err)
	}
	host := strings.TrimPrefix(r.URL, "http://")
	s := w.status(a, pipelineSlot)
	if len(s.Hooks) != 1 || !s.Hooks[0].Required || s.Hooks[0].Attempts != 1 || s.Hooks[0].Hook != host || s.Hooks[0].RetryAt == nil {
		t.Errorf("the status tells %+v", s.Hooks)
	}
	if got := sample(t, a, `handover_required_hooks_waiting{slot="`+pipelineSlot+`"}`); got != "1" {
		t.Errorf("handover_required_hooks_waiting is %s", got)
	}
	if !strings.Contains(w.logged(), "it answered 403 Forbidden") {
		t.Error("the log doesn't say why")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	r.answer(http.StatusOK)
	b := w.agent()
	w.drive(b)
	for len(w.acts(pipelineSlot, rotation.ActHookDone)) == 0 && t.Context().Err() == nil {
		felt(t, b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) != 2 || r.ids[0] != r.ids[1] || !strings.HasPrefix(r.ids[0], "msg_") {
		t.Errorf("told under the ids %q", r.ids)
	}
}

// felt waits for a turn of the loop.
func felt(t *testing.T, a *Agent) {
	t.Helper()
	if err := a.Pulse(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCallIDs: a delivery of the same token later is another call.
func TestCallIDs(t *testing.T) {
	call := rotation.HookCall{Slot: "a", Generation: 1, At: time.Unix(1, 0), Backend: "b", Path: "c"}
	other := call
	other.Reason = "told in other words"
	if callID(call) != callID(other) {
		t.Error("one call has two ids")
	}
	for _, change := range []func(*rotation.HookCall){
		func(c *rotation.HookCall) { c.At = time.Unix(2, 0) }, func(c *rotation.HookCall) { c.Generation = 2 },
		func(c *rotation.HookCall) { c.Path = "d" }, func(c *rotation.HookCall) { c.After = rotation.AfterRevocation },
	} {
		other := call
		change(&other)
		if callID(call) == callID(other) {
			t.Errorf("%+v has the id of %+v", other, call)
		}
	}
}

// TestABadCAFileOfAHookIsToldAtOnce, and what was opened is closed.
func TestABadCAFileOfAHookIsToldAtOnce(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	w.edit("deliver: [", "on_revocation: [{webhook: \"https://ops.acme.example/x\", ca_file: admin.token}], deliver: [")
	if _, err := New(t.Context(), w.options()); err == nil || !strings.Contains(err.Error(), "open webhook ops.acme.example: read ca_file") {
		t.Errorf("New = %v", err)
	}
	if n := w.open(); n != 0 {
		t.Errorf("%d backends are open", n)
	}
}
