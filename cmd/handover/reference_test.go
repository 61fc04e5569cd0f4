package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	manual = "../../docs/cli.md"
	// mark divides the manual: what follows is made from the commands.
	mark = "<!-- From here on: go test ./cmd/handover -run TestReference -update -->\n"
)

// TestReference: the manual tells the commands, flags and examples that there
// are, in the words of their help.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	byHand, made, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", manual, mark)
	}
	want := reference(new(app).root())
	if *update {
		if err := os.WriteFile(manual, []byte(byHand+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("%s isn't what the help says; run this test with -update (-help +manual):\n%s", manual, diff)
	}
}

// TestManualNamesEveryExitCode: the part by hand is held to the constants.
func TestManualNamesEveryExitCode(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{exitDone, exitFailed, exitChanges, exitPartly, exitUsage, exitDeclaration} {
		if !strings.Contains(string(text), fmt.Sprintf("| %d | ", code)) {
			t.Errorf("the manual's table lacks the exit code %d", code)
		}
	}
}

// TestHelpIsWhole: each command has a sentence, a paragraph, an example that
// calls it, and flags with a description.
func TestHelpIsWhole(t *testing.T) {
	for _, c := range append(commandsOf(new(app).root()), new(app).root()) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Long == "" || !strings.HasSuffix(strings.TrimSpace(c.Long), ".") &&
				!strings.HasSuffix(c.Long, "agent.schema.json") {
				t.Errorf("short %q, long %q", c.Short, c.Long)
			}
			for line := range strings.Lines(c.Long) {
				if len(line) > 81 {
					t.Errorf("a line of %d characters: %q", len(line)-1, line)
				}
			}
			if !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("no example calls it: %q", c.Example)
			}
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" || strings.ToLower(f.Usage[:1]) != f.Usage[:1] {
					t.Errorf("--%s: %q", f.Name, f.Usage)
				}
			})
		})
	}
}

// commandsOf are all commands, each with its own behind it.
func commandsOf(root *cobra.Command) []*cobra.Command {
	root.InitDefaultHelpCmd()
	return below(root)
}

func below(parent *cobra.Command) (all []*cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.Hidden {
			all = append(append(all, c), below(c)...)
		}
	}
	return all
}

// reference is the made part of the manual.
func reference(root *cobra.Command) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n## Flags of every command\n\n%s", flagTable(root.PersistentFlags()))
	for _, c := range commandsOf(root) {
		fmt.Fprintf(&out, "\n## %s\n\n%s.\n\n    %s\n\n%s\n", c.CommandPath(), c.Short, strings.TrimSpace(c.UseLine()), c.Long)
		if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(&out, "\n%s", flagTable(flags))
		}
		fmt.Fprintf(&out, "\n```sh\n")
		for line := range strings.Lines(c.Example) {
			fmt.Fprintf(&out, "%s\n", strings.TrimSpace(line))
		}
		fmt.Fprintf(&out, "```\n")
	}
	return out.String()
}

func flagTable(flags *pflag.FlagSet) string {
	var out strings.Builder
	out.WriteString("| flag | default | |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if f.Value.Type() != "bool" {
			name += " " + strings.ToUpper(f.Value.Type())
		}
		value := ""
		if f.DefValue != "" && f.Value.Type() != "bool" {
			value = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", name, value, f.Usage)
	})
	return out.String()
}
