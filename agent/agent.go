// Package agent is the process: it opens what the declaration names, keeps
// every slot's next time in a queue, runs the passes, and answers for its
// health. It alone composes its parts.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/agent/pace"
	"github.com/handover-agent/handover/qualytics"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// defaultConcurrency is how many passes run at the same time.
const defaultConcurrency = 16

// Options make an Agent. Declaration is needed; the zero value of each other
// field has a meaning of its own.
type Options struct {
	Declaration *config.Declaration
	// Load reads the declaration again, for a reload; nil: no reloads.
	Load func() (*config.Declaration, error)
	// Version is shown in status, metrics and to the API.
	Version string
	// Log takes what the agent does; nil is silence.
	Log *slog.Logger
	// Transport is used for the API instead of the network; for tests.
	Transport http.RoundTripper
	// Pace is how time passes; nil is the machine's clock.
	Pace pace.Pace
	// OnEvent is told of every committed event; may be nil. It must not
	// block.
	OnEvent func(rotation.Event)
	// OnReady is called once the passes begin; may be nil.
	OnReady func()
	// Concurrency is how many passes run at the same time; 0 is 16.
	Concurrency int
}

// Agent is a running agent. Make one with New, then call Run or Once, then
// Close.
type Agent struct {
	opt     Options
	log     *slog.Logger
	pace    pace.Pace
	journal *journal.Journal
	client  *qualytics.Client
	engine  *rotation.Engine
	metrics *metrics.Metrics

	mu       sync.Mutex
	declared *declared
	loadedAt time.Time
	loadErr  error
	fatal    error
	reasons  map[string]rotation.Reason // why each slot waits, by its last pass

	ready   atomic.Bool
	address atomic.Value  // string
	wakeup  chan struct{} // signals the loop of Run; holds one
	wanted  []string      // slots that the loop is to look at, guarded by mu
	reload  bool          // the loop is to take declared anew, guarded by mu
}

// New takes the lease on the journal and opens the backends. It calls neither
// Qualytics nor a store. What it opened is closed again when it fails.
func New(ctx context.Context, opt Options) (_ *Agent, err error) {
	a := &Agent{opt: opt, log: opt.Log, pace: opt.Pace, reasons: map[string]rotation.Reason{},
		wakeup: make(chan struct{}, 1)}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.pace == nil {
		a.pace = pace.Real{}
	}
	if a.opt.Concurrency == 0 {
		a.opt.Concurrency = defaultConcurrency
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	d := opt.Declaration
	process := newProcess()
	a.metrics = metrics.New(metrics.Options{Version: opt.Version, Status: a.Status, Log: a.log})
	a.journal, err = journal.Open(ctx, d.State.SQLite, journal.Options{Process: process, Now: a.pace.Now})
	if err != nil {
		return nil, err
	}
	a.client, err = qualytics.New(qualytics.Options{BaseURL: d.Qualytics.URL, Credential: d.Qualytics.Credential.Read,
		Transport: opt.Transport, CAFile: d.Qualytics.CAFile, Rate: d.Qualytics.Rate, Timeout: d.Qualytics.Timeout,
		Now: a.pace.Now, UserAgent: "handover/" + opt.Version, Log: a.log, Observe: a.metrics.Call})
	if err != nil {
		return nil, err
	}
	a.engine = rotation.New(rotation.Options{Issuer: a.client, Journal: a.journal, Process: process,
		Log: a.log, OnEvent: a.event})
	a.declared, err = open(ctx, d, a.log)
	if err != nil {
		return nil, err
	}
	a.loadedAt = a.pace.Now()
	return a, nil
}

// newProcess names this run: an intent that another run wrote may have been
// carried out.
func newProcess() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return hex.EncodeToString(random)
}

// Close gives back what New took, in the opposite order. Run must have ended.
func (a *Agent) Close() error {
	var all []error
	if a.declared != nil {
		all = append(all, a.declared.close())
	}
	if a.client != nil {
		a.client.Close()
	}
	if a.journal != nil {
		all = append(all, a.journal.Close())
	}
	return errors.Join(all...)
}

// current returns the declaration in force.
func (a *Agent) current() *declared {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.declared
}

// event passes on what the engine committed.
func (a *Agent) event(e rotation.Event) {
	a.metrics.Event(e)
	a.logEvent(e)
	if a.opt.OnEvent != nil {
		a.opt.OnEvent(e)
	}
}

// quiet are the acts of which there are many and that change nothing outside.
var quiet = map[rotation.Act]bool{
	rotation.ActSeen: true, rotation.ActSending: true, rotation.ActProved: true,
	rotation.ActMissing: true, rotation.ActRebuilt: true,
}

func (a *Agent) logEvent(e rotation.Event) {
	level := slog.LevelInfo
	if quiet[e.Act] {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("reason", string(e.Reason))}
	if e.Slot != "" {
		attrs = append(attrs, slog.String("slot", e.Slot))
	}
	if e.Account != "" {
		attrs = append(attrs, slog.String("account", e.Account))
	}
	if e.Generation != 0 {
		attrs = append(attrs, slog.Uint64("generation", e.Generation), slog.Int64("token_id", e.TokenID))
	}
	if e.Target != "" {
		attrs = append(attrs, slog.String("target", e.Target))
	}
	if e.Detail != "" {
		attrs = append(attrs, slog.String("detail", e.Detail))
	}
	a.log.LogAttrs(context.Background(), level, string(e.Act), attrs...)
}

// Submit stores an operator's requests and wakes their slots.
func (a *Agent) Submit(ctx context.Context, requests []rotation.Request) ([]rotation.Request, error) {
	slots := a.current().slots
	for _, r := range requests {
		if _, ok := slots[r.Slot]; !ok {
			return nil, fmt.Errorf("slot %s is not declared: %w", r.Slot, rotation.ErrNoRecord)
		}
	}
	stored := make([]rotation.Request, 0, len(requests))
	for _, r := range requests {
		added, err := a.journal.AddRequest(ctx, r)
		if err != nil {
			return stored, err
		}
		stored = append(stored, added)
		a.wake(added.Slot)
	}
	return stored, nil
}

// Request returns a stored request.
func (a *Agent) Request(ctx context.Context, id int64) (rotation.Request, error) {
	return a.journal.Request(ctx, id)
}

// wake asks the loop to look at slots now.
func (a *Agent) wake(slots ...string) {
	a.mu.Lock()
	a.wanted = append(a.wanted, slots...)
	a.mu.Unlock()
	select {
	case a.wakeup <- struct{}{}:
	default: // a signal is waiting already
	}
}
