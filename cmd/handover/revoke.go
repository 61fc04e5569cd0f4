package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/rotation"
)

func (a *app) revokeCommand() *cobra.Command {
	o := order{kind: rotation.RequestRevoke}
	cmd := &cobra.Command{
		Use:   "revoke SLOT|ACCOUNT...",
		Short: "Revoke tokens at once, and issue none in their place",
		Long: `Revoke every token of the slots at once: no grace, no hold, nobody is waited
for, and who uses them is cut off. Nothing is issued in their place: the slots are
blocked until 'handover resume', which issues anew, or until 'handover restore'.
To replace tokens that leaked, see 'handover rotate --emergency'.

With --token-id one token is revoked, also one that the agent never issued, if
it is on the slot's account. The slot goes on, unless that was its current one.

It waits until the tokens are dead, and tells what was revoked when, and which
targets serve a dead token now. It exits with 0 when all are dead, else with 3.
Several slots are revoked after a word of confirmation, or with --yes.`,
		Example: `  handover revoke pipeline_automation@service/pipeline-production --reason "the project has ended"
  handover revoke "Pipeline Automation" --yes --reason "vendor has left"
  handover revoke pipeline_automation@service/pipeline-production --token-id 4711 --reason "made by hand"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s needs a SLOT or an ACCOUNT", cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if strings.TrimSpace(o.reason) == "" {
				return usage(`%s needs --reason "…": why, for the history`, cmd.CommandPath())
			}
			if err := o.checkToken(cmd.Flags().Changed); err != nil {
				return err
			}
			return a.ask(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.reason, "reason", "", "why, for the history: one line of text; needed")
	flags.Int64Var(&o.tokenID, "token-id", 0, "revoke this one token of the slot's account, by its number in Qualytics")
	flags.BoolVar(&o.yes, "yes", false, "don't ask before several slots are revoked")
	return cmd
}
