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
	"syscall"
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
	// First of all the address: a simulator that can't serve must not put its
	// token in the place of another one's.
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("serve the simulator: %w; --listen names another address", err)
	}
	world, err := newSimulation(state, day, day == 24*time.Hour, a)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := world.writeAdminToken(tokenFile); err != nil {
		return errors.Join(err, listener.Close(), world.close())
	}
	fmt.Fprintln(a.out, "http://"+listener.Addr().String())
	fmt.Fprintf(a.err, "The administrator's token is in %s. A day takes %s.\n", tokenFile, config.FormatDuration(day))
	return world.serve(ctx, listener)
}

// simulation is a simulator with a clock of its own, and a lock on its state.
type simulation struct {
	server *sim.Server
	clock  *pace.Scaled // nil: the machine's, from which no load takes anything away
	lock   *os.File     // nil without a state file
}

// newSimulation starts a simulator whose clock goes on from the last instant
// that its state knows of. As the machine's clock goes, if asked; else as a
// scaled one, which stops for those who are busy.
func newSimulation(state string, day time.Duration, asMachine bool, a *app) (*simulation, error) {
	lock, err := lockState(state)
	if err != nil {
		return nil, err
	}
	s := &simulation{lock: lock}
	started := time.Now()
	began := started
	now := func() time.Time {
		if s.clock == nil {
			return began.Add(time.Since(started))
		}
		return s.clock.Now()
	}
	s.server, err = sim.New(sim.Options{Now: now, StateFile: state, Log: a.logger()})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, t := range s.server.Tokens() {
		for _, at := range []time.Time{t.Created, t.LastUsed} {
			if at.After(began) {
				began = at
			}
		}
	}
	if asMachine {
		return s, nil
	}
	clock, err := pace.NewScaled(began, day)
	if err != nil {
		return nil, errors.Join(usage("--day: %w", err), s.close())
	}
	s.clock = clock
	return s, nil
}

// lockState keeps a second simulator from a state file, which it would write
// over. The kernel frees the lock when the process ends.
func lockState(state string) (*os.File, error) {
	if state == "" {
		return nil, nil
	}
	lock, err := os.OpenFile(state+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the simulator's state: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another simulator runs on %s: stop it, or name another place (%w)", state, err), lock.Close())
	}
	return lock, nil
}

// close ends the simulator and frees its state.
func (s *simulation) close() error {
	var all []error
	if s.server != nil {
		all = append(all, s.server.Close())
	}
	if s.lock != nil {
		all = append(all, s.lock.Close())
	}
	return errors.Join(all...)
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
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	if s.clock != nil {
		running.Go(func() { s.clock.Run(ctx, time.Time{}) })
	}
	err := serveHTTP(ctx, listener, s.server)
	stop() // it may have ended by itself
	running.Wait()
	return errors.Join(err, s.close())
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
