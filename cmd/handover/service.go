package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/filewatch"
	"github.com/handover-agent/handover/agent/systemd"
)

// runAgent runs the agent as a service: it is told to read its declaration
// again by SIGHUP and by a change of the file, and tells systemd how it stands.
func (a *app) runAgent(ctx context.Context) (err error) {
	a.collectEarly()
	log := a.logger()
	reload := newReloads(a.configFile, log)
	defer reload.close()
	manager := systemd.New(log)
	running, err := a.open(ctx, log, manager.Ready)
	if err != nil {
		return err
	}
	defer func() { err = also(err, running.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { reload.run(ctx, running, manager) })
	beside.Go(func() { manager.Watch(ctx, running.Pulse) })
	defer context.AfterFunc(ctx, manager.Stopping)()
	return running.Run(ctx)
}

// reloads are the calls to read the declaration again.
type reloads struct {
	log     *slog.Logger
	signals chan os.Signal
	file    *filewatch.File // nil: it can't be watched
}

// newReloads takes in what comes from now on: call it before the declaration is
// read for the first time. Without a watch there is SIGHUP.
func newReloads(path string, log *slog.Logger) *reloads {
	r := &reloads{log: log, signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, syscall.SIGHUP)
	file, err := filewatch.New(path)
	if err != nil {
		log.Warn("the declaration's file is not watched; send SIGHUP after a change", "error", err)
		return r
	}
	r.file = file
	return r
}

func (r *reloads) close() {
	signal.Stop(r.signals)
	if r.file != nil {
		r.file.Close()
	}
}

// run carries the calls out, one after the other, until ctx is done. What is
// wrong with a declaration is logged, and status and metrics tell of it.
func (r *reloads) run(ctx context.Context, running *agent.Agent, manager *systemd.Service) {
	var watching sync.WaitGroup
	defer watching.Wait()
	changed := make(chan struct{})
	if r.file != nil {
		watching.Go(func() { r.watch(ctx, changed) })
	}
	for {
		select {
		case <-r.signals:
			r.log.Info("reload the declaration", "told_by", "SIGHUP")
		case <-changed:
			r.log.Info("reload the declaration", "told_by", "a change of its file")
		case <-ctx.Done():
			return
		}
		manager.Reloading()
		_ = running.Reload(ctx)
		manager.Ready()
	}
}

func (r *reloads) watch(ctx context.Context, changed chan<- struct{}) {
	err := r.file.Run(ctx, func() {
		select {
		case changed <- struct{}{}:
		case <-ctx.Done():
		}
	})
	if err != nil {
		r.log.Warn("the declaration's file is not watched any more; send SIGHUP after a change", "error", err)
	}
}
