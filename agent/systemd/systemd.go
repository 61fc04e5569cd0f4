// Package systemd tells systemd how the agent stands: that it is ready, reads
// its declaration again, ends, and that its loop still turns
// (Type=notify-reload and WatchdogSec= in deploy/systemd/handover.service). The
// protocol is sd_notify(3). Without systemd nothing is told.
package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Service is this process as a service of systemd, which named its socket and
// the watchdog's time in the environment. Its methods are safe for concurrent
// use.
type Service struct {
	log *slog.Logger
	// interval is how long systemd waits for a sign of life; 0: it doesn't.
	interval time.Duration
	send     func(state string) error
}

// New reads what systemd put into the environment. A watchdog's time that can't
// be read is logged, and no sign of life is given: systemd then ends the
// process, which is what a wrong unit has to look like.
func New(log *slog.Logger) *Service {
	s := &Service{log: log, send: func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Error("the watchdog's time can't be read from WATCHDOG_USEC", "error", err)
		return s
	}
	s.interval = interval
	return s
}

// Ready says that the agent does its work: for the first time, or again after
// Reloading.
func (s *Service) Ready() { s.tell(daemon.SdNotifyReady) }

// Reloading says that the declaration is read again. Ready has to follow,
// whatever came of it.
func (s *Service) Reloading() {
	s.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the agent ends.
func (s *Service) Stopping() { s.tell(daemon.SdNotifyStopping) }

// Watch gives a sign of life twice in each interval, as long as pulse, which
// asks the agent for one, returns nil in time. It returns when ctx is done, at
// once when no watchdog waits.
func (s *Service) Watch(ctx context.Context, pulse func(context.Context) error) {
	if s.interval == 0 {
		return
	}
	ticker := time.NewTicker(s.interval / 2)
	defer ticker.Stop()
	for {
		s.beat(ctx, pulse)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) beat(ctx context.Context, pulse func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, s.interval/2)
	defer cancel()
	switch err := pulse(bounded); {
	case err == nil:
		s.tell(daemon.SdNotifyWatchdog)
	case ctx.Err() == nil:
		s.log.Error("no sign of life for systemd's watchdog: the agent's loop doesn't answer", "error", err)
	}
}

func (s *Service) tell(state string) {
	if err := s.send(state); err != nil {
		s.log.Warn("systemd not told", "state", state, "error", err)
	}
}
