// Package report tells people and programs how the slots stand. It reads the
// journal and the declaration, never the stores or Qualytics, and holds no
// secret. A running agent, a stopped agent's journal, the status page and the
// metrics all tell the same [Document].
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
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
	// Credential is set by a running agent.
	Credential *Credential `json:"credential,omitempty"`
	// Paused are the pauses in force that concern a slot, the first one first.
	Paused []rotation.PauseStatus `json:"paused,omitempty"`
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

// Credential says with which credential of its own the agent works.
type Credential struct {
	// From is where the one in use was read, or, before the first call, where it
	// is declared to stand.
	From string `json:"from"`
	// Slot is the declared slot that it is the token of, when the agent rotates
	// it.
	Slot string `json:"slot,omitempty"`
	// Since is when it came into use; nil before the first call.
	Since *time.Time `json:"since,omitempty"`
	// WarnAt is when its end becomes a problem; nil is thirty days before.
	WarnAt *time.Time `json:"warn_at,omitempty"`
	// Error is why what stands at its place isn't in use; "" when it is, and
	// before the first call.
	Error string `json:"error,omitempty"`
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
	return []rotation.SlotState{rotation.SlotBlocked, rotation.SlotPaused, rotation.SlotNew, rotation.SlotIssuing,
		rotation.SlotDelivering, rotation.SlotCurrent, rotation.SlotRemoved}
}

// Reader is what a Document needs of a [rotation.Journal].
type Reader interface {
	// Slots yields every record. One that can't be read comes as its Slot
	// with a rotation.BadRow, and the others follow.
	Slots(ctx context.Context) iter.Seq2[rotation.Record, error]
	// Account fails with rotation.ErrNoRecord when nothing is stored under
	// the name, and with a rotation.BadRow when it can't be read.
	Account(ctx context.Context, id string) (rotation.AccountRecord, error)
	// OpenRequests returns what operators asked for and isn't carried out yet;
	// pauses are among it. A rotation.BadRow may come beside them.
	OpenRequests(ctx context.Context) ([]rotation.Request, error)
}

// Source is what a Document is made from.
type Source struct {
	// Agent and Version are told as they are.
	Agent, Version string
	Journal        Reader
	// Policies are the declared slots, and those that aren't any more at which
	// something is still to be done.
	Policies []rotation.Policy
	// BadRows are what passes found in the journal that can't be read, by
	// slot; Build finds those of slots and accounts by itself. nil is none.
	BadRows map[string]*rotation.BadRow
}

// Build reads the journal's record of every declared slot. A slot without a
// record is new; one whose record can't be read is blocked, and says which
// place. Build fails when the journal can't be read at all or ctx is done;
// there is no half Document. What only a running agent knows (Running, Held,
// Declaration, Credential, CredentialExpiresAt) is left for the caller to fill in.
func Build(ctx context.Context, source Source, now time.Time) (Document, error) {
	doc := Document{Agent: source.Agent, Version: source.Version, Now: now.UTC(),
		Counts: make(map[rotation.SlotState]int), Slots: make([]rotation.Status, len(source.Policies))}
	for _, state := range States() {
		doc.Counts[state] = 0
	}
	b := builder{source: source, doc: &doc, accounts: make(map[string]account), places: make(map[string]int, len(source.Policies))}
	for i, policy := range source.Policies {
		b.places[policy.Slot] = i
	}
	if err := b.slots(ctx); err != nil {
		return Document{}, fmt.Errorf("read the journal: %w", err)
	}
	if err := b.requests(ctx); err != nil {
		return Document{}, fmt.Errorf("read the journal: %w", err)
	}
	for _, status := range doc.Slots {
		doc.count(status)
	}
	return doc, nil
}

// builder fills the slots of a Document in.
type builder struct {
	source   Source
	doc      *Document
	accounts map[string]account
	places   map[string]int // of the slots that are still to be told
}

type account struct {
	record rotation.AccountRecord
	bad    *rotation.BadRow
}

// slots goes through the whole journal once, then tells the slots that have no
// record.
func (b *builder) slots(ctx context.Context) error {
	for record, err := range b.source.Journal.Slots(ctx) {
		var bad *rotation.BadRow
		if err != nil && !errors.As(err, &bad) {
			return err
		}
		if err := b.tell(ctx, record, bad); err != nil {
			return err
		}
	}
	for _, policy := range b.source.Policies {
		if err := b.tell(ctx, rotation.Record{Slot: policy.Slot}, nil); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// requests tells what operators asked for that is in force. A row that can't be
// read is its slot's to tell: the slot's pass is stopped by it.
func (b *builder) requests(ctx context.Context) error {
	open, err := b.source.Journal.OpenRequests(ctx)
	if err != nil && !errors.Is(err, rotation.ErrBadRow) {
		return err
	}
	open = slices.DeleteFunc(open, func(q rotation.Request) bool { return q.Kind != rotation.RequestPause })
	for i := range b.doc.Slots {
		b.doc.Slots[i].Heed(open)
		for _, p := range b.doc.Slots[i].Paused {
			if !slices.ContainsFunc(b.doc.Paused, func(known rotation.PauseStatus) bool { return known.Request == p.Request }) {
				b.doc.Paused = append(b.doc.Paused, p)
			}
		}
	}
	slices.SortFunc(b.doc.Paused, func(a, b rotation.PauseStatus) int { return cmp.Compare(a.Request, b.Request) })
	return nil
}

// tell fills one slot in, if it is declared and not told yet.
func (b *builder) tell(ctx context.Context, record rotation.Record, bad *rotation.BadRow) error {
	place, declared := b.places[record.Slot]
	if !declared {
		return nil
	}
	delete(b.places, record.Slot)
	policy := b.source.Policies[place]
	account, err := b.account(ctx, policy.AccountID)
	if err != nil {
		return err
	}
	for _, known := range []*rotation.BadRow{account.bad, b.source.BadRows[record.Slot]} {
		if bad == nil {
			bad = known
		}
	}
	if bad != nil {
		b.doc.Slots[place] = rotation.DescribeBadRow(bad, policy)
		return nil
	}
	status := rotation.Describe(record, account.record, policy)
	if e, ever := rotation.DescribeEmergency(record, policy, b.doc.Now); ever && !e.Over {
		status.Emergency = &e
	}
	b.doc.Slots[place] = status
	return nil
}

// account reads an account once.
func (b *builder) account(ctx context.Context, id string) (account, error) {
	if known, ok := b.accounts[id]; ok {
		return known, nil
	}
	var a account
	var err error
	a.record, err = b.source.Journal.Account(ctx, id)
	if err != nil && !errors.Is(err, rotation.ErrNoRecord) && !errors.As(err, &a.bad) {
		return a, fmt.Errorf("account %s: %w", id, err)
	}
	b.accounts[id] = a
	return a, nil
}

func (d *Document) count(status rotation.Status) {
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
