package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/rotation"
)

func (a *app) restoreCommand() *cobra.Command {
	o := order{kind: rotation.RequestRestore}
	cmd := &cobra.Command{
		Use:   "restore SLOT",
		Short: "Undo a revocation while the token is still observed",
		Long: `Undo a revocation: the newest revoked token of the slot that isn't deleted yet,
or with --token-id the one of that number, lives again. 'handover explain SLOT'
lists those that are observed, and until when.

The token is in its grace again, from now on. Where nothing was issued in its
place, because it was revoked on request, it is what the targets serve, as
before. It exits with 0 when the token lives, with 1 when there is none to
restore or Qualytics won't, and with 3 when that isn't known yet: the agent goes
on trying.`,
		Example: `  handover restore pipeline_automation@service/pipeline-production
  handover restore pipeline_automation@service/pipeline-production --token-id 4711 --reason "the job still used it"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s needs one SLOT", cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if err := o.checkToken(cmd.Flags().Changed); err != nil {
				return err
			}
			return a.restore(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the history: one line of text")
	cmd.Flags().Int64Var(&o.tokenID, "token-id", 0, "the token to restore, by its number in Qualytics")
	return cmd
}

// restored is what restore prints.
type restored struct {
	Request int64  `json:"request"`
	Slot    string `json:"slot"`
	// Restored: the token lives again. Closed: what was asked for has ended,
	// and Outcome says how.
	Restored bool   `json:"restored"`
	Closed   bool   `json:"closed"`
	Outcome  string `json:"outcome"`
}

func (r restored) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %s\n", r.Slot, r.Outcome)
	return err
}

func (a *app) restore(ctx context.Context, o order) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	slot, err := a.known(ctx, d, o.names).slot(o.names[0])
	if err != nil {
		return err
	}
	return a.through(ctx, d, []string{slot}, func(ctx context.Context, to hand) error {
		stored, err := to.Submit(ctx, o.requests([]string{slot}))
		if err != nil {
			return err
		}
		end, err := closed(ctx, to, stored[0])
		if err != nil {
			return err
		}
		return a.restoredAs(end)
	})
}

// patience is how long an order is waited for that isn't an emergency.
const patience = 30 * time.Second

// closed waits for the end of a request, and returns it as it stands then, or
// when it has taken too long.
func closed(ctx context.Context, from teller, r rotation.Request) (rotation.Request, error) {
	for end := time.Now().Add(patience); ; {
		now, err := from.Request(ctx, r.ID)
		if err != nil || !now.ClosedAt.IsZero() || !time.Now().Before(end) {
			return now, err
		}
		if !pause(ctx, glance) {
			return now, ctx.Err()
		}
	}
}

// restoredAs prints how it went, and makes the exit code of it.
func (a *app) restoredAs(r rotation.Request) error {
	out := restored{Request: r.ID, Slot: r.Slot, Restored: r.Restored(), Closed: !r.ClosedAt.IsZero(), Outcome: r.Outcome}
	if !out.Closed {
		out.Outcome = "not restored yet: Qualytics doesn't answer, or the slot is busy; it is tried again"
	}
	if err := a.print(out, out.write); err != nil {
		return err
	}
	switch {
	case !out.Closed:
		return &exit{code: exitPartly}
	case !out.Restored:
		return &exit{code: exitFailed}
	}
	return nil
}
