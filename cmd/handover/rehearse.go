package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// rehearsal is what rotate --emergency --rehearse prints.
type rehearsal struct {
	// Of is the declared slot, Slot the one that was rehearsed on.
	Of   string `json:"of"`
	Slot string `json:"slot"`
	// Steps are in the order of their times.
	Steps     []rehearsed              `json:"steps"`
	Emergency rotation.EmergencyReport `json:"emergency"`
	// Alive are the tokens of the rehearsal that could not be taken away.
	Alive int `json:"alive"`
}

// rehearsed is one step of it: how long after the command it was done.
type rehearsed struct {
	What         string  `json:"what"`
	AfterSeconds float64 `json:"after_seconds"`
}

// errNothingIssued: there is nothing that an emergency could replace.
var errNothingIssued = errors.New("no token could be issued")

// rehearse plays an emergency of a slot on a scratch account, beside its targets,
// and takes away what it has issued. Nothing of the slot is touched, and a
// running agent isn't asked.
func (a *app) rehearse(ctx context.Context, o order, d *config.Declaration, slots []string) (err error) {
	if len(slots) != 1 {
		return usage("--rehearse needs one SLOT: the emergency is played beside its targets")
	}
	scratch, err := agent.Rehearsal(d, slots[0])
	if err != nil {
		return err
	}
	running, err := agent.New(ctx, agent.Options{Declaration: scratch, Version: version(), Log: a.logger()})
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("another rehearsal is under way: %w", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = also(err, running.Close()) }()
	out := rehearsal{Of: slots[0], Slot: scratch.Policies()[0].Slot}
	failed := a.play(ctx, o, running, &out)
	if errors.Is(failed, errNothingIssued) {
		return fmt.Errorf("rehearse %s: %w", out.Of, failed)
	}
	if out.Alive, err = a.strike(ctx, running, out.Slot); err != nil {
		return also(failed, fmt.Errorf("take away what the rehearsal issued: %w; the next rehearsal goes on with that", err))
	}
	if failed != nil {
		return fmt.Errorf("rehearse %s: %w", out.Of, failed)
	}
	if err := a.print(out, out.write); err != nil {
		return err
	}
	if e := out.Emergency; !e.Over || e.Left() > 0 || len(e.Alive) > 0 || out.Alive > 0 {
		return &exit{code: exitPartly}
	}
	return nil
}

// play has a token delivered beside every target, then calls the emergency.
func (a *app) play(ctx context.Context, o order, running *agent.Agent, out *rehearsal) error {
	fmt.Fprintf(a.err, "issuing a token for %s, beside the targets of %s\n", out.Slot, out.Of)
	again := order{kind: rotation.RequestResume, reason: "rehearsal"} // the one before has blocked it
	if _, err := running.Submit(ctx, again.requests([]string{out.Slot})); err != nil {
		return err
	}
	preparing, stop := context.WithTimeout(ctx, time.Duration(o.deadline))
	defer stop()
	sum, err := running.Once(preparing, out.Slot)
	if err != nil && (ctx.Err() != nil || preparing.Err() == nil) {
		return err
	}
	doc, err := running.Status(ctx)
	if err != nil {
		return err
	}
	now, why := statusOf(doc)[out.Slot], sum.Waiting[out.Slot]
	if why == "" {
		why = now.Reason
	}
	switch {
	case now.State != rotation.SlotDelivering && now.State != rotation.SlotCurrent:
		return fmt.Errorf("%w: %s", errNothingIssued, why)
	case sum.Settled == 0:
		fmt.Fprintf(a.err, "%s waits: %s; the emergency is played all the same\n", out.Slot, why)
	}
	if o.reason == "" {
		o.reason = "rehearsal"
	}
	out.Emergency, err = a.playOne(ctx, o, running, out.Slot)
	out.Steps = stepsOf(out.Emergency)
	return err
}

// playOne has the agent in here carry an order out, and returns how it ended.
func (a *app) playOne(ctx context.Context, o order, running *agent.Agent, slot string) (e rotation.EmergencyReport, err error) {
	err = workIn(ctx, running, []string{slot}, func(ctx context.Context, to hand) error {
		w, err := a.watchOver(ctx, o, to, []string{slot})
		if err == nil {
			e = w.reports[w.stored[0].ID]
		}
		return err
	})
	return e, err
}

// strike revokes what was issued, also when ctx is done. It returns how many
// tokens may live on. A deletion that isn't done by then is the next rehearsal's.
func (a *app) strike(ctx context.Context, running *agent.Agent, slot string) (alive int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	e, err := a.playOne(ctx, order{kind: rotation.RequestRevoke, reason: "the rehearsal is over"}, running, slot)
	if err == nil && !e.Over && len(e.Alive) == 0 {
		err = errors.New("it isn't known whether its tokens are revoked")
	}
	return len(e.Alive), err
}

// stepsOf tells what happened, and when.
func stepsOf(e rotation.EmergencyReport) (steps []rehearsed) {
	add := func(at *time.Time, format string, args ...any) {
		if at != nil && e.AskedAt != nil {
			steps = append(steps, rehearsed{fmt.Sprintf(format, args...), at.Sub(*e.AskedAt).Seconds()})
		}
	}
	add(e.TakenUpAt, "taken up")
	add(e.IssuedAt, "issued %s", token(e.NewTokenID, e.Generation))
	for _, t := range e.Targets {
		if t.Delivered {
			add(t.At, "delivered to %s/%s", t.Backend, t.Path)
		}
	}
	for _, t := range e.Revoked {
		add(&t.At, "revoked %s", token(t.TokenID, t.Generation))
	}
	slices.SortStableFunc(steps, func(a, b rehearsed) int {
		switch {
		case a.AfterSeconds < b.AfterSeconds:
			return -1
		case a.AfterSeconds > b.AfterSeconds:
			return 1
		}
		return 0
	})
	return steps
}

func (r rehearsal) write(w io.Writer) error {
	rows := [][]any{{"AFTER", "WHAT"}}
	for _, s := range r.Steps {
		rows = append(rows, []any{fmt.Sprintf("%.2f s", s.AfterSeconds), s.What})
	}
	for _, t := range r.Emergency.Targets {
		if !t.Delivered {
			rows = append(rows, []any{"-", fmt.Sprintf("%s/%s is left: %s", t.Backend, t.Path, t.Reason)})
		}
	}
	if err := columns(w, rows...); err != nil {
		return err
	}
	end := "its tokens are revoked"
	if r.Alive > 0 {
		end = number(r.Alive, "token") + " of it may live still: the next rehearsal tries again"
	}
	_, err := fmt.Fprintf(w, "\n%s: %s\n%s was not touched. %s was rehearsed on: %s.\n",
		r.Slot, verdictOf(r.Emergency), r.Of, r.Slot, end)
	return err
}
