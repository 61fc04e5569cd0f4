package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at all that the agent needs, and tell what is wrong",
		Long: `Look at all that the agent needs, and tell what is wrong: whether Qualytics can
be reached and has every call that the agent makes, whether the agent's
credential is live, an Admin's, and when it ends, whether another agent has the
same id, whether each target may be written and can be read, whether the journal
can be used, whether the clocks agree, and what is doubtful in the declaration.

It changes nothing, takes no lease, and works while an agent runs. The one token
that it uses is the agent's own. It exits with 0 when nothing is at fault, and
with 1 when something is; what is only to be looked at doesn't count.`,
		Example: `  handover doctor
  handover doctor -o json | jq '.findings[] | select(.verdict != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

func (a *app) doctor(ctx context.Context) error {
	d, err := a.load()
	if err != nil {
		return err
	}
	found, err := agent.Doctor(ctx, agent.Options{Declaration: d, Version: version(), Log: a.logger()})
	if err != nil {
		return err
	}
	if err := a.print(found, func(w io.Writer) error { return doctor.Write(w, found) }); err != nil {
		return err
	}
	if !found.Healthy() {
		return &exit{code: exitFailed}
	}
	return nil
}
