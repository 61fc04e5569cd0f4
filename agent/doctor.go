package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/agent/doctor"
	"github.com/handover-agent/handover/qualytics"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// Doctor looks at all that an agent with these options needs. It changes nothing
// and takes no lease, so it works beside a running agent. Of the options it uses
// Declaration, Version, Log and Transport. It fails when a backend can't be
// opened as it is declared; everything else is a finding.
func Doctor(ctx context.Context, opt Options) (found doctor.Report, err error) {
	d, log := opt.Declaration, opt.logger()
	opened, err := open(ctx, d, opt.Version, log)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	client, err := newClient(opt, d, log, opened.lendOwn)
	if err != nil {
		return found, err
	}
	defer client.Close()
	memory := &remembered{path: d.State.SQLite}
	defer func() { err = errors.Join(err, memory.close()) }()
	source := doctor.Source{AgentID: d.Agent.ID, API: patient{client}, Journal: memory, CredentialLead: opened.ownLead()}
	for _, p := range opened.policies {
		slot, _ := opened.slot(p.Slot)
		source.Slots = append(source.Slots, slot)
	}
	for _, w := range d.Warnings {
		source.Doubts = append(source.Doubts, fmt.Sprintf("%s:%d:%d: %s", w.File, w.Line, w.Column, w.Message))
	}
	return doctor.Examine(ctx, source), nil
}

// patient is the client as the doctor asks it.
type patient struct{ *qualytics.Client }

// CredentialTrouble is what the client has to tell of its credential.
func (p patient) CredentialTrouble() error { return p.Credential().Trouble }

// Missing compares the agent's calls with the deployment's document.
func (p patient) Missing(ctx context.Context) ([]string, error) {
	document, err := p.OpenAPI(ctx)
	return document.Missing(), err
}

// Teams are the names.
func (p patient) Teams(ctx context.Context) ([]string, error) {
	teams, err := p.Client.Teams(ctx)
	names := make([]string, 0, len(teams))
	for _, t := range teams {
		names = append(names, t.Name)
	}
	return names, err
}

// remembered is the journal as the doctor reads it, opened when it is there.
type remembered struct {
	path string
	read *journal.Journal
}

// Path is where it stands.
func (r *remembered) Path() string { return r.path }

// Inspect looks at the place.
func (r *remembered) Inspect(ctx context.Context) (string, error) {
	seen, err := journal.Inspect(ctx, r.path)
	return seen.Holder, err
}

// Slot reads a record; without a journal there is none. It isn't called by two
// at once.
func (r *remembered) Slot(ctx context.Context, slot string) (rotation.Record, error) {
	if r.read == nil {
		read, err := journal.OpenReadOnly(ctx, r.path)
		if errors.Is(err, journal.ErrNoJournal) {
			return rotation.Record{}, rotation.ErrNoRecord
		}
		if err != nil {
			return rotation.Record{}, err
		}
		r.read = read
	}
	return r.read.Slot(ctx, slot)
}

func (r *remembered) close() error {
	if r.read == nil {
		return nil
	}
	return r.read.Close()
}
