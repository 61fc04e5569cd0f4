package follow

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// entry follows one value. One goroutine looks; mu guards what Status reads.
type entry struct {
	Entry
	timeout time.Duration
	metrics *metrics.Follower
	log     *slog.Logger

	// seen is the store's version that was last dealt with; dealt tells it
	// from none.
	seen  backends.Version
	dealt bool
	// good is the last value that was found good in the store; zero is none.
	good good
	// refused is why the version that was seen isn't copied; nil: it is.
	refused *problem
	// wrote is the good payload that the file was last seen to hold; "" where it
	// holds none.
	wrote secret.Fingerprint

	mu     sync.Mutex
	status EntryStatus
	// changes counts the changes of the file, hooked those of them after which
	// all hooks have succeeded. hooking: they are running.
	changes, hooked int
	hooking         bool
}

// good is a token that may be copied.
type good struct {
	token   secret.Value
	meta    backends.Meta
	version backends.Version
}

func newEntry(declared Entry, timeout time.Duration, m *metrics.Follower, log *slog.Logger) *entry {
	return &entry{Entry: declared, timeout: timeout, metrics: m, log: log, changes: 1,
		status: EntryStatus{From: declared.From.Key(), To: declared.To.Key(), State: Waiting, Reason: Starting}}
}

// The first looks come soon after one another, for a consumer waits for the
// first value.
const firstRetry = time.Second

// run looks again and again until ctx is done. Hooks run beside it: one that
// hangs keeps no value from being noticed.
func (e *entry) run(ctx context.Context, every time.Duration) {
	var beside sync.WaitGroup
	defer beside.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	retry := min(firstRetry, every)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := every
		if after := e.look(ctx); after > wait {
			wait = after
		} else if !e.delivered() {
			wait, retry = max(retry, after), min(2*retry, every)
		}
		if change, token, due := e.hooksDue(); due {
			beside.Go(func() { e.runHooks(ctx, change, token) })
		}
		timer.Reset(wait)
	}
}

// look does what there is to do now. It returns how long the store asks to be
// left alone; 0 is unsaid.
func (e *entry) look(ctx context.Context) (after time.Duration) {
	trouble := e.read(ctx)
	if ctx.Err() != nil {
		return 0
	}
	if trouble == nil || !e.good.token.IsZero() {
		if wrong := e.write(ctx); wrong != nil {
			trouble = wrong
		}
	} else {
		e.found(ctx)
	}
	if ctx.Err() != nil { // the end of a process is no failure
		return 0
	}
	e.settle(trouble)
	if trouble != nil {
		after = backends.RetryAfter(trouble.err)
	}
	return after
}

// read looks at the store, and keeps what is good there. What it returns is why
// the store's value can't be copied now.
func (e *entry) read(ctx context.Context) *problem {
	if e.unchanged(ctx) {
		return e.refused
	}
	bounded, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	found, err := e.From.Read(bounded, backends.Current)
	if err != nil {
		return &problem{reasonOf(err), err}
	}
	e.seen, e.dealt = found.Version, true
	token, meta, refused := e.judge(found)
	if e.refused = refused; refused == nil {
		e.good = good{token, meta, found.Version}
	}
	return refused
}

// unchanged asks a store that can tell its version without the value. One that
// can't, or doesn't answer that, is read.
func (e *entry) unchanged(ctx context.Context) bool {
	describer, ok := backends.As[backends.Describer](e.From.Backend)
	if !ok || !e.dealt {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	_, version, err := describer.Describe(bounded, e.From.Ref)
	return err == nil && version == e.seen
}

// write brings the file in step with the good value. What stands there is
// replaced only if it is nothing, a token of the same account, or what this
// follower wrote.
func (e *entry) write(ctx context.Context) *problem {
	item, wrong := e.render()
	if wrong != nil {
		return wrong
	}
	bounded, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	stands, err := e.To.Read(bounded, backends.Current)
	if err != nil {
		return &problem{FileFailed, err}
	}
	inStep, ours := stands.Present && stands.Payload == item.Payload.Fingerprint(), stands.Present && e.ours(stands)
	e.holds(stands, inStep || ours)
	switch {
	case inStep:
		return nil
	case stands.Present && !ours && !e.TakeOver:
		return &problem{FileForeign, errors.New("the file holds something else than a token of this account: move it away, or say on_foreign: take_over")}
	}
	back, err := e.To.Deliver(bounded, item, stands.Version)
	if err != nil {
		return &problem{FileFailed, err}
	}
	e.holds(back, true)
	e.copied(item.Meta)
	return nil
}

// holds notes what the file was seen to hold.
func (e *entry) holds(stands backends.Reading, good bool) {
	e.wrote = ""
	if good {
		e.wrote = stands.Payload
	}
}

// found asks whether the file holds a value from before that a consumer can
// use, while there is none to be had from the store.
func (e *entry) found(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	if stands, err := e.To.Read(bounded, backends.Current); err == nil {
		e.holds(stands, stands.Present && e.ours(stands))
	}
}

func (e *entry) delivered() bool { return e.wrote != "" }
