// Package report tells people and programs how the slots stand. It reads the
// journal and the declaration, never the stores or Qualytics, and holds no
// secret. A running agent, a stopped agent's journal, the status page and the
// metrics all tell the same [Document].
package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Document is the answer of `handover status -o json` and /api/v1/status. Its
// "slots" are a contract (design.md, "The command line").
type Document struct {
	// Agent is the agent's id, as in every label.
	Agent string `json:"agent"`
	// Version is the program's.
	Version string `json:"version,omitempty"`
	// Now is when the document was made, in the API's time, UTC. All that is
	// relative refers to it.
	Now time.Time `json:"now"`
	// Running: a running agent made it. Else a command read the journal.
	Running bool `json:"running"`
	// Held is set while calls to Qualytics wait.
	Held *Held `json:"held,omitempty"`
	// Declaration is set by a running agent.
	Declaration *Declaration `json:"declaration,omitempty"`
	// CredentialExpiresAt is the end of the agent's own credential, nil when
	// it is not known or never.
	CredentialExpiresAt *time.Time `json:"credential_expires_at,omitempty"`
	// Counts is how many slots are in each state; every state has an entry.
	Counts map[rotation.SlotState]int `json:"counts"`
	// Unclaimed counts the tokens that wait for `resume --adopt` or their end.
	Unclaimed int `json:"unclaimed"`
	// Slots are the declared slots, in the declaration's order.
	Slots []rotation.Status `json:"slots"`
}

// Held says until when no call is made to Qualytics, and why.
type Held struct {
	Until  time.Time       `json:"until"`
	Reason rotation.Reason `json:"reason"`
}

// Declaration says which declaration is in force.
type Declaration struct {
	// LoadedAt is when the one in force was loaded.
	LoadedAt time.Time `json:"loaded_at"`
	// Error is why a later reload failed; "" when none did.
	Error string `json:"error,omitempty"`
}

// States are the states of a slot, in the order in which they are told.
func States() []rotation.SlotState {
	return []rotation.SlotState{rotation.SlotBlocked, rotation.SlotNew, rotation.SlotIssuing,
		rotation.SlotDelivering, rotation.SlotCurrent}
}

// Reader is what a Document needs of a [rotation.Journal]. Both methods fail
// with rotation.ErrNoRecord when nothing is stored under the name.
type Reader interface {
	Slot(ctx context.Context, slot string) (rotation.Record, error)
	Account(ctx context.Context, id string) (rotation.AccountRecord, error)
}

// Source is what a Document is made from.
type Source struct {
	// Agent and Version are told as they are.
	Agent, Version string
	Journal        Reader
	// Policies are the declared slots.
	Policies []rotation.Policy
}

// Build reads the journal's record of every declared slot. A slot without a
// record is new. It fails when the journal can't be read or ctx is done; there
// is no half Document. What only a running agent knows (Running, Held,
// Declaration, CredentialExpiresAt) is left for the caller to fill in.
func Build(ctx context.Context, source Source, now time.Time) (Document, error) {
	doc := Document{Agent: source.Agent, Version: source.Version, Now: now.UTC(),
		Counts: make(map[rotation.SlotState]int), Slots: make([]rotation.Status, 0, len(source.Policies))}
	for _, state := range States() {
		doc.Counts[state] = 0
	}
	accounts := make(map[string]rotation.AccountRecord)
	for _, policy := range source.Policies {
		if err := ctx.Err(); err != nil {
			return Document{}, fmt.Errorf("read the journal: %w", err)
		}
		account, known := accounts[policy.AccountID]
		if !known {
			var err error
			account, err = source.Journal.Account(ctx, policy.AccountID)
			if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
				return Document{}, fmt.Errorf("read the journal: account %s: %w", policy.AccountID, err)
			}
			accounts[policy.AccountID] = account
		}
		record, err := source.Journal.Slot(ctx, policy.Slot)
		if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
			return Document{}, fmt.Errorf("read the journal: slot %s: %w", policy.Slot, err)
		}
		doc.add(rotation.Describe(record, account, policy))
	}
	return doc, nil
}

func (d *Document) add(status rotation.Status) {
	d.Slots = append(d.Slots, status)
	d.Counts[status.State]++
	for _, token := range status.Retired {
		if token.State == rotation.Unclaimed {
			d.Unclaimed++
		}
	}
}

// Filter chooses slots. Zero fields match all.
type Filter struct {
	State rotation.SlotState
	// Text is a part of the slot's name, or of a target's "backend/path";
	// upper and lower case are the same.
	Text string
}

// Matches reports whether the filter chooses the slot.
func (f Filter) Matches(status rotation.Status) bool {
	if f.State != "" && f.State != status.State {
		return false
	}
	if f.Text == "" || contains(status.Slot, f.Text) {
		return true
	}
	for _, target := range status.Targets {
		if contains(target.Backend+"/"+target.Path, f.Text) {
			return true
		}
	}
	return false
}

// Select returns the slots that the filter chooses, in their order.
func (d Document) Select(filter Filter) []rotation.Status {
	chosen := make([]rotation.Status, 0, len(d.Slots))
	for _, status := range d.Slots {
		if filter.Matches(status) {
			chosen = append(chosen, status)
		}
	}
	return chosen
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
