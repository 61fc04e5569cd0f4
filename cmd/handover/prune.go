package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

func (a *app) pruneCommand() *cobra.Command {
	var older durationFlag
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune --older-than DURATION",
		Short: "Delete old acts from the history",
		Long: `Delete the acts from the history that are older than a time. The last rotation
of each slot stays, however old it is: the newest act that issued a token, all
acts back to the intent to issue it, and all acts since. Of a slot that never
got a token by this journal, all acts since it was last rebuilt stay. Nothing
stays of an account's acts. An act "pruned" tells who did this, and up to when.

A running agent does it, a few hundred acts at a time: its own commits go
between them. Without one, this command takes the lease and does it. Ctrl-C
ends it between two parts; what was deleted by then is gone.

No act depends on the history, and tokens, targets and requests are kept apart
from it. The file doesn't get smaller; the room is used again. The agent itself
keeps the newest 1,000 acts of each slot and of each account.`,
		Example: `  handover history prune --older-than 90d --dry-run
  handover history prune --older-than 90d
  handover history prune --older-than 52w -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if older <= 0 {
				return usage("%s needs --older-than, such as --older-than 90d", cmd.CommandPath())
			}
			return a.prune(cmd.Context(), time.Now().Add(-time.Duration(older)), dryRun)
		},
	}
	cmd.Flags().Var(&older, "older-than", "delete acts that are older than this, such as 90d")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count what would be deleted, and delete nothing")
	return cmd
}

// pruned is what prune prints.
type pruned struct {
	Before time.Time `json:"before"`
	DryRun bool      `json:"dry_run"`
	// Deleted is how many acts were deleted or, in a dry run, would be; Kept
	// how many as old stay.
	Deleted int64 `json:"deleted"`
	Kept    int64 `json:"kept"`
}

func (p pruned) write(w io.Writer) error {
	verb := "deleted"
	if p.DryRun {
		verb = "would delete"
	}
	text := fmt.Sprintf("%s %s of before %s", verb, number(int(p.Deleted), "act"), p.Before.Format(time.RFC3339))
	if p.Kept > 0 {
		text += fmt.Sprintf("; %d as old stay: they are of the last rotations", p.Kept)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func (a *app) prune(ctx context.Context, before time.Time, dryRun bool) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	p := pruning{app: a, asked: rotation.Pruning{Before: before, DryRun: dryRun, Actor: fmt.Sprintf("uid %d", os.Getuid())},
		done: pruned{Before: before.UTC().Truncate(time.Second), DryRun: dryRun}}
	if err := p.begin(ctx, d); err != nil {
		return err
	}
	if !dryRun {
		err = p.byAgent(ctx, d, control.Dial(d.Agent.Socket).Prune)
	}
	if err != nil {
		return err
	}
	return a.print(p.done, p.done.write)
}

// pruning is a run of prune under way.
type pruning struct {
	app   *app
	asked rotation.Pruning
	done  pruned
	bar   *bar
}

// begin looks how much is old; a dry run is done by that look.
func (p *pruning) begin(ctx context.Context, d *config.Declaration) (err error) {
	look, err := journal.OpenReadOnly(ctx, d.State.SQLite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, look.Close()) }()
	total, err := look.Old(ctx, p.asked.Before)
	if err != nil {
		return err
	}
	p.bar = newBar(p.app.err, total, "old acts")
	if p.asked.DryRun {
		return p.steps(ctx, look.Prune)
	}
	return nil
}

// pruner does one step.
type pruner func(context.Context, rotation.Pruning) (rotation.Pruned, error)

// byAgent lets the running agent do it or, where none runs, does it.
func (p *pruning) byAgent(ctx context.Context, d *config.Declaration, running pruner) (err error) {
	err = p.steps(ctx, running)
	switch {
	case !errors.Is(err, control.ErrNoAgent):
		return err
	case p.asked.From != (rotation.Mark{}):
		return fmt.Errorf("the agent has ended; %s deleted by then, run this again: %w", number(int(p.done.Deleted), "act"), err)
	}
	alone, err := journal.Open(ctx, d.State.SQLite, journal.Options{})
	if err != nil {
		return unanswered(d, err)
	}
	defer func() { err = errors.Join(err, alone.Close()) }()
	return p.steps(ctx, alone.Prune)
}

// steps does one step after the other until there is none.
func (p *pruning) steps(ctx context.Context, prune pruner) error {
	defer p.bar.clear()
	for {
		step, err := prune(ctx, p.asked)
		if ctx.Err() != nil {
			return fmt.Errorf("told to end; %s deleted by then, the others stay", number(int(p.done.Deleted), "act"))
		}
		if err != nil {
			return err
		}
		p.done.Deleted += step.Deleted
		p.done.Kept += step.Kept
		p.asked.From, p.asked.Deleted = step.Mark, p.done.Deleted
		if step.Done {
			return nil
		}
		p.bar.show(p.done.Deleted + p.done.Kept)
	}
}
