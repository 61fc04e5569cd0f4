package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/rotation"
)

// write does act in a transaction that can't be told from a single instant.
// Callers that wait at the same time share one, and with it the wait for the
// disk; the act of each takes place or fails by itself. An error means that
// nothing was stored. One exception: a disk that fails in the very commit may
// have stored it; the next commit then gets ErrStale. A ctx that ends while the
// act waits for its turn ends the wait; an act that began is not cut off.
func (j *Journal) write(ctx context.Context, op string, do func(w *writing) error) error {
	leave, err := j.enter(op)
	if err != nil {
		return err
	}
	defer leave()
	if j.writer == nil {
		return fail(op, j.path, ErrReadOnly, errors.New("it was opened for reading"))
	}
	if err := j.together(&act{ctx: ctx, do: do, ended: make(chan struct{})}); err != nil {
		return fail(op, j.path, nil, ended(ctx, err))
	}
	return nil
}

// writeFenced is write for what only the holder of the lease may do.
func (j *Journal) writeFenced(ctx context.Context, op string, do func(w *writing) error) error {
	return j.write(ctx, op, func(w *writing) error {
		if err := w.fence(); err != nil {
			return err
		}
		return do(w)
	})
}

// ended makes the end of ctx show in an error that it caused: database/sql and
// SQLite tell of a transaction that is done, or of an interrupt.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

func transact(ctx context.Context, db *sql.DB, act func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := act(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// read does a short act on the readers.
func (j *Journal) read(ctx context.Context, op string, act func(*sql.DB) error) error {
	leave, err := j.enter(op)
	if err != nil {
		return err
	}
	defer leave()
	err = ended(ctx, act(j.readers))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fail(op, j.path, nil, rotation.ErrNoRecord)
	case j.writer != nil: // a reader that opens late finds what stands there now
		if removed := j.place.check(); removed != nil {
			return fail(op, j.path, nil, removed)
		}
	}
	return fail(op, j.path, nil, err)
}
