package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func (a *app) pauseCommand() *cobra.Command {
	o := order{kind: rotation.RequestPause}
	cmd := &cobra.Command{
		Use:   "pause SLOT|ACCOUNT... | --all",
		Short: "Let nothing be done to slots until they are resumed",
		Long: `Pause slots, accounts or, with --all, the whole agent: nothing is issued,
delivered, revoked or deleted there until 'handover resume' names the same
scope. A pause survives restarts, and shows in status, explain, page, metrics
and log with who made it, since when and why.

Reading goes on, so that 'handover status' stays true, and so does time: a token
that runs out while its slot is paused is dead, and its readers are cut off.
What a person orders beside (rotate --emergency, revoke,
restore) is carried out.

A SLOT is ACCOUNT/TOKEN; an ACCOUNT's pause also holds the slots that it gets
later. A running agent gets the order through its control socket; without one,
it is written into the journal, and holds the agent that starts next.`,
		Example: `  handover pause pipeline_automation@service/pipeline-production --reason "store is being moved"
  handover pause "Pipeline Automation"
  handover pause --all --reason "change freeze"`,
		Args:              slotArgs(&o.all),
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return a.pause(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "the whole agent: every slot, now and later")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for whoever finds it paused: one line of text")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	o := order{kind: rotation.RequestResume}
	adopt := false
	cmd := &cobra.Command{
		Use:   "resume SLOT|ACCOUNT... | --all",
		Short: "Let blocked and paused slots go on, and adopt unclaimed tokens",
		Long: `Let slots go on that wait for a person: what blocked them was looked at.
Back-offs end too. 'handover status' tells which slots are blocked, and why.

It ends the pauses of just the scope that is named: of a slot, of an account, or
with --all of the whole agent. A wider pause goes on, and so does a slot's own
when its account or --all is named: such a slot stays as it is. Both are told,
and the exit code is 3.

With --adopt the unclaimed tokens of the slots are claimed: those that carry
this agent's label and aren't in its journal, as after the journal was lost. The
agent then retires them as its own. Make sure that no other agent uses this
agent's id: the tokens could be in use there.` + asked,
		Example: `  handover resume pipeline_automation@service/pipeline-production
  handover resume --adopt "Pipeline Automation"
  handover resume --all`,
		Args:              slotArgs(&o.all),
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if adopt {
				o.kind = rotation.RequestAdopt
			}
			return a.ask(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "every declared slot")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "claim the slots' unclaimed tokens")
	return cmd
}

// scopes are what an order names: slots, accounts, or the whole agent.
func (o order) scopes(declared names) ([]string, error) {
	if o.all {
		return []string{rotation.WholeAgent}, nil
	}
	return declared.scopes(o.names)
}

// pause hands the pauses to the running agent, or writes them into the journal.
func (a *app) pause(ctx context.Context, o order) (err error) {
	d, err := a.load()
	if err != nil {
		return err
	}
	scopes, err := o.scopes(namesOf(d))
	if err != nil {
		return err
	}
	stored, err := control.Dial(d.Agent.Socket).Submit(ctx, o.requests(scopes))
	switch {
	case errors.Is(err, control.ErrNoAgent):
		running, alone := a.open(ctx, a.logger(), nil)
		if alone != nil {
			return unanswered(d, alone)
		}
		defer func() { err = also(err, running.Close()) }()
		if stored, err = running.Submit(ctx, o.requests(scopes)); err != nil {
			return err
		}
	case errors.Is(err, control.ErrNotFound):
		return elsewhere(err)
	case err != nil:
		return err
	}
	paused := make([]outcome, len(stored))
	for i, r := range stored {
		paused[i] = outcome{Request: r.ID, Kind: r.Kind, Slot: r.Slot, State: statePaused}
	}
	return a.done(paused)
}

// resumer ends pauses: a running agent, or the one in here.
type resumer interface {
	EndPauses(ctx context.Context, scope, actor string) ([]rotation.Request, error)
	Status(ctx context.Context) (report.Document, error)
}

// held are the pauses that hold slots when others have ended.
type held map[string][]rotation.PauseStatus

// unpause ends the pauses of just the scopes that a word to resume names. It
// returns those that hold a slot still, and the slots to ask for: a slot's own
// pause isn't ended by a word on its account, or on all.
func (a *app) unpause(ctx context.Context, from resumer, o order, d *config.Declaration, slots []string) (rest []string, still held, err error) {
	var scopes []string
	if o.kind == rotation.RequestResume || o.kind == rotation.RequestAdopt {
		if scopes, err = o.scopes(namesOf(d)); err != nil {
			return nil, nil, err
		}
	}
	for _, scope := range scopes {
		ended, err := from.EndPauses(ctx, scope, actor())
		if err != nil {
			return nil, nil, err
		}
		for _, p := range ended {
			fmt.Fprintf(a.err, "ended: %s\n", report.Pause(rotation.DescribePause(p), time.Now()))
		}
	}
	doc, err := from.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	still = heldIn(doc, slots)
	a.tellHeld(still, doc.Now)
	if len(scopes) == 0 {
		return slots, still, nil
	}
	for _, slot := range slots {
		if !slices.ContainsFunc(still[slot], func(p rotation.PauseStatus) bool { return p.Scope == slot }) {
			rest = append(rest, slot)
		}
	}
	return rest, still, nil
}

// heldIn are the pauses that hold some of the slots.
func heldIn(doc report.Document, slots []string) held {
	bySlot, found := statusOf(doc), held{}
	for _, slot := range slots {
		if pauses := bySlot[slot].Paused; len(pauses) > 0 {
			found[slot] = pauses
		}
	}
	return found
}

// tellHeld tells each pause that goes on, once.
func (a *app) tellHeld(still held, now time.Time) {
	told := map[int64]bool{}
	var lines []string
	for _, pauses := range still {
		for _, p := range pauses {
			if !told[p.Request] {
				told[p.Request] = true
				lines = append(lines, fmt.Sprintf("still paused: %s; 'handover resume %s' ends it\n", report.Pause(p, now), report.ScopeArgument(p.Scope)))
			}
		}
	}
	slices.Sort(lines)
	fmt.Fprint(a.err, strings.Join(lines, ""))
}

// mark says of the outcomes which slots are held, and adds those that no request
// was made for.
func (h held) mark(all []outcome, kind rotation.RequestKind, slots []string) []outcome {
	if len(h) == 0 {
		return all
	}
	bySlot := map[string]outcome{}
	for _, one := range all {
		bySlot[one.Slot] = one
	}
	marked := make([]outcome, 0, len(slots))
	for _, slot := range slots {
		one, asked := bySlot[slot]
		if !asked {
			one = outcome{Kind: kind, Slot: slot}
		}
		if h[slot] != nil {
			one.State, one.Reason = stateWaiting, rotation.Paused
		}
		marked = append(marked, one)
	}
	return marked
}

// actor is who asks, where no agent's kernel says so.
func actor() string { return fmt.Sprintf("uid %d", os.Getuid()) }
