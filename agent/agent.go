// Package agent is the process: it opens what the declaration names, keeps
// every slot's next time in a queue, runs the passes, and answers for its
// health. It alone composes its parts.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/agent/notify"
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
	// notifier tells people; Run alone lets it.
	notifier *notify.Notifier

	mu       sync.Mutex
	declared *declared
	loadedAt time.Time
	loadErr  error
	fatal    error
	reasons  map[string]rotation.Reason // what hinders a slot, by its last pass
	// badRows are what a slot's last pass could not read in the journal.
	badRows map[string]*rotation.BadRow
	// unread are the targets that can't be read, by slot and key.
	unread map[string]map[string]rotation.TargetSeen
	// leaving counts the orders for slots that aren't declared any more, as
	// long as one of them is open.
	leaving map[string]int
	// parting are the slots that aren't declared any more and whose tokens are
	// being ended (on_remove: retire).
	parting map[string]bool
	wanted  []string // slots that the loop is to look at
	urgent  []string // the same, ahead of all others
	reload  bool     // the loop is to take declared anew
	// pulses are closed by the loop's next turn.
	pulses []chan struct{}

	reloading chan struct{} // holds one token: whoever put it reloads
	closed    atomic.Bool
	ready     atomic.Bool
	address   atomic.Value  // string
	wakeup    chan struct{} // signals the loop of Run; holds one
}

// New takes the lease on the journal and opens the backends. It calls neither
// Qualytics nor a store. What it opened is closed again when it fails.
func New(ctx context.Context, opt Options) (_ *Agent, err error) {
	a := &Agent{opt: opt, log: opt.logger(), pace: opt.Pace, reasons: map[string]rotation.Reason{},
		badRows: map[string]*rotation.BadRow{}, unread: map[string]map[string]rotation.TargetSeen{}, leaving: map[string]int{}, parting: map[string]bool{},
		wakeup: make(chan struct{}, 1), reloading: make(chan struct{}, 1)}
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
	a.opt.Declaration = nil // of ten thousand slots it is megabytes
	process := newProcess()
	a.metrics = metrics.New(metrics.Options{Version: opt.Version, Status: a.Status, Log: a.log})
	a.notifier = notify.New(notify.Options{Agent: d.Agent.ID, Status: a.Status, Count: a.metrics.Notification, Log: a.log})
	a.journal, err = journal.Open(ctx, d.State.SQLite, journal.Options{Process: process, Now: a.pace.Now})
	if err != nil {
		return nil, err
	}
	a.client, err = newClient(opt, d, a.log, a.lendOwn, func(o *qualytics.Options) { o.Now, o.Observe = a.pace.Now, a.metrics.Call })
	if err != nil {
		return nil, err
	}
	a.engine = rotation.New(rotation.Options{Issuer: a.client, Urgent: a.client.Urgent(), Journal: a.journal, Own: own{a.client},
		Process: process, Log: a.log, OnEvent: a.event, OnHook: func(slot string) { a.wake(slot) }})
	a.declared, err = open(ctx, d, opt.Version, a.log)
	if err != nil {
		return nil, err
	}
	a.notifier.Use(a.declared.receivers)
	a.loadedAt = a.pace.Now()
	if err := a.findLeaving(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// logger is Log, or silence.
func (o Options) logger() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// newClient makes the client of the declared instance.
func newClient(opt Options, d *config.Declaration, log *slog.Logger, lend lend, more ...func(*qualytics.Options)) (*qualytics.Client, error) {
	o := qualytics.Options{BaseURL: d.Qualytics.URL, Credential: candidates(d.Qualytics.Credential, lend), Transport: opt.Transport,
		CAFile: d.Qualytics.CAFile, Rate: d.Qualytics.Rate, Timeout: d.Qualytics.Timeout,
		UserAgent: "handover/" + opt.Version, Log: log}
	for _, set := range more {
		set(&o)
	}
	return qualytics.New(o)
}

// newProcess names this run: an intent that another run wrote may have been
// carried out.
func newProcess() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return hex.EncodeToString(random)
}

// Close gives back what New took, in the opposite order. Run, Once and Reload
// must have ended. A second call does nothing.
func (a *Agent) Close() error {
	if !a.closed.CompareAndSwap(false, true) {
		return nil
	}
	if a.engine != nil {
		a.engine.Close()
	}
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
