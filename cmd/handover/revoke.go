package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/rotation"
)

func (a *app) revokeCommand() *cobra.Command {
	o := order{kind: rotation.RequestRevoke}
	compromised := false
	cmd := &cobra.Command{
		Use:   "revoke SLOT|ACCOUNT...",
		Short: "Revoke tokens at once, and issue none in their place",
		Long: `Revoke every token of the slots at once: no grace, no hold, nobody is waited
for, and who uses them is cut off. Nothing is issued in their place: the slots
are blocked until 'handover resume', which issues anew, or until 'handover
restore'. To replace tokens that leaked, see 'handover rotate --emergency'.

With --token-id one token is revoked, also one that the agent never issued, if
it is on the slot's account. The slot goes on, unless that was its current one.

With --compromised an account is in wrong hands: every token that Qualytics
lists on it is revoked, also those that the agent didn't issue. They are listed
first. Then the account is taken out of use, if Qualytics does that, and what is
left for a person to do is told: a new account under another name, above all.

A slot that isn't declared any more is taken too, by its id.

It waits until the tokens are dead, and tells what was revoked when, and which
targets serve a dead token now. It exits with 0 when all are dead, else with 3.
Several slots, and an account that is compromised, are revoked after a word of
confirmation, or with --yes.`,
		Example: `  handover revoke pipeline_automation@service/pipeline-production --reason "the project has ended"
  handover revoke "Pipeline Automation" --yes --reason "vendor has left"
  handover revoke pipeline_automation@service/pipeline-production --token-id 4711 --reason "made by hand"
  handover revoke "Pipeline Automation" --compromised --reason "found in an attacker's hands"`,
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
			if compromised {
				return a.compromised(cmd.Context(), o)
			}
			return a.ask(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.reason, "reason", "", "why, for the history: one line of text; needed")
	flags.Int64Var(&o.tokenID, "token-id", 0, "revoke this one token of the slot's account, by its number in Qualytics")
	flags.BoolVar(&o.yes, "yes", false, "don't ask before several slots, or an account, are revoked")
	flags.BoolVar(&compromised, "compromised", false, "the account is in wrong hands: revoke all that it has, and take it out of use")
	return cmd
}
