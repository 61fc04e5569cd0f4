package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// hand carries orders out: a running agent, or the one in here.
type hand interface {
	submitter
	teller
	Tokens(ctx context.Context, account string) (report.Tokens, error)
}

// noting is a hand that notes what was stored.
type noting struct {
	hand
	stored []rotation.Request
	// begin is called when something is; may be nil.
	begin func()
}

// Submit stores requests.
func (n *noting) Submit(ctx context.Context, list []rotation.Request) ([]rotation.Request, error) {
	stored, err := n.hand.Submit(ctx, list)
	n.stored = append(n.stored, stored...)
	if len(stored) > 0 && n.begin != nil {
		n.begin()
	}
	return stored, err
}

// through lets do give orders for slots to the running agent or, where none
// answers, to one in here, which works at the slots from the first order on until
// do ends.
func (a *app) through(ctx context.Context, d *config.Declaration, slots []string, do func(context.Context, hand) error) error {
	to := &noting{hand: control.Dial(d.Agent.Socket)}
	err := do(ctx, to)
	switch {
	case len(to.stored) == 0 && errors.Is(err, control.ErrNoAgent):
		return a.inHere(ctx, d, slots, do)
	case errors.Is(err, control.ErrNotFound):
		return elsewhere(err)
	case len(to.stored) == 0 || err == nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("told to end the waiting; %s with the agent, which goes on", areIn(to.stored))
	case errors.Is(err, control.ErrNoAgent):
		return fmt.Errorf("the agent has ended; %s in its journal, and its next run goes on: %w", areIn(to.stored), err)
	}
	return err
}

// inHere takes the lease, and works at the slots from the first order on.
func (a *app) inHere(ctx context.Context, d *config.Declaration, slots []string, do func(context.Context, hand) error) (err error) {
	running, err := a.open(ctx, a.logger(), nil)
	if err != nil {
		return unanswered(d, err)
	}
	defer func() { err = also(err, running.Close()) }()
	return workIn(ctx, running, slots, do)
}

// workIn lets do give orders to an agent in here, which works at the slots from
// the first one on until do ends.
func workIn(ctx context.Context, running *agent.Agent, slots []string, do func(context.Context, hand) error) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	work := worker{running: running, slots: slots, ended: make(chan error, 1)}
	to := &noting{hand: running, begin: func() { work.begin(watching, stop) }}
	err := do(watching, to)
	stop()
	failed := work.wait()
	switch {
	case len(to.stored) > 0 && ctx.Err() != nil:
		return fmt.Errorf("told to end; %s in the journal, and the next run of the agent goes on", areIn(to.stored))
	case failed != nil:
		return failed
	}
	return err
}

// worker is the work of an agent in here.
type worker struct {
	running *agent.Agent
	slots   []string
	begun   bool
	ended   chan error
}

// begin starts it once; when it fails, it calls failed.
func (w *worker) begin(ctx context.Context, failed func()) {
	if w.begun {
		return
	}
	w.begun = true
	go func() {
		defer failed()
		w.ended <- w.running.Work(ctx, w.slots...)
	}()
}

// wait waits for its end, if it was begun.
func (w *worker) wait() error {
	if !w.begun {
		return nil
	}
	return <-w.ended
}
