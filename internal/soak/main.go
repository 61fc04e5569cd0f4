// Command soak runs the built program for a while, on short rotations, with
// faults around it: the agent is killed and stopped, its journal's disk fills
// up, Vault and the simulator are killed, and the wires to both go bad. Readers
// at each target look for a dead token all the time. docs/soak.md tells more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// Exit codes are the program's own.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 64
)

// inside is set for a soak that runs apart already; it names the run's folder.
const inside = "HANDOVER_SOAK_DIR"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// kinds are names of kinds of faults, as a flag.
type kinds []kind

// String lists them.
func (k *kinds) String() string {
	var names []string
	for _, one := range *k {
		names = append(names, string(one))
	}
	return strings.Join(names, ",")
}

// Set reads a list.
func (k *kinds) Set(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		known := slices.ContainsFunc(lanes(), func(l lane) bool { return slices.Contains(l.kinds, kind(name)) })
		if !known {
			return fmt.Errorf("there is no fault %q", name)
		}
		*k = append(*k, kind(name))
	}
	return nil
}

// from returns those of all that aren't in k.
func (k kinds) from(all []kind) []kind {
	return slices.DeleteFunc(slices.Clone(all), func(one kind) bool { return slices.Contains(k, one) })
}

// options are what a run is told.
type options struct {
	duration time.Duration
	seed     uint64
	program  string // "" is to be built
	without  kinds
	keep     bool
	dir      string
}

// lanes are those whose faults come.
func (o options) lanes() []lane {
	all := lanes()
	for i := range all {
		all[i].kinds = o.without.from(all[i].kinds)
	}
	return slices.DeleteFunc(all, func(l lane) bool { return len(l.kinds) == 0 })
}

// again is the command that repeats the run.
func (o options) again() string {
	text := fmt.Sprintf("make soak DURATION=%s SEED=%d", o.duration, o.seed)
	if len(o.without) > 0 {
		text += " WITHOUT=" + o.without.String()
	}
	return text
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{seed: rand.Uint64()}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.duration, "duration", time.Minute, "how long the faults go on")
	flags.Func("seed", "the `number` that draws the faults (default drawn)", func(text string) (err error) {
		if text != "" { // as the Makefile has it
			o.seed, err = strconv.ParseUint(text, 10, 64)
		}
		return err
	})
	flags.StringVar(&o.program, "program", "", "the handover program (default built anew)")
	flags.Var(&o.without, "without", "the kinds of faults to leave out, with commas between")
	flags.BoolVar(&o.keep, "keep", false, "keep the logs of a run that went well, too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if o.duration < time.Second {
		return o, fmt.Errorf("-duration %s: it takes a second at least", o.duration)
	}
	return o, nil
}

// run is the command: seed first, dead reads last.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v\n", err)
		return exitUsage
	}
	if o.dir = os.Getenv(inside); o.dir != "" {
		return report(ctx, o, stdout, stderr)
	}
	fmt.Fprintf(stdout, "seed %d; again: %s\n", o.seed, o.again())
	fmt.Fprintln(stdout, "A seed draws which faults come, in which order and for how long. Time is real: no two runs are the same.")
	if o.dir, err = os.MkdirTemp("", "handover-soak"); err != nil {
		fmt.Fprintf(stderr, "soak: %v\n", err)
		return exitFailed
	}
	code := prepared(ctx, o, stdout, stderr)
	if code == exitDone && !o.keep {
		err = os.RemoveAll(o.dir)
	} else {
		fmt.Fprintf(stderr, "soak: the logs and the journal are in %s\n", o.dir)
	}
	if code != exitDone {
		tell(stderr, filepath.Join(o.dir, runLog))
		tell(stderr, filepath.Join(o.dir, agentLog))
	}
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v\n", err)
	}
	return code
}

// tell shows how a log ends, where nobody can look for it later.
func tell(w io.Writer, file string) {
	text, err := os.ReadFile(file)
	if err != nil { // it didn't come to that
		return
	}
	fmt.Fprintf(w, "soak: %s ends with\n%s\n", filepath.Base(file), outside.Tail(string(text), 40))
}

// prepared builds the program unless there is one, and runs the soak where it
// may mount a disk.
func prepared(ctx context.Context, o options, stdout, stderr io.Writer) int {
	if o.program == "" {
		o.program = filepath.Join(o.dir, "handover")
		if err := outside.Build(ctx, o.program); err != nil {
			fmt.Fprintf(stderr, "soak: %v\n", err)
			return exitFailed
		}
	}
	if slices.Contains(o.without, diskFull) {
		return report(ctx, o, stdout, stderr)
	}
	self := exec.CommandContext(ctx, "/proc/self/exe", "-duration", o.duration.String(), "-seed", strconv.FormatUint(o.seed, 10),
		"-program", o.program, "-without", o.without.String())
	self.Env = append(os.Environ(), inside+"="+o.dir)
	self.Stdout, self.Stderr = stdout, stderr
	self.Cancel = func() error { return self.Process.Signal(syscall.SIGTERM) }
	err := apart(self)
	if err == nil {
		err = self.Run()
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		fmt.Fprintf(stderr, "soak: no disk can be mounted here: %v; run it as root, or on a system with user namespaces, "+
			"or leave that fault out with WITHOUT=%s\n", err, diskFull)
		return exitFailed
	}
	return self.ProcessState.ExitCode()
}

// report runs the soak.
func report(ctx context.Context, o options, stdout, stderr io.Writer) int {
	well, err := soak(ctx, o, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v\n", err)
	}
	if err != nil || !well {
		return exitFailed
	}
	return exitDone
}
