package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/plan"
)

func (a *app) planCommand() *cobra.Command {
	var detailed bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Tell what the agent would do now, and do nothing",
		Long: `Tell what the agent would do now: accounts to create, tokens to issue, targets
to deliver to, tokens to revoke and delete, and what waits until when.

It lists accounts and tokens in Qualytics, and reads the stores and the journal.
It changes nothing and uses no token, takes no lease, and works while an agent
runs. What it tells is true for this moment.`,
		Example: `  handover plan
  handover plan --detailed-exitcode || test $? = 2
  handover plan -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.plan(cmd.Context(), detailed) },
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes, with 0 when there are none")
	return cmd
}

func (a *app) plan(ctx context.Context, detailed bool) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	a.warn(d.Warnings)
	made, err := agent.Plan(ctx, agent.Options{Declaration: d, Version: version(), Log: a.logger()})
	if err != nil {
		return err
	}
	if err := a.print(made, func(w io.Writer) error { return plan.Write(w, made) }); err != nil {
		return err
	}
	if detailed && len(made.Changes) > 0 {
		return &exit{code: exitChanges}
	}
	return nil
}
