package agent

import (
	"context"
	"errors"

	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/rotation/journal"
)

// Plan tells what an agent with these options would do now. It changes nothing
// and takes no lease, so it works beside a running agent. Of the options it
// uses Declaration, Version, Log and Transport.
func Plan(ctx context.Context, opt Options) (made plan.Plan, err error) {
	d, log := opt.Declaration, opt.logger()
	source := plan.Source{Log: log}
	read, err := journal.OpenReadOnly(ctx, d.State.SQLite)
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, read.Close()) }()
		source.Journal = read
	case !errors.Is(err, journal.ErrNoJournal):
		return made, err
	}
	opened, err := open(ctx, d, opt.Version, log)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	client, err := newClient(opt, d, log, opened.lendOwn)
	if err != nil {
		return made, err
	}
	defer client.Close()
	source.API = client
	for _, p := range opened.policies {
		slot, _ := opened.slot(p.Slot)
		source.Slots = append(source.Slots, slot)
	}
	return plan.Make(ctx, source)
}
