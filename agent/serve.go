package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/agent/web"
)

// Run is the agent's life: it serves health, metrics, page and control socket,
// and runs the passes, until ctx is done. An act under way is finished first.
// Run fails when an address is taken, and when the journal can't be used any
// more. It may be called once.
func (a *Agent) Run(ctx context.Context) error {
	d := a.current().process
	listener, err := net.Listen("tcp", d.agent.Listen)
	if err != nil {
		return fmt.Errorf("serve health, metrics and page: %w; agent.listen in the declaration names the address", err)
	}
	socket, err := control.Listen(d.agent.Socket, a, a.log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	a.address.Store(listener.Addr().String())
	a.log.Info("agent started", "agent", d.agent.ID, "version", a.opt.Version, "slots", len(a.current().slots),
		"listen", listener.Addr().String(), "socket", d.agent.Socket, "journal", d.state.SQLite)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return web.Serve(ctx, listener, web.Handler(a, a.metrics.Handler()), a.log) })
	group.Go(func() error { return socket.Serve(ctx) })
	group.Go(func() error { a.keepCredential(ctx); return nil })
	group.Go(func() error { a.notifier.Run(ctx); return nil })
	group.Go(func() error { return a.drive(ctx, nil) })
	if err := group.Wait(); err != nil {
		a.log.Error("agent failed", "error", err)
		return err
	}
	a.log.Info("agent stopped")
	return nil
}

// Address is where health, metrics and page are served; "" before Run serves
// them.
func (a *Agent) Address() string {
	address, _ := a.address.Load().(string)
	return address
}

// Alive says why the process has to be started anew; nil when it needn't.
func (a *Agent) Alive() error { return a.failure() }

// Pulse returns nil once the loop that runs the passes has turned, and the
// error of ctx when it didn't in time. Run must have been called.
func (a *Agent) Pulse(ctx context.Context) error {
	if err := a.failure(); err != nil {
		return err
	}
	felt := make(chan struct{})
	a.mu.Lock()
	a.pulses = append(a.pulses, felt)
	a.mu.Unlock()
	a.wake()
	select {
	case <-felt:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready says why the agent doesn't do its work yet, or any more; nil when it
// does.
func (a *Agent) Ready() error {
	if err := a.failure(); err != nil {
		return err
	}
	if !a.ready.Load() {
		return errors.New("the agent is starting or stopping")
	}
	return nil
}

// Status tells how the agent and its slots stand.
func (a *Agent) Status(ctx context.Context) (report.Document, error) {
	a.mu.Lock()
	d, loadedAt, loadErr, reasons := a.declared, a.loadedAt, a.loadErr, maps.Clone(a.reasons)
	unread, badRows := maps.Clone(a.unread), maps.Clone(a.badRows)
	a.mu.Unlock()
	policies := slices.Clip(d.policies)
	for _, slot := range a.leavingSlots() {
		policies = append(policies, d.known(slot).Policy)
	}
	doc, err := report.Build(ctx, report.Source{Agent: d.process.agent.ID, Version: a.opt.Version,
		Journal: a.journal, Policies: policies, BadRows: badRows}, a.client.Now())
	if err != nil {
		return doc, err
	}
	for i := range doc.Slots {
		explain(&doc.Slots[i], reasons[doc.Slots[i].Slot], unread[doc.Slots[i].Slot])
		doc.Slots[i].Used(a.engine.Listed(policies[i].AccountID))
	}
	doc.Running = true
	doc.Credential = a.credentialStatus(d.process.qualytics.Credential)
	if end, known := a.client.CredentialExpires(); known && !end.IsZero() {
		warn := end.Add(-d.ownLead())
		doc.CredentialExpiresAt, doc.Credential.WarnAt = &end, &warn
	}
	doc.Declaration = &report.Declaration{LoadedAt: loadedAt.UTC()}
	if loadErr != nil {
		doc.Declaration.Error = loadErr.Error()
	}
	if held := a.engine.Held(); held.Reason != "" {
		doc.Held = &report.Held{Until: held.Until.UTC(), Reason: held.Reason}
	}
	return doc, nil
}
