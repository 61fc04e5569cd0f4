package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/handover-agent/handover/rotation"
)

var errHook = errors.New("the hook failed")

// HookTimeout is the time limit of a Lab's hooks.
const HookTimeout = 30 * time.Second

// Hook declares a hook of the slot. Each of its runs is an act of the script:
// "hook delivery store1 g2". tell may be nil.
func (l *Lab) Hook(after rotation.HookAfter, required bool, tell func(context.Context, rotation.HookCall) error) {
	policies, hooks := &l.Slot.Policy.OnDelivery, &l.Slot.OnDelivery
	if after == rotation.AfterRevocation {
		policies, hooks = &l.Slot.Policy.OnRevocation, &l.Slot.OnRevocation
	}
	name := fmt.Sprintf("hook %d", len(*hooks)+1)
	*policies = append(*policies, rotation.HookPolicy{Name: name, Required: required, Timeout: HookTimeout})
	*hooks = append(*hooks, labHook{l, tell})
	l.Slot.Edition++
}

type labHook struct {
	l    *Lab
	tell func(context.Context, rotation.HookCall) error
}

// Run implements rotation.Hook, within its time limit.
func (h labHook) Run(ctx context.Context, call rotation.HookCall) error {
	bounded, cancel := context.WithTimeout(ctx, HookTimeout)
	defer cancel()
	name := fmt.Sprintf("hook %s %s g%d", call.After, call.Backend, call.Generation)
	return h.l.Script.act(name, func() error {
		if h.tell == nil {
			return nil
		}
		return h.tell(bounded, call)
	}, errHook, errHook)
}

// hookEnded lets the first agent have its turn at once.
func (l *Lab) hookEnded(string) {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// sleep waits until the given time, or until a hook of the first agent has
// ended, which it reports.
func (l *Lab) sleep(until time.Time) (woken bool) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-l.woken:
		return true
	}
}
