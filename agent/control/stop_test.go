package control

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/handover-agent/handover/agent/report"
)

// stuck is a Handler whose Status lasts until its ctx ends. Nothing else is asked
// of it.
type stuck struct {
	Handler
	entered, left chan struct{}
}

func (s *stuck) Status(ctx context.Context) (report.Document, error) {
	close(s.entered)
	<-ctx.Done()
	close(s.left)
	return report.Document{}, ctx.Err()
}

// TestServeCutsOffWhatDoesNotEnd: no patience at all, and yet Serve waits until
// the handler has returned.
func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	handler := &stuck{entered: make(chan struct{}), left: make(chan struct{})}
	server, err := Listen(filepath.Join(t.TempDir(), "c.sock"), handler, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.patience = 0
	ctx, cancel := context.WithCancel(t.Context())
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	go func() {
		_, err := Dial(server.path).Status(t.Context())
		answered <- err
	}()
	<-handler.entered
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	select {
	case <-handler.left:
	default:
		t.Error("Serve ended while a handler was at work")
	}
	if err := <-answered; err == nil || errors.Is(err, ErrNoAgent) {
		t.Errorf("the call that was cut off = %v, want an error that isn't ErrNoAgent", err)
	}
}
