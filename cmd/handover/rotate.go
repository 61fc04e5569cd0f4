package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/rotation"
)

// asked is how the help of rotate and resume ends.
const asked = `

A SLOT is ACCOUNT/TOKEN, an ACCOUNT stands for all its slots; its declared name
serves for its id. A running agent gets the request through its control socket;
without one, this command takes the lease and does the work.`

func (a *app) rotateCommand() *cobra.Command {
	o := order{kind: rotation.RequestRotate, deadline: durationFlag(30 * time.Second)}
	emergency := false
	cmd := &cobra.Command{
		Use:   "rotate SLOT|ACCOUNT... | --all",
		Short: "Replace tokens before they are due, or at once when they leaked",
		Long: `Replace tokens before they are due, by the planned road: a new token is issued,
proved and delivered to every target; the old one lives on for its grace.` + asked + `

With --wait it ends when every target serves the new token, and tells on the way
how far that is. Ctrl-C ends the waiting; a running agent goes on.

With --emergency the tokens are in wrong hands: new ones are issued, delivered
to all targets at the same time, then every older token of the slots is revoked,
without grace or hold. A target that takes no delivery by the deadline keeps
nothing alive: it serves a dead token until it answers. With --revoke-first the
tokens die before new ones are issued; with --token-id one token does, also one
that the agent didn't issue. --emergency always waits until the tokens are dead,
and tells what was revoked when, and which targets lack the new token and why;
with --wait it waits for these targets too. It exits with 0 when nothing is
left, else with 3.

With --rehearse an emergency is played without risk: on an account of its own,
with targets beside those of the slot, in the same stores and formats. It tells
how long each step took, and takes away what it has issued. The stores must let
the agent write the paths of the slot with "-rehearsal" behind.`,
		Example: `  handover rotate pipeline_automation@service/pipeline-production
  handover rotate "Pipeline Automation" --reason "left the team" --wait
  handover rotate --all
  handover rotate "Pipeline Automation" --emergency --reason "token seen in a public log"
  handover rotate pipeline_automation@service/pipeline-production --emergency --token-id 4711 --reason "laptop stolen"
  handover rotate pipeline_automation@service/pipeline-production --emergency --rehearse
  handover rotate --all --emergency --yes --deadline 2m --reason "store was open" -o json`,
		Args:              slotArgs(&o.all),
		ValidArgsFunction: a.completeSlots,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if emergency {
				o.kind = rotation.RequestEmergency
			}
			if err := o.check(cmd.Flags().Changed); err != nil {
				return err
			}
			return a.ask(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "every declared slot")
	flags.StringVar(&o.reason, "reason", "", "why, for the history: one line of text")
	flags.BoolVar(&o.wait, "wait", false, "end when every target serves the new token")
	flags.BoolVar(&emergency, "emergency", false, "the tokens leaked: replace and revoke them now; needs --reason")
	flags.Var(&o.deadline, "deadline", "how long an emergency keeps what leaked alive for targets that lack the new token")
	flags.BoolVar(&o.revokeFirst, "revoke-first", false, "an emergency revokes before it issues: readers are cut off for a moment")
	flags.Int64Var(&o.tokenID, "token-id", 0, "an emergency of this one token of the slot's account, by its number in Qualytics")
	flags.BoolVar(&o.rehearse, "rehearse", false, "play the emergency of one slot on a scratch account, and tell the times")
	flags.BoolVar(&o.yes, "yes", false, "don't ask before an emergency of all slots")
	return cmd
}

// check finds what of the flags doesn't go together.
func (o order) check(changed func(flag string) bool) error {
	if o.kind != rotation.RequestEmergency {
		for _, name := range []string{"deadline", "revoke-first", "token-id", "yes", "rehearse"} {
			if changed(name) {
				return usage("--%s needs --emergency", name)
			}
		}
		return nil
	}
	switch {
	case o.rehearse && (o.all || o.wait || o.tokenID != 0 || len(o.names) != 1):
		return usage("--rehearse needs one SLOT, and goes with --deadline and --revoke-first alone")
	case strings.TrimSpace(o.reason) == "" && !o.rehearse:
		return usage(`--emergency needs --reason "…": why, for the history`)
	case o.deadline <= 0:
		return usage("--deadline %s is too short: to wait for no target is --revoke-first", &o.deadline)
	}
	return o.checkToken(changed)
}

// checkToken looks at --token-id.
func (o order) checkToken(changed func(flag string) bool) error {
	switch {
	case changed("token-id") && o.tokenID < 1:
		return usage("--token-id %d is no number of a token", o.tokenID)
	case o.tokenID > 0 && (o.all || len(o.names) != 1):
		return usage("--token-id needs one SLOT: the one whose account the token is of")
	}
	return nil
}
