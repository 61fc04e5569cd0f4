package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// shells are those for which cobra writes a script.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the script that completes commands, flags and slots in a shell",
		Long: `Print the script that completes commands, flags and slots in a shell. Slots are
those of the declaration that -c names.`,
		Example: `  source <(handover completion bash)
  handover completion zsh > "${fpath[1]}/_handover"
  handover completion fish > ~/.config/fish/completions/handover.fish`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one shell: %s", either(shells))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return usage("there is no script for %q: use %s", args[0], either(shells))
		},
	}
}

// completeFlags offers the words of the flags that every command has.
func (a *app) completeFlags(root *cobra.Command) {
	for name, words := range map[string][]string{"output": outputs, "log-format": logFormats, "log-level": logLevels} {
		// It fails for a flag that isn't there, or that has one already.
		if err := root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			fmt.Fprintf(a.err, "handover: completion of --%s: %v\n", name, err)
		}
	}
}
