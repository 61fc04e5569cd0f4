package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// explained is how many acts explain tells.
const explained = 10

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain SLOT",
		Short: "Tell what a slot waits for, until when, and what happens next",
		Long: `Tell all that is known of a slot: its token, what comes next and when, what each
target serves and waits for, what each older token waits for and when it was
last used, and the last acts. Each reason is told in a sentence.

A running agent is asked; without one the journal tells, and then nothing is
known of when a token was last used.`,
		Example: `  handover explain pipeline_automation@service/pipeline-production
  handover explain "Pipeline Automation/pipeline-production" -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s needs one SLOT", cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: a.completeSlots,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), args[0]) },
	}
}

func (a *app) explain(ctx context.Context, arg string) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	slot, err := namesOf(d).slot(arg)
	if err != nil {
		return err
	}
	doc, err := a.document(ctx, d)
	if err != nil {
		return err
	}
	events, unread := eventsOf(ctx, d.State.SQLite, rotation.HistoryFilter{Slot: slot, Limit: explained})
	if errors.Is(unread, journal.ErrNoJournal) {
		unread = nil
	}
	told, known := report.Explain(doc, slot, events)
	if !known {
		return fmt.Errorf("the running agent has another declaration in force, without %s: send it SIGHUP", slot)
	}
	return errors.Join(a.print(told, func(w io.Writer) error { return report.WriteExplanation(w, told) }), unread)
}
