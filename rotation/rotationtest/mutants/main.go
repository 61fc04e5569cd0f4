// Command mutants shows what each rule of the core is for. It takes one rule
// out at a time and finds what misses it: the rule's own test, and the first
// simulated world that breaks. A rule that nothing misses fails the command.
//
//	go run ./rotation/rotationtest/mutants
//	go run ./rotation/rotationtest/mutants -only grace
//
// The core holds no switches for this: the changed files reach the compiler by
// `go test -c -overlay`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// The exit codes, as the agent's.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 64
)

// options are what the command line says.
type options struct {
	only   string // names with commas between them; "" is all
	output string // table or json
	worlds uint64 // how many a mutant may live through
	jobs   int
	every  bool // play worlds for every mutant
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command: the table goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		return exitUsage // flag has told of it
	}
	chosen, err := choose(catalog(), opt.only)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return exitUsage
	}
	results, err := try(ctx, chosen, opt, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return exitFailed
	}
	write := writeTable
	if opt.output == "json" {
		write = writeJSON
	}
	if err := write(stdout, results); err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return exitFailed
	}
	if slices.ContainsFunc(results, result.lives) {
		return exitFailed
	}
	return exitDone
}

func parse(args []string, stderr io.Writer) (options, error) {
	var opt options
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opt.only, "only", "", "try these mutants alone: `names` with commas between them")
	flags.StringVar(&opt.output, "o", "table", "`table` or json")
	flags.Uint64Var(&opt.worlds, "worlds", 20_000, "how many worlds a mutant may live through")
	flags.IntVar(&opt.jobs, "jobs", 2, "how many mutants are tried at a time")
	flags.BoolVar(&opt.every, "every", false, "play worlds for every mutant, not only where one is to miss it")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return opt, err
	case flags.NArg() > 0:
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	case opt.output != "table" && opt.output != "json":
		err = fmt.Errorf("-o %s: it is table or json", opt.output)
	case opt.worlds == 0:
		err = errors.New("-worlds 0: at least one has to be played")
	case opt.jobs < 1:
		err = fmt.Errorf("-jobs %d: it is 1 or more", opt.jobs)
	}
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
	}
	return opt, err
}

// choose returns the mutants of those names, in the catalog's order.
func choose(all []mutant, only string) ([]mutant, error) {
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.Name == name }) {
			return nil, fmt.Errorf("-only %s: there is no mutant %s", only, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m mutant) bool { return !slices.Contains(names, m.Name) }), nil
}
