package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
)

// names are what a person may call the declared slots by.
type names struct {
	// order are all slots, as declared.
	order []string
	// slots is by "ACCOUNT/TOKEN" and by "ACCOUNT"; ACCOUNT is the id or the
	// declared name.
	slots map[string][]string
	// accounts are the ids, by id and by declared name.
	accounts map[string]string
}

func namesOf(d *config.Declaration) names {
	n := names{slots: map[string][]string{}, accounts: map[string]string{}}
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			slot := account.Slot(token)
			n.order = append(n.order, slot)
			for _, name := range []string{account.ID, account.Name} {
				n.accounts[name] = account.ID
				n.slots[name] = append(n.slots[name], slot)
				n.slots[name+"/"+token.Name] = []string{slot}
			}
		}
	}
	return n
}

// choose returns the slots that the arguments name, each once, as declared.
func (n names) choose(args []string) ([]string, error) {
	chosen := map[string]bool{}
	for _, arg := range args {
		found := n.slots[arg]
		if len(found) == 0 {
			return nil, n.unknown(arg)
		}
		for _, slot := range found {
			chosen[slot] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(n.order), func(slot string) bool { return !chosen[slot] }), nil
}

// scopes are what the arguments name, each once: a slot, or an account's id.
func (n names) scopes(args []string) ([]string, error) {
	var all []string
	for _, arg := range args {
		scope := n.accounts[arg]
		if scope == "" {
			slots, err := n.choose([]string{arg})
			if err != nil {
				return nil, err
			}
			scope = slots[0]
		}
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all, nil
}

// unknown says which slot or account may have been meant.
func (n names) unknown(arg string) error {
	const hint = "a slot is ACCOUNT/TOKEN, 'handover status' lists them"
	for _, slot := range n.order {
		if _, token, _ := strings.Cut(slot, "/"); token == arg {
			return usage("no slot and no account is called %q; did you mean %q? (%s)", arg, slot, hint)
		}
	}
	known := make([]string, 0, len(n.slots))
	for name := range n.slots {
		known = append(known, name)
	}
	slices.Sort(known)
	if meant := config.Closest(arg, known); meant != "" {
		return usage("no slot and no account is called %q; did you mean %q? (%s)", arg, meant, hint)
	}
	return usage("no slot and no account is called %q (%s)", arg, hint)
}

// slotArgs checks that a command got either names or --all.
func slotArgs(everything *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && !*everything:
			return fmt.Errorf("%s needs a SLOT, an ACCOUNT or --all", cmd.CommandPath())
		case len(args) > 0 && *everything:
			return fmt.Errorf("%s takes names or --all, not both", cmd.CommandPath())
		}
		return nil
	}
}

// completeSlots offers the slots and accounts of the declaration. A declaration
// that can't be read offers nothing.
func (a *app) completeSlots(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	d, err := a.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, account := range d.Accounts {
		all = append(all, cobra.CompletionWithDesc(account.ID, "all tokens of "+account.Name))
		for _, token := range account.Tokens {
			all = append(all, cobra.CompletionWithDesc(account.Slot(token), token.Environment))
		}
	}
	return slices.DeleteFunc(all, func(c cobra.Completion) bool {
		name, _, _ := strings.Cut(c, "\t")
		return slices.Contains(args, name)
	}), cobra.ShellCompDirectiveNoFileComp
}
