// Package follow copies what an agent delivers into a store to files, beside
// their consumer. A follower has no access to Qualytics: it issues nothing and
// revokes nothing, so that any number of them may run.
//
// It notices a new version by the store's own version where the store can tell
// it, and else by reading. A value that can't be understood, is somebody else's
// or is missing never replaces a good one, and a store that is away takes
// nothing from a file.
package follow

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/backends"
)

// Entry is one value to follow.
type Entry struct {
	// From is read and never written, To is written.
	From, To *backends.Target
	// URL, Account, AccountID and Environment are what To's format may show.
	URL, Account, AccountID, Environment string
	// TakeOver: a file that holds something else may be replaced.
	TakeOver bool
	// Hooks run in this order after each change of the file, and once after
	// the first look: a follower that was killed doesn't know whether they ran.
	Hooks []hooks.Exec
}

// Options make a Follower.
type Options struct {
	Entries []Entry
	// Every is the longest time until a new version is noticed, more than 0.
	Every time.Duration
	// Timeout bounds each call to a backend; 0 is 30 seconds.
	Timeout time.Duration
	// Version is shown in status and metrics.
	Version string
	// Log takes what the follower does; nil is silence.
	Log *slog.Logger
}

// Follower keeps files in step with stores. Make one with New. Its methods are
// safe for concurrent use.
type Follower struct {
	every   time.Duration
	log     *slog.Logger
	entries []*entry
	metrics *metrics.Follower
	version string
}

// defaultTimeout is far above what a store that works takes.
const defaultTimeout = 30 * time.Second

// New makes a Follower. It asks no store.
func New(o Options) *Follower {
	f := &Follower{every: o.Every, log: o.Log, version: o.Version}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	f.metrics = metrics.NewFollower(metrics.FollowerOptions{Version: o.Version, Entries: f.measure, Log: f.log})
	for _, declared := range o.Entries {
		f.entries = append(f.entries, newEntry(declared, o.Timeout, f.metrics,
			f.log.With("from", declared.From.Key(), "to", declared.To.Key())))
	}
	return f
}

// Run follows until ctx is done. A write that was begun is finished first.
func (f *Follower) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, e := range f.entries {
		all.Go(func() { e.run(ctx, f.every) })
	}
	all.Wait()
}

// Once looks at every entry once, runs hooks that are due, and returns how many
// files do not hold what their store holds.
func (f *Follower) Once(ctx context.Context) (behind int) {
	var all sync.WaitGroup
	for _, e := range f.entries {
		all.Go(func() {
			e.look(ctx)
			if change, token, due := e.hooksDue(); due {
				e.runHooks(ctx, change, token)
			}
		})
	}
	all.Wait()
	for _, s := range f.Status().Entries {
		if s.State != InStep {
			behind++
		}
	}
	return behind
}

// Metrics answers scrapes.
func (f *Follower) Metrics() http.Handler { return f.metrics.Handler() }
