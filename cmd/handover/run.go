package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func (a *app) runCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent",
		Long: `Run the agent: create the declared accounts, issue their tokens, deliver them,
rotate them when they are due, and retire the old ones.

It runs until SIGTERM or SIGINT, which end it between two acts; a second one
ends it at once. SIGHUP reads the declaration again, and so does a change of its
file: all of it or, when anything is wrong, nothing. It serves health, metrics
and a status page at agent.listen.

With --once it brings every slot to rest, prints how they stand, and ends: with
0 when every slot is served as declared, with 3 when some of them wait, with 1
when it failed. Old tokens are retired by later runs, once their grace is over.`,
		Example: `  handover run
  handover run --log-format json
  handover run --once -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if once {
				return a.runOnce(cmd.Context())
			}
			return a.runAgent(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "bring every slot to rest, then end")
	return cmd
}

// open reads the declaration and takes the lease. onReady is called once the
// passes begin; may be nil.
func (a *app) open(ctx context.Context, log *slog.Logger, onReady func()) (*agent.Agent, error) {
	d, err := a.load()
	if err != nil {
		return nil, err
	}
	logWarnings(log, d.Warnings)
	load := func() (*config.Declaration, error) {
		next, err := a.load()
		if err == nil {
			logWarnings(log, next.Warnings)
		}
		return next, err
	}
	return agent.New(ctx, agent.Options{Declaration: d, Load: load, Version: version(), Log: log, OnReady: onReady})
}

func logWarnings(log *slog.Logger, warnings []config.Problem) {
	for _, w := range warnings {
		log.Warn("declaration is doubtful", "place", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "warning", w.Message)
	}
}

// rest is how the slots stand after one pass to rest.
type rest struct {
	Slots   int           `json:"slots"`
	Settled int           `json:"settled"`
	Waiting []waitingSlot `json:"waiting"`
}

type waitingSlot struct {
	Slot   string          `json:"slot"`
	Reason rotation.Reason `json:"reason"`
}

func (a *app) runOnce(ctx context.Context) (err error) {
	running, err := a.open(ctx, a.logger(), nil)
	if err != nil {
		return err
	}
	defer func() { err = also(err, running.Close()) }()
	sum, err := running.Once(ctx)
	if ctx.Err() != nil {
		return errors.New("told to end before every slot was at rest; the next run goes on from here")
	}
	doc, unread := running.Status(ctx)
	if unread != nil {
		return errors.Join(err, unread)
	}
	r := rest{Slots: sum.Slots, Settled: sum.Settled, Waiting: waiting(sum, doc)}
	if printed := a.print(r, r.write); printed != nil || err != nil {
		return errors.Join(err, printed)
	}
	return verdict(doc, len(r.Waiting))
}

// waiting lists the slots that wait, as declared. Where a pass waits with old
// tokens alone, the slot's status says what is wrong with the current one.
func waiting(sum agent.Summary, doc report.Document) []waitingSlot {
	all := []waitingSlot{}
	for _, s := range doc.Slots {
		why, waits := sum.Waiting[s.Slot]
		if plan.OfOldTokens(why) {
			why = s.Reason
		}
		if waits {
			all = append(all, waitingSlot{Slot: s.Slot, Reason: why})
		}
	}
	return all
}

func (r rest) write(w io.Writer) error {
	rows := [][]any{{fmt.Sprintf("%s, %d settled, %d waiting", number(r.Slots, "slot"), r.Settled, len(r.Waiting))}}
	for _, one := range r.Waiting {
		rows = append(rows, []any{one.Slot, one.Reason})
	}
	return columns(w, rows...)
}

// verdict is the exit code after a pass to rest. It fails when Qualytics could
// not be used at the end: then nothing can be said of a slot that looks settled.
func verdict(doc report.Document, waiting int) error {
	if doc.Held != nil && doc.Held.Reason != rotation.APIThrottled {
		return errors.New(doc.Problems()[0].Text) // the agent's own come first
	}
	if waiting > 0 {
		return &exit{code: exitPartly}
	}
	return nil
}
