package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// order is what an operator asks for.
type order struct {
	kind   rotation.RequestKind
	names  []string
	all    bool
	reason string
	wait   bool
	// These are of an emergency, and of what else revokes or restores.
	revokeFirst bool
	deadline    durationFlag
	tokenID     int64
	yes         bool
	rehearse    bool
}

// requests is the order as the agent takes it, one for each slot.
func (o order) requests(slots []string) []rotation.Request {
	list := make([]rotation.Request, len(slots))
	for i, slot := range slots {
		list[i] = rotation.Request{Kind: o.kind, Slot: slot, Reason: o.reason, Actor: actor()}
		list[i].TokenID = o.tokenID
		if o.kind == rotation.RequestEmergency {
			list[i].RevokeFirst, list[i].Deadline = o.revokeFirst, time.Duration(o.deadline)
		}
	}
	return list
}

// outcomes is what rotate and resume print.
type outcomes struct {
	Requests []outcome `json:"requests"`
}

// outcome is how a request stands.
type outcome struct {
	// Request is 0 for a slot that nothing was asked for: its own pause holds it.
	Request int64                `json:"request"`
	Kind    rotation.RequestKind `json:"kind"`
	Slot    string               `json:"slot"`
	// State is "taken" when an agent will do it, "settled" when every target
	// serves the current token, "waiting" when something is left, "paused" of
	// what was asked to be.
	State string `json:"state"`
	// Generation is the slot's current one, 0 when it isn't known.
	Generation uint64 `json:"generation,omitempty"`
	// Reason is why it waits.
	Reason rotation.Reason `json:"reason,omitempty"`
}

const (
	stateTaken   = "taken"
	stateSettled = "settled"
	stateWaiting = "waiting"
	statePaused  = "paused"
)

func (o outcomes) write(w io.Writer) error {
	rows := [][]any{{"REQUEST", "KIND", "SLOT", "STATE", "REASON"}}
	for _, r := range o.Requests {
		why := "-"
		if r.Reason != "" {
			why = string(r.Reason)
		}
		id := "-"
		if r.Request != 0 {
			id = strconv.FormatInt(r.Request, 10)
		}
		rows = append(rows, []any{id, r.Kind, r.Slot, r.State, why})
	}
	return columns(w, rows...)
}

// done prints the outcomes and makes the exit code of them.
func (a *app) done(all []outcome) error {
	o := outcomes{Requests: all}
	if err := a.print(o, o.write); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(r outcome) bool { return r.State == stateWaiting }) {
		return &exit{code: exitPartly}
	}
	return nil
}

// ask hands the order to the running agent, or else does it.
func (a *app) ask(ctx context.Context, o order) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	declared := namesOf(d)
	slots := declared.order
	if o.kind.Urgent() {
		declared = a.known(ctx, d, o.names)
	}
	if !o.all {
		if slots, err = declared.choose(o.names); err != nil {
			return err
		}
	}
	if len(slots) == 0 {
		return errors.New("the declaration declares no tokens, so there is nothing to ask for")
	}
	if o.rehearse {
		return a.rehearse(ctx, o, d, slots)
	}
	if o.kind.Urgent() {
		return a.emergency(ctx, o, d, slots)
	}
	client := control.Dial(d.Agent.Socket)
	before, err := client.Status(ctx)
	if errors.Is(err, control.ErrNoAgent) {
		return a.carryOut(ctx, o, d, slots)
	}
	if err != nil {
		return err
	}
	rest, still, err := a.unpause(ctx, client, o, d, slots)
	if err != nil {
		return err
	}
	stored, err := submit(ctx, client, o, rest)
	switch {
	case errors.Is(err, control.ErrNotFound):
		return elsewhere(err)
	case err != nil:
		return err
	case o.wait:
		return a.follow(ctx, client, stored, before)
	}
	taken := make([]outcome, len(stored))
	for i, r := range stored {
		taken[i] = outcome{Request: r.ID, Kind: r.Kind, Slot: r.Slot, State: stateTaken}
	}
	return a.done(still.mark(taken, o.kind, slots))
}

// submit hands the order for these slots over, if there are any.
func submit(ctx context.Context, to submitter, o order, slots []string) ([]rotation.Request, error) {
	if len(slots) == 0 {
		return nil, nil
	}
	return to.Submit(ctx, o.requests(slots))
}

// submitter takes requests: a running agent, or the one in here.
type submitter interface {
	Submit(ctx context.Context, list []rotation.Request) ([]rotation.Request, error)
}

// carryOut takes the lease and does the work, where no agent answers.
func (a *app) carryOut(ctx context.Context, o order, d *config.Declaration, slots []string) (err error) {
	running, err := a.open(ctx, a.logger(), nil)
	if err != nil {
		return unanswered(d, err)
	}
	defer func() { err = also(err, running.Close()) }()
	rest, still, err := a.unpause(ctx, running, o, d, slots)
	if err != nil {
		return err
	}
	stored, err := submit(ctx, running, o, rest)
	if err != nil {
		return err
	}
	sum, err := a.settle(ctx, o, running, slots)
	if ctx.Err() != nil {
		return fmt.Errorf("told to end; %s in the journal, and the next run of the agent goes on", areIn(stored))
	}
	if err != nil {
		return err
	}
	doc, err := running.Status(ctx)
	if err != nil {
		return err
	}
	generations, waits := generationsOf(doc), map[string]rotation.Reason{}
	for _, one := range waiting(sum, doc) {
		waits[one.Slot] = one.Reason
	}
	out := outcomes{}
	for _, r := range stored {
		end := outcome{Request: r.ID, Kind: r.Kind, Slot: r.Slot, State: stateSettled, Generation: generations[r.Slot]}
		if why := waits[r.Slot]; why != "" {
			end.State, end.Reason = stateWaiting, why
		}
		out.Requests = append(out.Requests, end)
	}
	out.Requests = still.mark(out.Requests, o.kind, slots)
	if err := a.print(out, out.write); err != nil {
		return err
	}
	return verdict(doc, len(waits)+len(still))
}

// elsewhere is err of a running agent that doesn't have a slot.
func elsewhere(err error) error {
	return fmt.Errorf("%w; the running agent has another declaration in force: send it SIGHUP", err)
}

// unanswered is err of taking the lease where no agent answers.
func unanswered(d *config.Declaration, err error) error {
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("an agent runs, and nobody answers at its control socket %s: "+
			"is agent.socket the same for it, and can this user reach it? (%w)", d.Agent.Socket, err)
	}
	return err
}

// settle brings the slots to rest, once or, with --wait, until none waits for
// what time or somebody else may bring.
func (a *app) settle(ctx context.Context, o order, running *agent.Agent, slots []string) (agent.Summary, error) {
	for {
		sum, err := running.Once(ctx, slots...)
		if err != nil || !o.wait || len(sum.Waiting) == 0 {
			return sum, err
		}
		doc, err := running.Status(ctx)
		if err != nil {
			return sum, err
		}
		bySlot := statusOf(doc)
		patient := false // who waits for a person is told, and not waited for
		for _, one := range waiting(sum, doc) {
			fmt.Fprintf(a.err, "%s waits: %s\n", one.Slot, one.Reason)
			patient = patient || !needsPerson(bySlot[one.Slot])
		}
		if !patient || !pause(ctx, again) {
			return sum, nil
		}
	}
}
