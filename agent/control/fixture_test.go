package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

var began = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// agent is a Handler that keeps requests in memory. It declares every slot
// that isn't named "missing/x".
type agent struct {
	mu     sync.Mutex
	stored []rotation.Request
	fails  error
	// asked is told of every look at a request, when it isn't nil.
	asked chan int64
	// looked are how many slots each call for emergencies named.
	looked []int
	// pruned are the steps that were asked for.
	pruned []rotation.Pruning
	// entered and leave hold Status up, when they aren't nil.
	entered, leave chan struct{}
}

func (a *agent) Submit(_ context.Context, list []rotation.Request) ([]rotation.Request, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails != nil {
		return nil, a.fails
	}
	var added []rotation.Request
	for _, r := range list {
		if r.Slot == "missing/x" {
			return nil, fmt.Errorf("%w: slot %q is not declared", control.ErrNotFound, r.Slot)
		}
		r.ID, r.At = int64(len(a.stored)+len(added)+1), began
		added = append(added, r)
	}
	a.stored = append(a.stored, added...)
	return added, nil
}

func (a *agent) Request(_ context.Context, id int64) (rotation.Request, error) {
	if a.asked != nil {
		a.asked <- id
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if id > int64(len(a.stored)) {
		return rotation.Request{}, fmt.Errorf("request %d: %w", id, rotation.ErrNoRecord)
	}
	return a.stored[id-1], nil
}

func (a *agent) close(id int64, outcome string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stored[id-1].ClosedAt, a.stored[id-1].Outcome = began.Add(time.Minute), outcome
}

func (a *agent) requests() []rotation.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]rotation.Request(nil), a.stored...)
}

// EndPauses ends the open pauses of the scope.
func (a *agent) EndPauses(_ context.Context, scope, actor string) ([]rotation.Request, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ended []rotation.Request
	for i, r := range a.stored {
		if r.Kind == rotation.RequestPause && r.Slot == scope && r.ClosedAt.IsZero() {
			a.stored[i].ClosedAt, a.stored[i].Outcome = began.Add(time.Minute), "resumed by "+actor
			ended = append(ended, a.stored[i])
		}
	}
	return ended, a.fails
}

// Emergencies tells of each slot that it was asked for; those named "calm"
// never had one.
func (a *agent) Emergencies(_ context.Context, slots []string) (report.Emergencies, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked = append(a.looked, len(slots))
	all := report.Emergencies{Now: began, Emergencies: []rotation.EmergencyReport{}}
	for _, slot := range slots {
		if slot != "calm" {
			all.Emergencies = append(all.Emergencies, rotation.EmergencyReport{Slot: slot, Requests: []int64{7}, Over: true,
				Revoked: []rotation.RevokedToken{}, Alive: []rotation.AliveToken{}, Targets: []rotation.EmergencyTarget{}})
		}
	}
	return all, a.fails
}

// Tokens has one token of every account.
func (a *agent) Tokens(_ context.Context, account string) (report.Tokens, error) {
	return report.Tokens{Now: began, Account: account, Tokens: []report.Token{{ID: 7, Label: "by-hand", Active: true, LastUsedAt: &began}}}, a.fails
}

// Prune does two steps of three events each.
func (a *agent) Prune(_ context.Context, p rotation.Pruning) (rotation.Pruned, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pruned = append(a.pruned, p)
	return rotation.Pruned{Deleted: 3, Kept: 1, Mark: rotation.Mark{At: "a", ID: p.From.ID + 3}, Done: p.From.ID > 0}, a.fails
}

func (a *agent) Status(ctx context.Context) (report.Document, error) {
	if a.entered != nil {
		close(a.entered)
		select {
		case <-a.leave:
		case <-ctx.Done():
			return report.Document{}, ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return report.Document{Agent: "acme-prod", Running: true, Now: began, Counts: map[rotation.SlotState]int{}, Slots: []rotation.Status{}}, a.fails
}

var errDisk = errors.New("the journal's disk is full")

// socketPath is short enough for every system.
func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "c.sock")
}

// running is a Server that serves until the test ends or stop is called, which
// waits for it.
type running struct {
	path string
	stop func() error
}

func serve(t *testing.T, handler control.Handler) running {
	t.Helper()
	path := socketPath(t)
	server, err := control.Listen(path, handler, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return running{path: path, stop: stop}
}
