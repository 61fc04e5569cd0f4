package main

import (
	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/rotation"
)

// asked is how the help of rotate and resume ends.
const asked = `

A SLOT is ACCOUNT/TOKEN, an ACCOUNT stands for all its slots; its declared name
serves for its id. A running agent gets the request through its control socket;
without one, this command takes the lease and does the work.`

func (a *app) rotateCommand() *cobra.Command {
	o := order{kind: rotation.RequestRotate}
	cmd := &cobra.Command{
		Use:   "rotate SLOT|ACCOUNT... | --all",
		Short: "Replace tokens before they are due",
		Long: `Replace tokens before they are due, by the planned road: a new token is issued,
proved and delivered to every target; the old one lives on for its grace.` + asked + `

With --wait it ends when every target serves the new token, and tells on the way
how far that is. Ctrl-C ends the waiting; a running agent goes on.`,
		Example: `  handover rotate pipeline_automation@service/pipeline-production
  handover rotate "Pipeline Automation" --reason "left the team" --wait
  handover rotate --all`,
		Args:              slotArgs(&o.all),
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return a.ask(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "every declared slot")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the history: one line of text")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "end when every target serves the new token")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	o := order{kind: rotation.RequestResume}
	adopt := false
	cmd := &cobra.Command{
		Use:   "resume SLOT|ACCOUNT... | --all",
		Short: "Let blocked slots go on, and adopt unclaimed tokens",
		Long: `Let slots go on that wait for a person: what blocked them was looked at.
Back-offs end too. 'handover status' tells which slots are blocked, and why.

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
