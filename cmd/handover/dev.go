package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends/secret"
)

// simAddress is where the simulator of development mode listens, if it can.
const simAddress = "127.0.0.1:9690"

// devOptions are the flags of dev.
type devOptions struct {
	dir      string
	day      time.Duration
	duration time.Duration
}

// devCommand runs simulator, agent and readers in one process.
func (a *app) devCommand() *cobra.Command {
	var dir string
	day, length := durationFlag(rotationDay), durationFlag(0)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the agent against a simulated Qualytics, with readers, in one process",
		Long: `Run the agent on the declaration, with a simulated Qualytics in the place of the
declared one. Everything stands in one folder and is kept between runs. One
reader for each target takes the token from there and calls the simulator with
it, as a consumer would.

With --day, a declared day takes that long, so that a year of rotations runs in
minutes. The clock stands still while anybody is at work: a slow machine takes
longer and sees the same. With --for, it ends after that much declared time
with a summary, and fails unless every promise held.`,
		Example: `  handover dev
  handover dev --day 1s
  handover dev --day 20ms --for 800d -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("log-level") {
				a.logLevel = "error" // the story tells the rest
			}
			return a.dev(cmd.Context(), devOptions{dir: dir, day: time.Duration(day), duration: time.Duration(length)})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", ".handover-dev", "the folder that everything stands in")
	flags.Var(&day, "day", "how long a declared day takes")
	flags.Var(&length, "for", "end after this much declared time; 0s runs until it is told to end")
	return cmd
}

// dev is development mode from start to summary.
func (a *app) dev(ctx context.Context, o devOptions) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of development mode: %w", err)
	}
	world, err := newSimulation(filepath.Join(o.dir, "qualytics.json"), o.day, false, a)
	if err != nil {
		return err
	}
	listener, err := listenNear(simAddress)
	if err != nil {
		return errors.Join(err, world.close())
	}
	d, err := a.devDeclaration(o, world, listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close(), world.close())
	}
	story := a.out
	if a.output != "table" {
		story = a.err
	}
	w := newWatch(d, world, listener.Addr().String(), story)
	ready := make(chan struct{})
	running, err := agent.New(ctx, agent.Options{Declaration: d, Version: version(), Log: a.logger(),
		Pace: world.clock, OnEvent: w.event, OnReady: func() { close(ready) }})
	if err != nil {
		return errors.Join(err, listener.Close(), world.close())
	}
	w.introduce(o)
	err = a.devRun(ctx, o, world, listener, w, running, ready)
	summary := w.summary()
	err = errors.Join(err, running.Close(), world.close())
	if err != nil {
		return err
	}
	return a.verdict(summary, o.duration > 0, w.complete)
}

// devRun runs the parts until ctx is done, the time is over, or one fails; then
// it ends all of them and waits.
func (a *app) devRun(ctx context.Context, o devOptions, world *simulation, listener net.Listener,
	w *watch, running *agent.Agent, ready <-chan struct{}) error {
	served, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var server, parts sync.WaitGroup
	errs := make(chan error, 2)
	server.Go(func() { errs <- serveHTTP(served, listener, world.server) })
	parts.Go(func() { errs <- running.Run(ctx); stop() })
	select {
	case <-ready:
	case <-ctx.Done():
	}
	if err := w.openTargets(ctx); err != nil {
		stop()
		parts.Wait()
		stopServing()
		server.Wait()
		return errors.Join(err, <-errs, <-errs)
	}
	w.startReaders(ctx, &parts)
	end := time.Time{}
	if o.duration > 0 {
		end = world.clock.Now().Add(o.duration)
	}
	world.clock.Run(ctx, end)
	stop()
	parts.Wait()
	w.complete = o.duration > 0 && !world.clock.Now().Before(end)
	w.finish()
	stopServing()
	server.Wait()
	return errors.Join(<-errs, <-errs)
}

// devDeclaration is the declaration with everything that is outside put into
// the folder.
func (a *app) devDeclaration(o devOptions, world *simulation, address string) (*config.Declaration, error) {
	token := filepath.Join(o.dir, "qualytics-admin.token")
	if err := world.writeAdminToken(token); err != nil {
		return nil, err
	}
	d, err := a.load(config.Base(o.dir))
	if err != nil {
		return nil, err
	}
	d.Qualytics.URL = "http://" + address
	d.Qualytics.Credential = config.Credential{Source: secret.Source{File: token}}
	d.Qualytics.CAFile = ""
	d.Qualytics.Rate = -1 // the simulator is on this machine
	tellNobody(d)
	d.State.SQLite = filepath.Join(o.dir, "state.db")
	d.Agent.Socket = filepath.Join(o.dir, "control.sock")
	free, err := listenNear(d.Agent.Listen)
	if err != nil {
		return nil, err
	}
	d.Agent.Listen = free.Addr().String()
	// On fast days, checks at rest come once in two milliseconds at most.
	least := time.Duration(float64(2*time.Millisecond) * float64(rotationDay) / float64(o.day))
	d.Agent.Sweep, d.Agent.DriftCheck = max(d.Agent.Sweep, least), max(d.Agent.DriftCheck, 2*least)
	return d, free.Close()
}

// tellNobody takes hooks and notifications out: who is told would act on tokens that aren't
// real.
func tellNobody(d *config.Declaration) {
	d.Notify = nil
	for _, account := range d.Accounts {
		for i := range account.Tokens {
			account.Tokens[i].OnDelivery, account.Tokens[i].OnRevocation = nil, nil
		}
	}
}

// listenNear listens at the address, or at any port of this machine when that
// one is taken.
func listenNear(address string) (net.Listener, error) {
	if listener, err := net.Listen("tcp", address); err == nil {
		return listener, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve on this machine: %w", err)
	}
	return listener, nil
}
