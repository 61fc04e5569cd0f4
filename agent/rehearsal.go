package agent

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/rotation"
)

// Beside is what a rehearsal puts behind the path of each target, so that it
// writes beside it.
const Beside = "-rehearsal"

// rehearsalJournal stands beside the agent's own: a rehearsal that was cut off
// knows by it what it issued, and two can't run at once.
const rehearsalJournal = "rehearsal.db"

// Rehearsal is a declaration of one slot that nobody reads, made after a declared
// one: an account of its own with the least role and no team, and a target
// beside each of the slot's, in the same store and format. Its tokens are given
// no grace, and can't be restored; nobody is told of them. It fails when a store doesn't take such a
// path, and for a slot that isn't declared.
func Rehearsal(d *config.Declaration, slot string) (*config.Declaration, error) {
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			if account.Slot(token) != slot {
				continue
			}
			scratch := *d
			scratch.State.SQLite = filepath.Join(filepath.Dir(d.State.SQLite), rehearsalJournal)
			scratch.Warnings, scratch.Notify = nil, nil
			scratch.Qualytics.Credential.Slot = "" // it is read, and not rotated
			name := "Handover Rehearsal " + d.Agent.ID
			own := config.Account{ID: rotation.AccountID(name), Name: name, Role: "Member", Owner: account.Owner,
				Purpose: "Emergencies are rehearsed with it; none of its tokens is in use"}
			deliver, err := beside(d, token.Deliver)
			if err != nil {
				return nil, err
			}
			own.Tokens = []config.Token{{Name: "rehearsal", Environment: token.Environment, Deliver: deliver,
				Schedule: rotation.Schedule{Lifetime: rotation.Day}}}
			scratch.Accounts = []config.Account{own}
			return &scratch, nil
		}
	}
	return nil, fmt.Errorf("slot %s is not declared", slot)
}

func beside(d *config.Declaration, targets []config.Target) ([]config.Target, error) {
	all := slices.Clone(targets)
	for i := range all {
		t := &all[i]
		t.Ref.Path += Beside
		t.TakeOver = false
		for _, b := range d.Backends {
			if b.Name != t.Ref.Backend {
				continue
			}
			if err := b.Properties.Path.Check(t.Ref.Path); err != nil {
				return nil, fmt.Errorf("rehearse beside %s: %w", targets[i].Ref, err)
			}
		}
	}
	return all, nil
}
