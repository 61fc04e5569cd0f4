package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// known are the declared slots and, where an argument names an account or nothing
// that is declared, those that the journal remembers: what leaked is to be revoked
// also where it isn't declared any more. A journal that can't be read is told and
// holds nothing up.
func (a *app) known(ctx context.Context, d *config.Declaration, args []string) names {
	n := namesOf(d)
	if !slices.ContainsFunc(args, func(arg string) bool { return n.accounts[arg] != "" || len(n.slots[arg]) == 0 }) {
		return n
	}
	if err := n.remember(ctx, d); err != nil && !errors.Is(err, journal.ErrNoJournal) {
		fmt.Fprintln(a.err, "slots that aren't declared any more aren't known:", err)
	}
	return n
}

// remember adds the slots of the journal that aren't declared. An account stands
// for those whose tokens may live, or for all where it has no other.
func (n *names) remember(ctx context.Context, d *config.Declaration) (err error) {
	read, err := journal.OpenReadOnly(ctx, d.State.SQLite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, read.Close()) }()
	dead := map[string][]string{}
	for record, err := range read.Slots(ctx) {
		if err != nil && !errors.Is(err, rotation.ErrBadRow) {
			return err
		}
		slot := record.Slot
		if len(n.slots[slot]) > 0 {
			continue
		}
		account, _, _ := strings.Cut(slot, "/")
		n.order = append(n.order, slot)
		n.slots[slot] = []string{slot}
		n.accounts[account] = account
		if err == nil && !record.MayLive() {
			dead[account] = append(dead[account], slot)
			continue
		}
		for name, id := range n.accounts {
			if id == account {
				n.slots[name] = append(n.slots[name], slot)
			}
		}
	}
	for account, slots := range dead {
		if len(n.slots[account]) == 0 {
			n.slots[account] = slots
		}
	}
	return nil
}
