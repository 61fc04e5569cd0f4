package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// chronicle is what history prints as data.
type chronicle struct {
	Events []rotation.Event `json:"events"`
}

func (a *app) historyCommand() *cobra.Command {
	limit := 100
	var since durationFlag
	cmd := &cobra.Command{
		Use:   "history [SLOT]",
		Short: "Tell what was done, when, why and by whom",
		Long: `Tell what was done to a slot, or to all slots and accounts: the newest acts, the
oldest of them first. It reads the journal, beside a running agent or without
one. No token is in it.

A SLOT is ACCOUNT/TOKEN; the account's declared name serves for its id. A slot
that left the declaration is named by its id.`,
		Example: `  handover history
  handover history pipeline_automation@service/pipeline-production
  handover history --since 7d --limit 1000 -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usage("--limit %d is too small: the least is 1", limit)
			}
			filter := rotation.HistoryFilter{Limit: limit}
			if since > 0 {
				filter.Since = time.Now().Add(-time.Duration(since))
			}
			return a.history(cmd.Context(), args, filter)
		},
	}
	cmd.AddCommand(a.pruneCommand())
	cmd.Flags().IntVar(&limit, "limit", limit, "the most acts to tell")
	cmd.Flags().Var(&since, "since", "only acts that are no older than this, such as 7d; 0s is no limit")
	return cmd
}

func (a *app) history(ctx context.Context, args []string, filter rotation.HistoryFilter) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	var unknown error
	if len(args) == 1 {
		filter.Slot, unknown = namesOf(d).slot(args[0])
	}
	events, err := eventsOf(ctx, d.State.SQLite, filter)
	var unread error // some events; the others are told
	switch {
	case errors.Is(err, rotation.ErrBadRow):
		unread = err
	case err != nil && !errors.Is(err, journal.ErrNoJournal):
		return err
	case unknown != nil && len(events) == 0:
		return unknown
	case err != nil:
		fmt.Fprintln(a.err, "no agent has run yet:", err)
	}
	if events == nil {
		events = []rotation.Event{}
	}
	return errors.Join(a.print(chronicle{events}, func(w io.Writer) error { return report.WriteHistory(w, events) }), unread)
}

// slot is the slot that one argument names. Of one that isn't declared it
// returns the argument and an error.
func (n names) slot(arg string) (string, error) {
	found, err := n.choose([]string{arg})
	switch {
	case err != nil:
		return arg, err
	case n.slots[arg] != nil && len(found) == 1:
		return found[0], nil
	}
	return arg, usage("%q has %s; name one of them: %s", arg, number(len(found), "slot"), either(found))
}

func eventsOf(ctx context.Context, path string, filter rotation.HistoryFilter) (events []rotation.Event, err error) {
	read, err := journal.OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, read.Close()) }()
	return read.History(ctx, filter)
}
