package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/agent/web"
	"github.com/handover-agent/handover/backends"
)

// Service is a declared follower with its backends open. Make it with Open, then
// call Serve or Once, then Close.
type Service struct {
	*Follower
	listen   string
	log      *slog.Logger
	backends []backends.Backend
}

// Open opens what the declaration names. It asks no store. What it opened is
// closed again when it fails.
func Open(ctx context.Context, d *config.Following, version string, log *slog.Logger) (_ *Service, err error) {
	s := &Service{listen: d.Listen, log: log}
	byName := map[string]backends.Backend{}
	for _, b := range d.Backends {
		opened, err := b.Driver.Open(ctx, backends.Env{Name: b.Name, Log: log.With("backend", b.Name)}, b.Options)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open backend %s: %w", b.Name, err), s.Close())
		}
		byName[b.Name] = opened
		s.backends = append(s.backends, opened)
	}
	target := func(t config.Target) *backends.Target {
		return &backends.Target{Ref: t.Ref, Backend: byName[t.Ref.Backend], Format: t.Format}
	}
	options := Options{Every: d.Every, Version: version, Log: log}
	for _, e := range d.Entries {
		entry := Entry{From: target(e.From), To: target(e.To), URL: e.URL, Account: e.Account, AccountID: e.AccountID,
			Environment: e.Environment, TakeOver: e.To.TakeOver}
		for _, hook := range e.OnChange {
			entry.Hooks = append(entry.Hooks, hooks.Exec{Argv: hook.Exec, Timeout: hook.Timeout})
		}
		options.Entries = append(options.Entries, entry)
	}
	s.Follower = New(options)
	return s, nil
}

// Serve follows, and answers for its health at the declared address, until ctx
// is done. It fails when the address is taken.
func (s *Service) Serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("serve health and metrics: %w; follow.listen in the declaration names the address", err)
	}
	s.log.Info("follower started", "version", s.version, "entries", len(s.entries), "every", s.every.String(), "listen", listener.Addr().String())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var following sync.WaitGroup
	following.Go(func() { s.Run(ctx) })
	err = web.Serve(ctx, listener, web.FollowerHandler(s, func() any { return s.Status() }, s.Metrics()), s.log)
	stop()
	following.Wait()
	if err == nil {
		s.log.Info("follower stopped")
	}
	return err
}

// Close closes the backends.
func (s *Service) Close() error {
	var all []error
	for _, b := range s.backends {
		all = append(all, b.Close())
	}
	return errors.Join(all...)
}
