package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/handover-agent/handover/rotation"
)

// Reload reads the declaration again and puts it in force: all of it or, when
// anything is wrong, nothing. The reason of a failure also shows in status and
// metrics until a reload succeeds. Passes under way end with the declaration
// they began with; Reload waits for them and closes its backends. It is safe
// for concurrent use, and must have ended before Close.
func (a *Agent) Reload(ctx context.Context) error {
	select {
	case a.reloading <- struct{}{}:
		defer func() { <-a.reloading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	old, err := a.takeIn(ctx)
	a.mu.Lock()
	a.loadErr = err
	a.mu.Unlock()
	if err != nil {
		a.log.Error("declaration not reloaded; the old one stays in force", "error", err)
		return err
	}
	unread := a.findLeaving(ctx)
	if unread != nil {
		a.log.Error("orders for slots that left the declaration not found", "error", unread)
	}
	if err := a.findParting(ctx); err != nil {
		a.log.Error("slots that left the declaration not found", "error", err)
	}
	a.wakeFor(rotation.RequestEmergency, a.leavingSlots()...)
	err = old.close()
	a.forgetLeft(old.policies)
	if err != nil {
		a.log.Warn("backends of the old declaration not closed cleanly", "error", err)
	}
	return nil
}

// forgetLeft drops what is in memory of the slots that aren't declared any more.
// Their last pass has ended.
func (a *Agent) forgetLeft(old []rotation.Policy) {
	for _, p := range old {
		if a.works(p.Slot) != nil {
			a.engine.Forget(p.Slot)
		}
	}
}

// takeIn puts a fresh declaration in force and returns the one before.
func (a *Agent) takeIn(ctx context.Context) (*declared, error) {
	if a.opt.Load == nil {
		return nil, errors.New("reload: this agent has nothing to read again; restart it")
	}
	next, err := a.opt.Load()
	if err != nil {
		return nil, err
	}
	old := a.current()
	if err := sameProcess(old.process, processOf(next)); err != nil {
		return nil, err
	}
	fresh, err := open(ctx, next, a.opt.Version, a.log)
	if err != nil {
		return nil, err
	}
	fresh.edition = old.edition + 1
	a.mu.Lock()
	a.declared, a.loadedAt, a.reload = fresh, a.pace.Now(), true
	a.mu.Unlock()
	a.notifier.Use(fresh.receivers)
	for _, line := range Changes(old.policies, fresh.policies) {
		a.log.Info("declaration changed", "change", line)
	}
	a.log.Info("declaration reloaded", "slots", len(fresh.slots))
	return old, nil
}

// sameProcess refuses what can't change while the process runs. How often to look
// can.
func sameProcess(old, next process) error {
	var fixed []string
	for _, f := range []struct {
		key       string
		old, next any
	}{
		{"agent.id", old.agent.ID, next.agent.ID},
		{"agent.listen", old.agent.Listen, next.agent.Listen},
		{"agent.socket", old.agent.Socket, next.agent.Socket},
		{"state", old.state, next.state},
		{"qualytics", old.qualytics, next.qualytics},
	} {
		if !reflect.DeepEqual(f.old, f.next) {
			fixed = append(fixed, f.key)
		}
	}
	if len(fixed) > 0 {
		return fmt.Errorf("reload: %s changed; restart the agent to put that in force", strings.Join(fixed, ", "))
	}
	return nil
}

// Changes tells, a line each, how the slots of two declarations differ: slots
// and targets that come and go, and settings that change.
func Changes(old, next []rotation.Policy) []string {
	var lines []string
	before := map[string]rotation.Policy{}
	for _, p := range old {
		before[p.Slot] = p
	}
	for _, p := range next {
		was, known := before[p.Slot]
		delete(before, p.Slot)
		if !known {
			lines = append(lines, "new slot "+p.Slot)
			continue
		}
		lines = append(lines, targetChanges(was, p)...)
		if was.Schedule != p.Schedule {
			lines = append(lines, "new rotation settings for "+p.Slot)
		}
		if !reflect.DeepEqual(was.OnDelivery, p.OnDelivery) || !reflect.DeepEqual(was.OnRevocation, p.OnRevocation) {
			lines = append(lines, "new hooks for "+p.Slot)
		}
		if !reflect.DeepEqual(was.Account, p.Account) {
			lines = append(lines, "new role or teams for "+p.AccountID)
		}
	}
	for _, p := range old {
		if _, gone := before[p.Slot]; gone {
			next := "its tokens live on, nobody rotates them"
			if p.RetireRemoved && !p.Own {
				next = "its tokens have their grace, then they are revoked and deleted"
			}
			lines = append(lines, "slot "+p.Slot+" left the declaration: "+next)
		}
	}
	return lines
}

func targetChanges(was, is rotation.Policy) []string {
	var lines []string
	keys := func(p rotation.Policy) map[string]bool {
		all := map[string]bool{}
		for _, t := range p.Targets {
			all[t.Key] = true
		}
		return all
	}
	before, after := keys(was), keys(is)
	for _, t := range is.Targets {
		if !before[t.Key] {
			lines = append(lines, "new target "+t.Key+" of "+is.Slot)
		}
	}
	for _, t := range was.Targets {
		if !after[t.Key] {
			lines = append(lines, "target "+t.Key+" left "+is.Slot+": the token there dies with the next rotation")
		}
	}
	return lines
}
