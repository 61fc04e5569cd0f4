package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// event passes on what the engine committed.
func (a *Agent) event(e rotation.Event) {
	a.metrics.Event(e)
	a.notifier.Event(e)
	a.logEvent(e)
	if e.Act == rotation.ActEmergencyOver {
		a.measure(e.Slot)
	}
	if a.opt.OnEvent != nil {
		a.opt.OnEvent(e)
	}
}

// measure tells the metrics how long an emergency took that is over.
func (a *Agent) measure(slot string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	record, err := a.journal.Slot(ctx, slot)
	if err != nil {
		a.log.Warn("emergency not measured", "slot", slot, "error", err)
		return
	}
	e, _ := rotation.DescribeEmergency(record, rotation.Policy{}, a.client.Now())
	if e.RevokedAfter != nil {
		a.metrics.Emergency(time.Duration(*e.RevokedAfter * float64(time.Second)))
	}
}

// quiet are the acts of which there are many and that change nothing outside.
var quiet = map[rotation.Act]bool{
	rotation.ActSeen: true, rotation.ActSending: true, rotation.ActProved: true,
	rotation.ActMissing: true, rotation.ActRebuilt: true,
}

func (a *Agent) logEvent(e rotation.Event) {
	level := slog.LevelInfo
	if quiet[e.Act] {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("reason", string(e.Reason))}
	if e.Slot != "" {
		attrs = append(attrs, slog.String("slot", e.Slot))
	}
	if e.Account != "" {
		attrs = append(attrs, slog.String("account", e.Account))
	}
	if e.Generation != 0 {
		attrs = append(attrs, slog.Uint64("generation", e.Generation), slog.Int64("token_id", e.TokenID))
	}
	if e.Target != "" {
		attrs = append(attrs, slog.String("target", e.Target))
	}
	if e.Detail != "" {
		attrs = append(attrs, slog.String("detail", e.Detail))
	}
	a.log.LogAttrs(context.Background(), level, string(e.Act), attrs...)
}
