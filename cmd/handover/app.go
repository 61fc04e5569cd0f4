package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends/all"
)

// The exit codes (design.md, "The command line").
const (
	exitDone        = 0
	exitFailed      = 1
	exitChanges     = 2 // plan --detailed-exitcode found changes
	exitPartly      = 3
	exitUsage       = 64
	exitDeclaration = 78
)

// streams is what a run of the program gets from outside.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) (string, bool)
}

// app is one run of the program: its streams and the flags that every command
// has.
type app struct {
	streams
	configFile string
	output     string
	logFormat  string
	logLevel   string
}

// exit is an error that ends the program with a code. A nil err says nothing
// more: what there is to say was printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// also is err with what went wrong at the end. It isn't lost behind an exit
// that says nothing more.
func also(err, more error) error {
	var e *exit
	if more != nil && errors.As(err, &e) && e.err == nil {
		return &exit{code: e.code, err: more}
	}
	return errors.Join(err, more)
}

// run runs the program and returns its exit code. Data goes to out, all else
// to err.
func run(ctx context.Context, args []string, std streams) int {
	a := &app{streams: std}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	return a.report(root.ExecuteContext(ctx))
}

// report tells what went wrong and turns it into the exit code. The problems of
// a declaration are told as they are: each begins with its place, for editors.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var e *exit
	if errors.As(err, &e) {
		code, err = e.code, e.err
	}
	var problems *config.Errors
	if errors.As(err, &problems) {
		fmt.Fprintln(a.err, problems)
		return exitDeclaration
	}
	if err != nil {
		fmt.Fprintln(a.err, "handover:", err)
	}
	return code
}

// usage makes an error about how the command was called.
func usage(format string, args ...any) error {
	return &exit{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// The words that a flag takes.
var (
	outputs    = []string{"table", "json", "yaml"}
	logFormats = []string{"text", "json"}
	logLevels  = []string{"debug", "info", "warn", "error"}
)

// root is the command without a name; its subcommands do the work.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "handover",
		Short: "Issue, deliver, rotate and retire the tokens of Qualytics service accounts",
		Long: `Handover reads a declaration of Qualytics service accounts, issues and rotates
their tokens, delivers them into secrets managers in the shape that each
consumer reads, and retires the old ones after a grace period. It makes before
it breaks.`,
		Example: `  handover dev
  handover validate
  handover plan
  handover run`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.checkFlags()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "agent.yaml", "the declaration")
	flags.StringVarP(&a.output, "output", "o", "table", "how data is printed: table, json or yaml")
	flags.StringVar(&a.logFormat, "log-format", "text", "how the log is written: text or json")
	flags.StringVar(&a.logLevel, "log-level", "info", "the least level that is logged: debug, info, warn or error")
	a.completeFlags(root)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see '%s --help'", err, cmd.CommandPath())
	})
	addGroups(root)
	root.AddCommand(a.commands()...)
	strict(root)
	return root
}

// checkFlags checks the flags that every command has.
func (a *app) checkFlags() error {
	for _, flag := range []struct {
		name, given string
		known       []string
	}{{"-o", a.output, outputs}, {"--log-format", a.logFormat, logFormats}, {"--log-level", a.logLevel, logLevels}} {
		if !slices.Contains(flag.known, flag.given) {
			return usage("%s %q is not known: use %s", flag.name, flag.given, either(flag.known))
		}
	}
	return nil
}

// logger writes the log to err.
func (a *app) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(a.logLevel)) // checked before
	options := &slog.HandlerOptions{Level: level}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

// load reads the declaration.
func (a *app) load(options ...config.Option) (*config.Declaration, error) {
	registry, err := all.Registry()
	if err != nil {
		return nil, err
	}
	return config.Load(a.configFile, registry, a.env, options...)
}

// loadDocument reads the declaration of an agent or of a follower.
func (a *app) loadDocument() (config.Document, error) {
	registry, err := all.Registry()
	if err != nil {
		return config.Document{}, err
	}
	return config.LoadDocument(a.configFile, registry, a.env)
}
