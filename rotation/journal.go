package rotation

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Journal is the engine's memory. A commit that returned nil survives a crash
// of the process and of the machine. Implementations are safe for concurrent
// use.
type Journal interface {
	// Slot returns the record, or ErrNoRecord, or a BadRow.
	Slot(ctx context.Context, slot string) (Record, error)
	// Slots yields every record, in order of Slot, holding few at a time. One
	// that can't be read comes as its Slot with a BadRow, and the next follow.
	Slots(ctx context.Context) iter.Seq2[Record, error]
	// Commit stores rec and event in one transaction, if the stored revision
	// is still rec.Revision (0: there is none yet), and returns rec with the
	// new revision. ErrStale: another writer was first. ErrFenced: this
	// journal's lease is over.
	Commit(ctx context.Context, rec Record, event Event) (Record, error)
	// Account, CommitAccount are the same for accounts.
	Account(ctx context.Context, id string) (AccountRecord, error)
	CommitAccount(ctx context.Context, rec AccountRecord, event Event) (AccountRecord, error)
	// AddRequest stores an operator's request and returns it with its ID and
	// time; IDs rise and are never used again.
	AddRequest(ctx context.Context, request Request) (Request, error)
	// AddRequests is AddRequest for many: in one transaction, all or none, in
	// their order. One that can't be taken refuses all.
	AddRequests(ctx context.Context, requests []Request) ([]Request, error)
	// Requests returns the open requests that concern the slot, by rising ID:
	// its own, and the pauses of its account and of the whole agent.
	Requests(ctx context.Context, slot string) ([]Request, error)
	// OpenRequests returns all open requests, by rising ID. Those that can't be
	// read are left out, and a BadRow names the first beside the others.
	OpenRequests(ctx context.Context) ([]Request, error)
	// Request returns one request, or ErrNoRecord.
	Request(ctx context.Context, id int64) (Request, error)
	// CloseRequest marks a request as done with its outcome. Closing it
	// again changes nothing.
	CloseRequest(ctx context.Context, id int64, outcome string) error
	// History returns the newest events that match, oldest first. Those that
	// can't be read are left out, and a BadRow names the first beside the
	// others.
	History(ctx context.Context, filter HistoryFilter) ([]Event, error)
}

// The kinds of errors of a Journal.
var (
	// ErrNoRecord: nothing is stored under that name.
	ErrNoRecord = errors.New("no record")
	// ErrStale: the record was changed since it was read.
	ErrStale = errors.New("the record was changed by another writer")
	// ErrFenced: another process holds the journal with a higher fence.
	ErrFenced = errors.New("the lease on the journal is over")
)

// Event is one line of history: an act, when, why, by whom, on what. It holds
// ids and fingerprints, never values.
type Event struct {
	ID          int64              `json:"id"`
	At          time.Time          `json:"at"`
	Slot        string             `json:"slot,omitempty"`
	Account     string             `json:"account,omitempty"`
	Act         Act                `json:"act"`
	Reason      Reason             `json:"reason,omitempty"`
	Actor       string             `json:"actor"`
	Generation  uint64             `json:"generation,omitempty"`
	TokenID     int64              `json:"token_id,omitempty"`
	Target      string             `json:"target,omitempty"`
	Fingerprint secret.Fingerprint `json:"fingerprint,omitempty"`
	Detail      string             `json:"detail,omitempty"`
}

// HistoryFilter chooses events. Zero fields match all.
type HistoryFilter struct {
	Slot  string
	Since time.Time
	// Limit is the most events to return; 0 is 100.
	Limit int
}
