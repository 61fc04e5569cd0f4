package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/pace"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
)

// adminAccount is the account whose token the simulator hands out.
const adminAccount = "Handover Admin"

// simCommand serves the simulator alone.
func (a *app) simCommand() *cobra.Command {
	var listen, state, tokenFile string
	day := durationFlag(rotationDay)
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Serve a simulated Qualytics, to try Handover without a real one",
		Long: `Serve Qualytics' documented API on this machine: accounts, teams, service
tokens, expiry and revocation. It writes an administrator's token into a file,
prints its base URL, and serves until it is told to end.

With --day, a day of the simulator takes that long. An agent that runs against
it takes the simulator's time for its own.`,
		Example: `  handover sim --state sim.json --admin-token-file admin.token
  handover sim --listen 127.0.0.1:9690 --day 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runSim(cmd.Context(), listen, state, tokenFile, time.Duration(day))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:9690", "the address to serve at")
	flags.StringVar(&state, "state", "", "a file that keeps accounts and tokens between runs; without it they are gone at the end")
	flags.StringVar(&tokenFile, "admin-token-file", "qualytics-admin.token", "the file, mode 0600, that gets the administrator's token")
	flags.Var(&day, "day", "how long a day of the simulator takes")
	return cmd
}

func (a *app) runSim(ctx context.Context, listen, state, tokenFile string, day time.Duration) error {
	world, err := newSimulation(state, day, a)
	if err != nil {
		return err
	}
	if err := world.writeAdminToken(tokenFile); err != nil {
		return errors.Join(err, world.server.Close())
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return errors.Join(fmt.Errorf("serve the simulator: %w; --listen names another address", err), world.server.Close())
	}
	fmt.Fprintln(a.out, "http://"+listener.Addr().String())
	fmt.Fprintf(a.err, "The administrator's token is in %s. A day takes %s.\n", tokenFile, config.FormatDuration(day))
	return world.serve(ctx, listener)
}

// simulation is a simulator with a clock of its own.
type simulation struct {
	server *sim.Server
	clock  *pace.Scaled
}

// newSimulation starts a simulator whose clock goes on from the last instant
// that its state knows of.
func newSimulation(state string, day time.Duration, a *app) (*simulation, error) {
	s := &simulation{}
	began := time.Now()
	now := func() time.Time {
		if s.clock == nil {
			return began
		}
		return s.clock.Now()
	}
	server, err := sim.New(sim.Options{Now: now, StateFile: state, Log: a.logger()})
	if err != nil {
		return nil, err
	}
	for _, t := range server.Tokens() {
		for _, at := range []time.Time{t.Created, t.LastUsed} {
			if at.After(began) {
				began = at
			}
		}
	}
	clock, err := pace.NewScaled(began, day)
	if err != nil {
		return nil, errors.Join(usage("--day: %w", err), server.Close())
	}
	s.server, s.clock = server, clock
	return s, nil
}

// writeAdminToken puts the administrator's token into a file of mode 0600.
func (s *simulation) writeAdminToken(file string) error {
	token, err := s.server.AdminToken(adminAccount)
	if err != nil {
		return err
	}
	return writeSecret(file, token)
}

func writeSecret(file string, value secret.Value) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", file, err)
	}
	err := renameio.WriteFile(file, []byte(value.Reveal()), 0o600, renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// serve answers at the listener and lets the clock run, until ctx is done. It
// closes the simulator.
func (s *simulation) serve(ctx context.Context, listener net.Listener) error {
	var running sync.WaitGroup
	running.Go(func() { s.clock.Run(ctx, time.Time{}) })
	err := serveHTTP(ctx, listener, s.server)
	running.Wait()
	return errors.Join(err, s.server.Close())
}

// serveHTTP answers at the listener until ctx is done.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- server.Close() })
	err := server.Serve(listener)
	if stop() { // ctx isn't done: the server ended by itself
		return err
	}
	return <-stopped
}
