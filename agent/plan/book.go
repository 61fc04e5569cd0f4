package plan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// book is the journal as it is, and as it would be after what the engine has
// committed to it.
type book struct {
	base Journal

	mu       sync.Mutex
	slots    map[string]rotation.Record
	accounts map[string]rotation.AccountRecord
	tokens   map[secret.Fingerprint]int64
}

var _ rotation.Journal = (*book)(nil)

// newBook opens a book over base; nil is an empty journal.
func newBook(base Journal) *book {
	if base == nil {
		base = nothing{}
	}
	return &book{base: base, slots: map[string]rotation.Record{}, accounts: map[string]rotation.AccountRecord{},
		tokens: map[secret.Fingerprint]int64{}}
}

// tokenOf is the number of the token of that fingerprint, if a record that was
// read or committed knows it.
func (b *book) tokenOf(fp secret.Fingerprint) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, ok := b.tokens[fp]
	return id, ok
}

// keep takes a record in. The engine copies what it changes of one.
func (b *book) keep(rec rotation.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slots[rec.Slot] = rec
	for _, g := range rec.Generations {
		if g.Fingerprint != "" {
			b.tokens[g.Fingerprint] = g.TokenID
		}
	}
}

// Slot implements [rotation.Journal].
func (b *book) Slot(ctx context.Context, slot string) (rotation.Record, error) {
	b.mu.Lock()
	rec, ok := b.slots[slot]
	b.mu.Unlock()
	if ok {
		return rec, nil
	}
	rec, err := b.base.Slot(ctx, slot)
	if err == nil {
		b.keep(rec)
	}
	return rec, err
}

// Commit implements [rotation.Journal], in memory.
func (b *book) Commit(ctx context.Context, rec rotation.Record, _ rotation.Event) (rotation.Record, error) {
	rec.Revision++
	b.keep(rec)
	return rec, ctx.Err()
}

// Account implements [rotation.Journal].
func (b *book) Account(ctx context.Context, id string) (rotation.AccountRecord, error) {
	b.mu.Lock()
	rec, ok := b.accounts[id]
	b.mu.Unlock()
	if ok {
		return rec, nil
	}
	return b.base.Account(ctx, id)
}

// CommitAccount implements [rotation.Journal], in memory.
func (b *book) CommitAccount(ctx context.Context, rec rotation.AccountRecord, _ rotation.Event) (rotation.AccountRecord, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rec.Revision++
	b.accounts[rec.ID] = rec
	return rec, ctx.Err()
}

// Requests implements [rotation.Journal]: a plan takes in what an operator has
// asked for and the agent hasn't done yet.
func (b *book) Requests(ctx context.Context, slot string) ([]rotation.Request, error) {
	return b.base.Requests(ctx, slot)
}

// OpenRequests implements [rotation.Journal]: a pass asks for its slot's alone.
func (b *book) OpenRequests(context.Context) ([]rotation.Request, error) { return nil, nil }

// CloseRequest implements [rotation.Journal]. The one pass of a plan remembers
// by itself what it closed.
func (b *book) CloseRequest(context.Context, int64, string) error { return nil }

// What a pass doesn't ask for.

// Slots implements [rotation.Journal] with an error.
func (b *book) Slots(context.Context) iter.Seq2[rotation.Record, error] {
	return func(yield func(rotation.Record, error) bool) { yield(rotation.Record{}, unasked("slots")) }
}

// AddRequest implements [rotation.Journal] with an error.
func (b *book) AddRequest(_ context.Context, r rotation.Request) (rotation.Request, error) {
	return r, unasked("add request")
}

// AddRequests implements [rotation.Journal] with an error.
func (b *book) AddRequests(context.Context, []rotation.Request) ([]rotation.Request, error) {
	return nil, unasked("add requests")
}

// Request implements [rotation.Journal] with an error.
func (b *book) Request(context.Context, int64) (rotation.Request, error) {
	return rotation.Request{}, unasked("request")
}

// History implements [rotation.Journal] with an error.
func (b *book) History(context.Context, rotation.HistoryFilter) ([]rotation.Event, error) {
	return nil, unasked("history")
}

func unasked(what string) error { return fmt.Errorf("%s in a plan: %w", what, errors.ErrUnsupported) }

// nothing is a journal in which nothing stands.
type nothing struct{}

// Slot fails with ErrNoRecord.
func (nothing) Slot(context.Context, string) (rotation.Record, error) {
	return rotation.Record{}, rotation.ErrNoRecord
}

// Account fails with ErrNoRecord.
func (nothing) Account(context.Context, string) (rotation.AccountRecord, error) {
	return rotation.AccountRecord{}, rotation.ErrNoRecord
}

// Requests returns none.
func (nothing) Requests(context.Context, string) ([]rotation.Request, error) { return nil, nil }
