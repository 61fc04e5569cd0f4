package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

func (a *app) statusCommand() *cobra.Command {
	var wide, watch bool
	interval := durationFlag(2 * time.Second)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how every slot stands, and what comes next",
		Long: `Tell how every slot stands, what comes next, and what a person should look at.

A running agent is asked through its control socket. Without one, the journal is
read as the last agent left it; the output says so. A slot that no agent has
seen yet is "new".

With --watch it goes on until it is ended: drawn anew on a terminal; elsewhere a
line for each slot that has changed, and with -o json a line for each look.`,
		Example: `  handover status
  handover status --wide
  handover status --watch --interval 10s
  handover status -o json | jq '.slots[] | select(.state != "current")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !watch && cmd.Flags().Changed("interval"):
				return usage("--interval needs --watch")
			case time.Duration(interval) < shortest:
				return usage("--interval %s is too short: the least is %s", &interval, shortest)
			case watch:
				return a.watchStatus(cmd.Context(), wide, time.Duration(interval))
			}
			return a.status(cmd.Context(), wide)
		},
	}
	cmd.Flags().BoolVar(&wide, "wide", false, "also tell every target, and every token on its way out")
	cmd.Flags().BoolVar(&watch, "watch", false, "go on until it is ended, and tell what changes")
	cmd.Flags().Var(&interval, "interval", "how often --watch looks")
	return cmd
}

// shortest is the least interval of --watch: of ten thousand slots, a look takes a
// while.
const shortest = 100 * time.Millisecond

func (a *app) status(ctx context.Context, wide bool) error {
	doc, err := a.look(ctx)
	if err != nil {
		return err
	}
	return a.print(doc, func(w io.Writer) error { return report.WriteTable(w, doc, wide) })
}

// look is how the slots of the declaration stand.
func (a *app) look(ctx context.Context) (report.Document, error) {
	d, err := a.load()
	if err != nil {
		return report.Document{}, err
	}
	return a.document(ctx, d)
}

// document is how the slots stand: a running agent tells, or else its journal.
func (a *app) document(ctx context.Context, d *config.Declaration) (report.Document, error) {
	doc, err := control.Dial(d.Agent.Socket).Status(ctx)
	if errors.Is(err, control.ErrNoAgent) {
		return journaled(ctx, d)
	}
	return doc, err
}

// journaled is the status as the journal of a stopped agent tells it.
func journaled(ctx context.Context, d *config.Declaration) (doc report.Document, err error) {
	source := report.Source{Agent: d.Agent.ID, Version: version(), Journal: blank{}, Policies: d.Policies()}
	read, err := journal.OpenReadOnly(ctx, d.State.SQLite)
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, read.Close()) }()
		source.Journal = read
	case !errors.Is(err, journal.ErrNoJournal):
		return doc, err
	}
	return report.Build(ctx, source, time.Now())
}

// blank is the journal before the first run.
type blank struct{}

// Slots yields none.
func (blank) Slots(context.Context) iter.Seq2[rotation.Record, error] {
	return func(func(rotation.Record, error) bool) {}
}

// Account fails with ErrNoRecord.
func (blank) Account(context.Context, string) (rotation.AccountRecord, error) {
	return rotation.AccountRecord{}, rotation.ErrNoRecord
}

// OpenRequests has none.
func (blank) OpenRequests(context.Context) ([]rotation.Request, error) { return nil, nil }
