package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

const (
	insertRequest = `INSERT INTO requests (kind, slot, reason, actor, at, revoke_first, deadline, token_id, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '') RETURNING id`
	selectRequest = `SELECT id, kind, slot, reason, actor, at, revoke_first, deadline, token_id, closed_at, outcome
		FROM requests `
	openRequests = selectRequest + "WHERE slot IN ($1, $2, $3) AND closed_at IS NULL"
	allOpen      = selectRequest + "WHERE closed_at IS NULL"
	oneRequest   = selectRequest + "WHERE id = $1"
	closeRequest = `UPDATE requests SET closed_at = $2, outcome = $3 WHERE id = $1 AND closed_at IS NULL`
)

// AddRequest implements [rotation.Journal] as AddRequests does. When it fails
// it returns q as it was.
func (j *Journal) AddRequest(ctx context.Context, q rotation.Request) (rotation.Request, error) {
	stored, err := j.AddRequests(ctx, []rotation.Request{q})
	if err != nil {
		return q, err
	}
	return stored[0], nil
}

// AddRequests implements [rotation.Journal], with one wait for the disk. Each
// request gets its ID, the time if it has none, and is open. It is no matter of
// the lease: a request is a wish, and whoever holds the lease serves it.
func (j *Journal) AddRequests(ctx context.Context, list []rotation.Request) ([]rotation.Request, error) {
	const op = "add requests to journal"
	stored := make([]rotation.Request, len(list))
	for i, q := range list {
		if err := q.Check(); err != nil {
			return nil, fail(op, j.path, nil, err)
		}
		q.Reason, q.Actor = clean(q.Reason), clean(q.Actor)
		q.ClosedAt, q.Outcome = time.Time{}, ""
		if q.At.IsZero() {
			q.At = j.opt.Now()
		}
		q.At = q.At.Round(0).UTC()
		stored[i] = q
	}
	err := j.write(ctx, op, func(w *writing) error {
		for i := range stored {
			if err := addRequest(w, &stored[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// addRequest stores q and gives it its ID.
func addRequest(w *writing, q *rotation.Request) error {
	at, err := encodeTime(q.At)
	if err != nil {
		return err
	}
	first := 0
	if q.RevokeFirst {
		first = 1
	}
	return w.row(insertRequest, string(q.Kind), q.Slot, q.Reason, q.Actor, at, first, int64(q.Deadline), q.TokenID).Scan(&q.ID)
}

// Requests implements [rotation.Journal].
func (j *Journal) Requests(ctx context.Context, slot string) ([]rotation.Request, error) {
	scopes := rotation.Scopes(slot)
	open, err := j.requests(ctx, openRequests, scopes[0], scopes[1], scopes[2])
	if err != nil { // what can't be read may be a pause
		return nil, err
	}
	return open, nil
}

// OpenRequests implements [rotation.Journal].
func (j *Journal) OpenRequests(ctx context.Context) ([]rotation.Request, error) {
	return j.requests(ctx, allOpen)
}

// requests are those that a query finds, by rising ID: there are few, and SQLite
// would sort them for each pass. Beside a rotation.ErrBadRow, which names the
// first that can't be read, there are the others.
func (j *Journal) requests(ctx context.Context, query string, args ...any) (open []rotation.Request, err error) {
	err = j.read(ctx, "list requests in journal", func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		var bad error
		for rows.Next() {
			switch q, err := scanRequest(rows); {
			case err == nil:
				open = append(open, q)
			case !errors.Is(err, rotation.ErrBadRow):
				return err
			case bad == nil:
				bad = err
			}
		}
		return cmp.Or(rows.Err(), bad)
	})
	slices.SortFunc(open, func(a, b rotation.Request) int { return cmp.Compare(a.ID, b.ID) })
	return open, err
}

// Request implements [rotation.Journal].
func (j *Journal) Request(ctx context.Context, id int64) (q rotation.Request, err error) {
	err = j.read(ctx, fmt.Sprintf("read request %d in journal", id), func(db *sql.DB) error {
		q, err = scanRequest(db.QueryRowContext(ctx, oneRequest, id))
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
	return j.writeFenced(ctx, op, func(w *writing) error {
		res, err := w.exec(closeRequest, id, now, clean(outcome))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var known int64
		err = w.row("SELECT id FROM requests WHERE id = $1", id).Scan(&known)
		if errors.Is(err, sql.ErrNoRows) {
			return rotation.ErrNoRecord
		}
		return err
	})
}

// scanner is a row, or the rows that stand on one.
type scanner interface{ Scan(into ...any) error }

func scanRequest(from scanner) (rotation.Request, error) {
	var id int64 // the row's own number: always one
	var kind, slot, reason, actor, at, first, deadline, token, closed, outcome cell
	err := from.Scan(&id, &kind, &slot, &reason, &actor, &at, &first, &deadline, &token, &closed, &outcome)
	if err != nil {
		return rotation.Request{}, err
	}
	l := line{table: "requests", key: fmt.Sprint(id)}
	q := rotation.Request{ID: id, Kind: rotation.RequestKind(take(&l, "kind", kind.text)), Slot: take(&l, "slot", slot.text),
		Reason: take(&l, "reason", reason.text), Actor: take(&l, "actor", actor.text), At: take(&l, "at", at.moment),
		RevokeFirst: take(&l, "revoke_first", first.number) != 0, Deadline: time.Duration(take(&l, "deadline", deadline.number)),
		TokenID: take(&l, "token_id", token.number), Outcome: take(&l, "outcome", outcome.text)}
	if closed.value != nil {
		q.ClosedAt = take(&l, "closed_at", closed.moment)
	}
	if l.err == nil && !q.Kind.Known() {
		l.err = badRow(l.table, l.key, "kind", "", fmt.Errorf("there is no kind %q", q.Kind))
	}
	return q, l.err
}
