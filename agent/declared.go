package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// declared is a declaration with its backends open. A reload makes a new one;
// the old one is closed when its last pass has ended.
type declared struct {
	declaration *config.Declaration
	slots       map[string]rotation.Declared
	policies    []rotation.Policy
	backends    []backends.Backend
	passes      sync.WaitGroup
}

// open opens the backends of a declaration. When one can't be opened, those
// before it are closed again.
func open(ctx context.Context, d *config.Declaration, log *slog.Logger) (_ *declared, err error) {
	w := &declared{declaration: d, slots: map[string]rotation.Declared{}, policies: d.Policies()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	byName := map[string]backends.Backend{}
	for _, b := range d.Backends {
		opened, err := b.Driver.Open(ctx, backends.Env{Name: b.Name, AgentID: d.Agent.ID,
			Log: log.With("backend", b.Name)}, b.Options)
		if err != nil {
			return w, fmt.Errorf("open backend %s: %w", b.Name, err)
		}
		byName[b.Name] = opened
		w.backends = append(w.backends, opened)
	}
	next := 0
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			slot := rotation.Declared{Policy: w.policies[next]}
			for _, t := range token.Deliver {
				slot.Targets = append(slot.Targets, &backends.Target{Ref: t.Ref,
					Backend: byName[t.Ref.Backend], Format: t.Format})
			}
			w.slots[slot.Policy.Slot] = slot
			next++
		}
	}
	return w, nil
}

// close waits for the passes under way and closes the backends.
func (w *declared) close() error {
	w.passes.Wait()
	var all []error
	for _, b := range w.backends {
		all = append(all, b.Close())
	}
	return errors.Join(all...)
}
