package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/rotation"
)

// write does act in one transaction that can't be told from a single instant.
// An error means that nothing was stored. One exception: a disk that fails in
// the very commit may have stored it; the next commit then gets ErrStale.
func (j *Journal) write(ctx context.Context, op string, act func(*sql.Tx) error) error {
	leave, err := j.enter(op)
	if err != nil {
		return err
	}
	defer leave()
	if j.writer == nil {
		return fail(op, j.path, ErrReadOnly, errors.New("it was opened for reading"))
	}
	if err := j.place.check(op); err != nil {
		return err
	}
	if err := ended(ctx, transact(ctx, j.writer, act)); err != nil {
		return fail(op, j.path, nil, err)
	}
	// Asked again: what went into a removed file is lost.
	return j.place.check(op)
}

// writeFenced is write for what only the holder of the lease may do.
func (j *Journal) writeFenced(ctx context.Context, op string, act func(*sql.Tx) error) error {
	return j.write(ctx, op, func(tx *sql.Tx) error {
		if err := j.checkFence(ctx, tx); err != nil {
			return err
		}
		return act(tx)
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
		if removed := j.place.check(op); removed != nil {
			return removed
		}
	}
	return fail(op, j.path, nil, err)
}
