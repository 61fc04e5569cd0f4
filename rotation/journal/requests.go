package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/handover-agent/handover/rotation"
)

const (
	insertRequest = `INSERT INTO requests (kind, slot, reason, actor, at, outcome)
		VALUES ($1, $2, $3, $4, $5, '') RETURNING id`
	selectRequest = `SELECT id, kind, slot, reason, actor, at, closed_at, outcome FROM requests `
	closeRequest  = `UPDATE requests SET closed_at = $2, outcome = $3 WHERE id = $1 AND closed_at IS NULL`
)

var errRequest = errors.New("a request needs a kind and a slot")

// AddRequest implements [rotation.Journal]. The request gets its ID, the time
// if it has none, and is open. It is no matter of the lease: a request is a
// wish, and whoever holds the lease serves it.
func (j *Journal) AddRequest(ctx context.Context, q rotation.Request) (rotation.Request, error) {
	const op = "add request to journal"
	if !usable(string(q.Kind)) || !usable(q.Slot) {
		return q, fail(op, j.path, nil, errRequest)
	}
	stored := q
	stored.Reason, stored.Actor = clean(q.Reason), clean(q.Actor)
	stored.ClosedAt, stored.Outcome = time.Time{}, ""
	if q.At.IsZero() {
		stored.At = j.opt.Now()
	}
	stored.At = stored.At.Round(0).UTC()
	at, err := encodeTime(stored.At)
	if err != nil {
		return q, fail(op, j.path, nil, err)
	}
	err = j.write(ctx, op, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, insertRequest, string(stored.Kind), stored.Slot, stored.Reason, stored.Actor, at).Scan(&stored.ID)
	})
	if err != nil {
		return q, err
	}
	return stored, nil
}

// Requests implements [rotation.Journal].
func (j *Journal) Requests(ctx context.Context, slot string) (open []rotation.Request, err error) {
	err = j.read(ctx, "list requests in journal", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, selectRequest+"WHERE slot = $1 AND closed_at IS NULL ORDER BY id", slot)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			q, err := scanRequest(rows)
			if err != nil {
				return err
			}
			open = append(open, q)
		}
		return rows.Err()
	})
	return open, err
}

// Request implements [rotation.Journal].
func (j *Journal) Request(ctx context.Context, id int64) (q rotation.Request, err error) {
	err = j.read(ctx, fmt.Sprintf("read request %d in journal", id), func(db *sql.DB) error {
		q, err = scanRequest(db.QueryRowContext(ctx, selectRequest+"WHERE id = $1", id))
		return err
	})
	return q, err
}

// CloseRequest implements [rotation.Journal]. An ID that was never given out is
// ErrNoRecord.
func (j *Journal) CloseRequest(ctx context.Context, id int64, outcome string) error {
	op := fmt.Sprintf("close request %d in journal", id)
	now, err := encodeTime(j.opt.Now())
	if err != nil {
		return fail(op, j.path, nil, err)
	}
	return j.writeFenced(ctx, op, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, closeRequest, id, now, clean(outcome))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var known int64
		err = tx.QueryRowContext(ctx, "SELECT id FROM requests WHERE id = $1", id).Scan(&known)
		if errors.Is(err, sql.ErrNoRows) {
			return rotation.ErrNoRecord
		}
		return err
	})
}

// scanner is a row, or the rows that stand on one.
type scanner interface{ Scan(into ...any) error }

func scanRequest(from scanner) (rotation.Request, error) {
	var (
		q        rotation.Request
		kind, at string
		closed   sql.NullString
	)
	if err := from.Scan(&q.ID, &kind, &q.Slot, &q.Reason, &q.Actor, &at, &closed, &q.Outcome); err != nil {
		return q, err
	}
	q.Kind = rotation.RequestKind(kind)
	var err error
	if q.At, err = time.Parse(stamp, at); err != nil {
		return q, badRow("requests", fmt.Sprint(q.ID), err)
	}
	if !closed.Valid {
		return q, nil
	}
	if q.ClosedAt, err = time.Parse(stamp, closed.String); err != nil {
		return q, badRow("requests", fmt.Sprint(q.ID), err)
	}
	return q, nil
}
