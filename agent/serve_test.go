package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// sample is the value of a metric without labels, as a scrape tells it.
func sample(t *testing.T, a *Agent, name string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	a.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for line := range strings.Lines(answer.Body.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return ""
}

// get asks the agent over HTTP, without keeping the connection.
func get(t *testing.T, a *Agent, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Address()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// serving is an agent that runs with its sockets, and how to end it.
func serving(t *testing.T, w *world, changes ...func(*Options)) (a *Agent, stop func() error) {
	t.Helper()
	ready := make(chan struct{})
	changes = append(changes, func(o *Options) { o.OnReady = func() { close(ready) } })
	a = w.agent(changes...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(cancel)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run = %v", err)
	}
	return a, func() error { cancel(); return <-ended }
}

func TestRunServes(t *testing.T) {
	w := newWorld(t, oneStore, twoSlots)
	delivered := make(chan struct{}, 2)
	a, stop := serving(t, w, func(o *Options) {
		o.OnEvent = func(e rotation.Event) {
			if e.Act == rotation.ActDelivered {
				delivered <- struct{}{}
			}
		}
	})
	<-delivered
	<-delivered
	for path, want := range map[string]string{
		"/livez":         "ok\n",
		"/readyz":        "ok\n",
		"/":              pipelineSlot,
		"/metrics":       `handover_slots{state="current"} 2`,
		"/api/v1/status": pipelineSlot,
	} {
		if code, body := get(t, a, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d, and %q is not in it", path, code, want)
		}
	}
	_, body := get(t, a, "/api/v1/status")
	var doc report.Document
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.Running || doc.Agent != "acme" || doc.Version != "v0.0.0-test" || len(doc.Slots) != 2 || doc.Declaration == nil {
		t.Errorf("the status tells %+v", doc)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if _, err := net.Dial("tcp", a.Address()); err == nil {
		t.Error("somebody answers after the end")
	}
	if _, err := os.Stat(a.current().process.agent.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is there after the end (%v)", err)
	}
}

func TestRunTakesCommands(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	a, stop := serving(t, w)
	client := control.Dial(filepath.Join(w.folder, "c.sock"))
	info, err := os.Stat(filepath.Join(w.folder, "c.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the control socket's mode is %v (%v)", info.Mode(), err)
	}
	stored, err := client.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestRotate, Slot: pipelineSlot}})
	if err != nil {
		t.Fatal(err)
	}
	closed, err := client.Wait(t.Context(), []int64{stored[0].ID}, 10*time.Millisecond)
	if err != nil || !strings.HasPrefix(closed[0].Outcome, "issued") {
		t.Errorf("the request ended as %+v, %v", closed, err)
	}
	_, err = client.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestRotate, Slot: "nobody@service/x"}})
	var refused *control.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound || !strings.Contains(refused.Message, "nobody@service/x") {
		t.Errorf("a slot that isn't declared: %v, 404 was expected", err)
	}
	if _, err := client.Request(t.Context(), 99); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("a request that was never made: %v", err)
	}
	if doc, err := client.Status(t.Context()); err != nil || !doc.Running {
		t.Errorf("status: %+v, %v", doc, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if _, err := client.Status(t.Context()); !errors.Is(err, control.ErrNoAgent) {
		t.Errorf("after the end: %v", err)
	}
	if a.Address() == "" {
		t.Error("the address is forgotten")
	}
}

func TestRunFailsOnATakenAddress(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	w.edit("127.0.0.1:0", taken.Addr().String())
	a := w.agent()
	if a.Address() != "" {
		t.Errorf("an agent that doesn't run is at %s", a.Address())
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "agent.listen") {
		t.Errorf("Run = %v, the address is taken", err)
	}
	if len(w.acts(pipelineSlot, rotation.ActIssued)) > 0 {
		t.Error("a token was issued by an agent that can't run")
	}
}

func TestRunFailsOnATakenSocket(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	w.put("c.sock", "a file of somebody")
	a := w.agent()
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "control socket") {
		t.Errorf("Run = %v, a file stands in the socket's place", err)
	}
	if text, err := os.ReadFile(filepath.Join(w.folder, "c.sock")); err != nil || string(text) != "a file of somebody" {
		t.Errorf("that file was touched: %q, %v", text, err)
	}
}

// Run ends by itself with the journal's error, and tells it to whoever watches.
func TestRunFailsWithoutAJournal(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	a := w.agent(func(o *Options) {
		o.OnEvent = func(e rotation.Event) {
			if e.Act == rotation.ActIssued {
				if err := os.Remove(filepath.Join(w.folder, "state.db")); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if err := a.Run(t.Context()); !errors.Is(err, journal.ErrRemoved) {
		t.Errorf("Run = %v, the journal was removed", err)
	}
	if err := a.Alive(); !errors.Is(err, journal.ErrRemoved) {
		t.Errorf("Alive = %v", err)
	}
	if got := w.serves("one", "pipeline"); got != "" {
		t.Errorf("without a journal it was delivered: %s", got)
	}
}
