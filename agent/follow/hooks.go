package follow

import (
	"context"

	"github.com/handover-agent/handover/backends/secret"
)

// hooksDue claims the hooks: it reports whether they have to run now, after
// which change, and with which token in the file. They run once the file holds
// what the store holds, and not twice at the same time.
func (e *entry) hooksDue() (change int, token secret.Value, due bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.Hooks) == 0 || e.hooking || e.hooked == e.changes || e.status.State != InStep {
		return 0, secret.Value{}, false
	}
	e.hooking = true
	return e.changes, e.good.token, true
}

// runHooks runs the hooks in their order. After one that fails the rest waits,
// and all are run again after the next look. The token is hidden in what they
// say.
func (e *entry) runHooks(ctx context.Context, change int, token secret.Value) {
	facts := map[string]string{"HANDOVER_BACKEND": e.To.Ref.Backend, "HANDOVER_PATH": e.To.Ref.Path}
	var failed error
	for _, hook := range e.Hooks {
		failed = hook.Run(ctx, facts, token)
		if ctx.Err() != nil { // the end of a process is no failure
			return
		}
		e.metrics.Hook(e.To.Key(), failed == nil)
		if failed != nil {
			break
		}
	}
	e.hooksEnded(change, failed)
}

func (e *entry) hooksEnded(change int, failed error) {
	e.mu.Lock()
	before := e.status.HookError
	e.hooking, e.status.HookError = false, ""
	if failed == nil {
		e.hooked = change
	} else {
		e.status.HookError = failed.Error()
	}
	e.mu.Unlock()
	switch {
	case failed != nil && before == "":
		e.log.Warn("hook failed; it is run again after the next look", "error", failed)
	case failed == nil && before != "":
		e.log.Info("hooks succeeded after a failure")
	}
}
