package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// commands are all commands, in the groups in which the help lists them.
func (a *app) commands() []*cobra.Command {
	var all []*cobra.Command
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupAgent, []*cobra.Command{a.runCommand(), a.followCommand(), a.devCommand(), a.simCommand()}},
		{groupLook, []*cobra.Command{a.validateCommand(), a.planCommand(), a.statusCommand(), a.explainCommand(), a.historyCommand(), a.doctorCommand()}},
		{groupAsk, []*cobra.Command{a.rotateCommand(), a.revokeCommand(), a.restoreCommand(), a.pauseCommand(), a.resumeCommand()}},
		{groupTools, []*cobra.Command{a.schemaCommand(), a.healthcheckCommand(), a.versionCommand(), a.completionCommand()}},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			all = append(all, c)
		}
	}
	return all
}

const (
	groupAgent = "agent"
	groupLook  = "look"
	groupAsk   = "ask"
	groupTools = "tools"
)

func addGroups(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: groupAgent, Title: "The agent:"},
		&cobra.Group{ID: groupLook, Title: "Look, and change nothing:"},
		&cobra.Group{ID: groupAsk, Title: "Ask the agent to act:"},
		&cobra.Group{ID: groupTools, Title: "Tools:"})
	root.SetHelpCommandGroupID(groupTools)
}

// strict makes every complaint about arguments an error of usage, with a hint.
func strict(root *cobra.Command) {
	for _, c := range root.Commands() {
		check := c.Args
		if check == nil {
			check = cobra.NoArgs
		}
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var known *exit
			switch {
			case err == nil || errors.As(err, &known):
				return err
			case strings.HasPrefix(err.Error(), "unknown command"): // cobra.NoArgs
				return usage("%s takes no arguments, and got %q; see '%[1]s --help'", cmd.CommandPath(), args[0])
			}
			return usage("%w; see '%s --help'", err, cmd.CommandPath())
		}
		strict(c)
	}
}

// unknownCommand says which command may have been meant.
func unknownCommand(parent *cobra.Command, name string) error {
	parent.SuggestionsMinimumDistance = 2
	if meant := parent.SuggestionsFor(name); len(meant) > 0 {
		return usage("there is no command %q; did you mean %s?", name, either(meant))
	}
	return usage("there is no command %q; 'handover --help' lists them", name)
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Show the help of a command",
		Long:              "Show the help of a command, as its --help does.",
		Example:           "  handover help rotate",
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return unknownCommand(cmd.Root(), args[0])
			}
			if len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
}

func completeCommands(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, c := range cmd.Root().Commands() {
		if len(args) == 0 && c.IsAvailableCommand() {
			names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// either lists words as a choice: "table, json or yaml".
func either(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
