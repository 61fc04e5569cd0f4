package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

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

// run runs the program and returns its exit code. Data goes to out, all else
// to err.
func run(ctx context.Context, args []string, std streams) int {
	a := &app{streams: std}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
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
		code = exitDeclaration
	}
	if err != nil {
		fmt.Fprintln(std.err, "handover:", err)
	}
	return code
}

// usage makes an error about how the command was called.
func usage(format string, args ...any) error {
	return &exit{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// root is the command without a name; its subcommands do the work.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "handover",
		Short: "Issue, deliver, rotate and retire the tokens of Qualytics service accounts",
		Long: `Handover reads a declaration of Qualytics service accounts, issues and rotates
their tokens, delivers them into secrets managers in the shape that each
consumer reads, and retires the old ones after a grace period. It makes before
it breaks.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.checkFlags()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "agent.yaml", "the declaration")
	flags.StringVarP(&a.output, "output", "o", "table", "how data is printed: table, json or yaml")
	flags.StringVar(&a.logFormat, "log-format", "text", "how the log is written: text or json")
	flags.StringVar(&a.logLevel, "log-level", "info", "the least level that is logged: debug, info, warn or error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(a.commands()...)
	return root
}

func (a *app) checkFlags() error {
	if !strings.Contains("|table|json|yaml|", "|"+a.output+"|") {
		return usage("-o %q is not known: use table, json or yaml", a.output)
	}
	if a.logFormat != "text" && a.logFormat != "json" {
		return usage("--log-format %q is not known: use text or json", a.logFormat)
	}
	if err := new(slog.Level).UnmarshalText([]byte(a.logLevel)); err != nil {
		return usage("--log-level %q is not known: use debug, info, warn or error", a.logLevel)
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

// load reads the declaration, with its warnings to err.
func (a *app) load(options ...config.Option) (*config.Declaration, error) {
	registry, err := all.Registry()
	if err != nil {
		return nil, err
	}
	d, err := config.Load(a.configFile, registry, a.env, options...)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// printJSON writes v as indented JSON.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// version is the program's, from its build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
