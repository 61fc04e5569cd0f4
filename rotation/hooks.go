package rotation

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Others are told of a token that came to be served at a target, and of one that
// was revoked, by the hooks that the declaration names. The commit that tells of
// the change journals which hooks are owed; they run beside the passes, and the
// record knows what has succeeded. No older token is revoked while a hook that
// is required is owed at a target (docs/decisions/hooks.md).

// Hook tells others of one change.
type Hook interface {
	// Run does it, and returns nil when they were told. It ends soon after ctx
	// is done, and may be run again with the same call. Its error holds no
	// secret.
	Run(ctx context.Context, call HookCall) error
}

// HookPolicy is what the core knows of a declared hook.
type HookPolicy struct {
	// Name is unique among the hooks of the token after the same change.
	Name string
	// Required: no older token is revoked before it succeeded at every
	// target. A hook after a revocation is never required.
	Required bool
	// Timeout is the longest time that it takes, more than 0.
	Timeout time.Duration
}

// HookAfter says after what a hook runs.
type HookAfter string

// The changes that others are told of.
const (
	AfterDelivery   HookAfter = "delivery"
	AfterRevocation HookAfter = "revocation"
)

// HookCall is what a hook is told. It holds no secret.
type HookCall struct {
	After HookAfter `json:"after"`
	// At is when the change was journaled.
	At          time.Time `json:"at"`
	Agent       string    `json:"agent"`
	Slot        string    `json:"slot"`
	Account     string    `json:"account"`
	TokenName   string    `json:"token_name"`
	Environment string    `json:"environment,omitempty"`
	Generation  uint64    `json:"generation"`
	TokenID     int64     `json:"token_id"`
	// Reason is why the token was issued, or revoked.
	Reason Reason `json:"reason"`
	// Expires is nil for never.
	Expires *time.Time `json:"expires_at,omitempty"`
	// Backend and Path are where it was delivered; "" after a revocation.
	Backend string `json:"backend,omitempty"`
	Path    string `json:"path,omitempty"`
}

// HookRun names one thing that a hook is to tell.
type HookRun struct {
	Hook string
	// Target is where the token is served; "" after a revocation.
	Target     string
	Generation uint64
}

// OwedHook is the journaled will to run a hook, until it has succeeded.
type OwedHook struct {
	Hook       string    `json:"hook"`
	Generation uint64    `json:"generation"`
	Since      time.Time `json:"since"`
	// Revision is the record's before it was owed: a run that began with no
	// later one doesn't count.
	Revision int64 `json:"revision,omitempty"`
	// Attempts and RetryAt are its back-off.
	Attempts int       `json:"attempts,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// HookSeen is a run of a hook by this process.
type HookSeen struct {
	// Revision is the record's when it began.
	Revision int64
	// Until is when it has to have ended.
	Until time.Time
	// Ended: it has; Failed: without success.
	Ended, Failed bool
}

// maxTold is how often a hook that isn't required is tried.
const maxTold = 32

// hooks wants run what is owed, and notes how runs have ended.
func (n *pass) hooks() {
	for _, t := range n.pol.Targets {
		n.tell(n.rec.Targets[t.Key].Hooks, n.pol.OnDelivery, t.Key)
	}
	for i := range n.rec.Generations {
		n.tell(n.rec.Generations[i].Hooks, n.pol.OnRevocation, "")
	}
}

// tell is hooks for what is owed in one place. What left the declaration stays
// in the record and isn't run.
func (n *pass) tell(owed []OwedHook, declared []HookPolicy, target string) {
	for _, o := range owed {
		hook, known := hookNamed(declared, o.Hook)
		if !known {
			continue
		}
		run := HookRun{Hook: o.Hook, Target: target, Generation: o.Generation}
		seen := n.obs.Hooks[run]
		until, runs := n.running(run)
		switch {
		case seen.Ended && seen.Revision > o.Revision:
			n.note(Told{Run: run, Failed: seen.Failed, GiveUp: seen.Failed && !hook.Required && o.Attempts+1 >= maxTold})
		case runs:
			n.wait(retiring, until, HookRunning)
		case n.now.Before(o.RetryAt) && o.RetryAt.Sub(n.now) <= longestBackOff: // else a clock was ahead
			n.wait(retiring, o.RetryAt, HookFailed)
		case n.obs.Mute:
			n.wait(retiring, time.Time{}, HookRunning)
		case !n.stopped(retiring):
			n.deed(RunHook{Run: run})
		}
	}
}

// running reports whether the hook runs for that target, also for an older
// generation: it doesn't run twice at the same time.
func (n *pass) running(run HookRun) (until time.Time, runs bool) {
	for other, seen := range n.obs.Hooks {
		if other.Hook == run.Hook && other.Target == run.Target && !seen.Ended && (run.Target != "" || other == run) {
			return seen.Until, true
		}
	}
	return time.Time{}, false
}

// untold reports whether a required hook is owed at a target: who reads there
// may not know yet of the token that it serves.
func (n *pass) untold() bool {
	for _, t := range n.pol.Targets {
		if n.rec.owesRequired(n.pol, t.Key) {
			n.wait(retiring, time.Time{}, HookRequired)
			return true
		}
	}
	return false
}

func (r *Record) owesRequired(pol *Policy, key string) bool {
	return slices.ContainsFunc(r.Targets[key].Hooks, func(o OwedHook) bool {
		hook, known := hookNamed(pol.OnDelivery, o.Hook)
		return known && hook.Required
	})
}

func hookNamed(declared []HookPolicy, name string) (HookPolicy, bool) {
	for _, h := range declared {
		if h.Name == name {
			return h, true
		}
	}
	return HookPolicy{}, false
}

// owe makes the hooks owed, in place of what was.
func (r *Record) owe(declared []HookPolicy, number uint64, now time.Time) []OwedHook {
	var owed []OwedHook
	for _, h := range declared {
		owed = append(owed, OwedHook{Hook: h.Name, Generation: number, Since: now, Revision: r.Revision})
	}
	return owed
}

// oweDelivery makes the hooks owed if a target has come to serve a newer token
// since before, or is in step again.
func (r *Record) oweDelivery(key string, before TargetRecord, pol *Policy, now time.Time) {
	t := r.Targets[key]
	if len(pol.OnDelivery) > 0 && (t.Serves > before.Serves || t.State == InStep && before.State != InStep) {
		t.Hooks = r.owe(pol.OnDelivery, t.Serves, now)
		r.Targets[key] = t
	}
}

// oweRevocation makes the hooks owed for a token that is revoked as of now.
func (r *Record) oweRevocation(number uint64, pol *Policy, now time.Time) {
	if g := r.generation(number); g != nil && g.State == Observing {
		g.Hooks = r.owe(pol.OnRevocation, number, now)
	}
}

// owed is what the run is for, and its place in the record.
func (r *Record) owed(run HookRun) (all []OwedHook, at int) {
	if run.Target != "" {
		all = r.Targets[run.Target].Hooks
	} else if g := r.generation(run.Generation); g != nil {
		all = g.Hooks
	}
	return all, slices.IndexFunc(all, func(o OwedHook) bool { return o.Hook == run.Hook && o.Generation == run.Generation })
}

// setOwed puts a changed list back.
func (r *Record) setOwed(run HookRun, all []OwedHook) {
	if run.Target == "" {
		r.generation(run.Generation).Hooks = all
		return
	}
	t := r.Targets[run.Target]
	t.Hooks = all
	r.Targets[run.Target] = t
}

// told takes in how a run has ended: success, another try later, or no more.
func (r *Record) told(a Told, now time.Time) Event {
	all, at := r.owed(a.Run)
	all = slices.Clone(all)
	event := Event{Act: ActHookDone, Target: a.Run.Target, Generation: a.Run.Generation, Detail: a.Run.Hook}
	if g := r.generation(a.Run.Generation); g != nil {
		event.TokenID = g.TokenID
	}
	switch {
	case a.GiveUp:
		event.Act, event.Reason = ActHookFailed, HookGivenUp
	case a.Failed:
		event.Act, event.Reason = ActHookFailed, HookFailed
		all[at].Attempts++
		all[at].RetryAt = now.Add(backOff(all[at].Attempts, r.Slot+a.Run.Hook+a.Run.Target))
		r.setOwed(a.Run, all)
		return event
	}
	r.setOwed(a.Run, slices.Delete(all, at, at+1))
	return event
}

// retryHooks ends the back-offs of all that is owed.
func (r *Record) retryHooks() {
	again := func(all []OwedHook) []OwedHook {
		all = slices.Clone(all)
		for i := range all {
			all[i].RetryAt = time.Time{}
		}
		return all
	}
	for key, t := range r.Targets {
		t.Hooks = again(t.Hooks)
		r.Targets[key] = t
	}
	for i := range r.Generations {
		r.Generations[i].Hooks = again(r.Generations[i].Hooks)
	}
}

// call is what the hook is told.
func (r *Record) call(run HookRun, since time.Time, pol *Policy) HookCall {
	call := HookCall{After: AfterRevocation, At: since.UTC(), Agent: pol.AgentID, Slot: pol.Slot, Account: pol.AccountID,
		TokenName: pol.Token, Environment: pol.Environment, Generation: run.Generation}
	if run.Target != "" {
		call.After = AfterDelivery
		call.Backend, call.Path, _ = strings.Cut(run.Target, "/")
	}
	if g := r.generation(run.Generation); g != nil {
		call.TokenID, call.Reason, call.Expires = g.TokenID, g.Reason, moment(g.Expires)
	}
	return call
}
