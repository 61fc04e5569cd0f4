package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/agent/notify"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// declared is a declaration with its backends open. A reload makes a new one;
// the old one is closed when its last pass has ended.
type declared struct {
	// edition counts the loads of one process.
	edition uint64
	// process is what the declaration says of the process. The rest of it is
	// in the fields below, and isn't kept twice.
	process process
	// policies are the slots, in the order of the declaration; targets and
	// the numbers in slots follow that.
	policies []rotation.Policy
	targets  [][]*backends.Target
	slots    map[string]int
	// heirs are the slots by the places that they are delivered to.
	heirs map[string]string
	// hooks are those of the slots that have any, by the slot's number.
	hooks    map[int]tokenHooks
	webhooks []*hooks.Webhook
	// receivers are told what a person should look at.
	receivers []notify.Receiver
	backends  []backends.Backend
	// ownTargets are the places of the agent's own credential.
	ownTargets []*backends.Target
	// passes are under way with these backends; [Agent.borrow] adds them.
	passes sync.WaitGroup
}

// process is the part of a declaration that can't change while it runs.
type process struct {
	agent     config.Agent
	state     config.State
	qualytics config.Qualytics
}

// processOf is that part of a declaration. A format can't be compared, and isn't
// in it.
func processOf(d *config.Declaration) process {
	p := process{d.Agent, d.State, d.Qualytics}
	p.qualytics.Credential.Format = nil
	return p
}

// open opens the backends and webhooks of a declaration. When one can't be opened, those
// before it are closed again.
func open(ctx context.Context, d *config.Declaration, version string, log *slog.Logger) (*declared, error) {
	w := &declared{process: processOf(d), policies: d.Policies(), hooks: map[int]tokenHooks{}}
	w.targets = make([][]*backends.Target, 0, len(w.policies))
	w.slots, w.heirs = make(map[string]int, len(w.policies)), map[string]string{}
	byName := map[string]backends.Backend{}
	for _, b := range d.Backends {
		opened, err := b.Driver.Open(ctx, backends.Env{Name: b.Name, AgentID: d.Agent.ID,
			Log: log.With("backend", b.Name)}, b.Options)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open backend %s: %w", b.Name, err), w.close())
		}
		byName[b.Name] = opened
		w.backends = append(w.backends, opened)
	}
	if err := w.openNotify(d.Notify, version); err != nil {
		return nil, errors.Join(err, w.close())
	}
	made := map[*config.TokenHook][]rotation.Hook{}
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			targets := make([]*backends.Target, 0, len(token.Deliver))
			for _, t := range token.Deliver {
				targets = append(targets, &backends.Target{Ref: t.Ref, Backend: byName[t.Ref.Backend], Format: t.Format})
				w.heirs[t.Ref.String()] = account.Slot(token)
			}
			told, err := w.openHooks(token, version, made)
			if err != nil {
				return nil, errors.Join(err, w.close())
			}
			if told.onDelivery != nil || told.onRevocation != nil {
				w.hooks[len(w.targets)] = told
			}
			w.slots[w.policies[len(w.targets)].Slot] = len(w.targets)
			w.targets = append(w.targets, targets)
		}
	}
	w.findOwn(d.Qualytics.Credential, byName)
	return w, nil
}

// findOwn finds the places of the agent's own credential: the declared one, and
// what else gives the token of the same slot back.
func (w *declared) findOwn(own config.Credential, byName map[string]backends.Backend) {
	if own.From.Backend == "" {
		return
	}
	place := &backends.Target{Ref: own.From, Backend: byName[own.From.Backend], Format: own.Format}
	w.ownTargets = []*backends.Target{place}
	if i, rotated := w.slots[own.Slot]; rotated {
		for _, t := range w.targets[i] {
			if t.Key() != place.Key() && !t.Format.Lossy() {
				w.ownTargets = append(w.ownTargets, t)
			}
		}
	}
}

// slot is what the engine needs of a slot; false when it isn't declared.
func (w *declared) slot(name string) (rotation.Declared, bool) {
	i, ok := w.slots[name]
	if !ok {
		return rotation.Declared{}, false
	}
	return rotation.Declared{Policy: w.policies[i], Targets: w.targets[i], OnDelivery: w.hooks[i].onDelivery,
		OnRevocation: w.hooks[i].onRevocation, Edition: w.edition}, true
}

// close waits for the passes under way and closes the backends. What a webhook
// is posting is cut off, and told again later.
func (w *declared) close() error {
	w.passes.Wait()
	for _, h := range w.webhooks {
		h.Close()
	}
	var all []error
	for _, b := range w.backends {
		all = append(all, b.Close())
	}
	return errors.Join(all...)
}

// borrow returns a slot as it is declared now, or as one that was and has an
// order open; its backends stay open until release is called. It is false for
// every other slot.
func (a *Agent) borrow(name string) (slot rotation.Declared, release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.declared
	if slot, ok = d.slot(name); !ok {
		if !a.atWork(name) {
			return slot, nil, false
		}
		slot = d.removed(name)
	}
	d.passes.Add(1)
	return slot, d.passes.Done, true
}

// under are the declared slots that a scope concerns: itself, those of an account,
// or all.
func (w *declared) under(scope string) []string {
	if _, ok := w.slots[scope]; ok {
		return []string{scope}
	}
	var all []string
	for _, p := range w.policies {
		if scopes := rotation.Scopes(p.Slot); slices.Contains(scopes[:], scope) {
			all = append(all, p.Slot)
		}
	}
	return all
}

// declares fails with control.ErrNotFound for a slot that isn't declared.
func (w *declared) declares(slot string) error {
	if _, ok := w.slots[slot]; !ok {
		return fmt.Errorf("%w: slot %s is not declared", control.ErrNotFound, slot)
	}
	return nil
}
