package journal

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const (
	// pruneEvery is after how many commits of a record its history is cut.
	pruneEvery = 32
	// pruneMost is the most events that one cut deletes, so that no commit
	// pays for years. It is above pruneEvery: cuts catch up.
	pruneMost = 256
	// defaultLimit is rotation.HistoryFilter's.
	defaultLimit = 100
)

// stamp is a time as text that sorts.
const stamp = "2006-01-02T15:04:05.000000000Z"

// encodeTime writes t in UTC. Years beyond 9999 would not sort.
func encodeTime(t time.Time) (string, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return "", fmt.Errorf("the year %d can't be stored", y)
	}
	return t.Format(stamp), nil
}

// clean makes text that every database stores: UTF-8 without NUL.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

const insertEvent = `INSERT INTO events
	(at, slot, account, act, reason, actor, generation, token_id, target, fingerprint, detail)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

func (j *Journal) addEvent(ctx context.Context, tx *sql.Tx, e rotation.Event) error {
	if e.At.IsZero() {
		e.At = j.opt.Now()
	}
	at, err := encodeTime(e.At)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, insertEvent, at, e.Slot, e.Account, string(e.Act), string(e.Reason), clean(e.Actor),
		int64(e.Generation), e.TokenID, clean(e.Target), string(e.Fingerprint), clean(e.Detail))
	return err
}

// prune deletes the oldest events of the slot, or of the account where no slot
// is named, beyond those that are kept.
func (j *Journal) prune(ctx context.Context, tx *sql.Tx, e rotation.Event) error {
	if j.opt.KeepEvents < 0 {
		return nil
	}
	where, key := "slot = $1", e.Slot
	if e.Slot == "" {
		where, key = "slot = '' AND account = $1", e.Account
	}
	query := fmt.Sprintf(`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE %[1]s AND id <=
		(SELECT id FROM events WHERE %[1]s ORDER BY id DESC LIMIT 1 OFFSET $2) ORDER BY id LIMIT $3)`, where)
	_, err := tx.ExecContext(ctx, query, key, j.opt.KeepEvents, pruneMost)
	return err
}

// History implements [rotation.Journal].
func (j *Journal) History(ctx context.Context, filter rotation.HistoryFilter) (events []rotation.Event, err error) {
	query, args, err := historyQuery(filter)
	if err == nil {
		err = j.read(ctx, "read history in journal", func(db *sql.DB) error {
			events, err = scanEvents(ctx, db, query, args)
			return err
		})
	}
	slices.Reverse(events)
	return events, err
}

// historyQuery selects the newest events first.
func historyQuery(f rotation.HistoryFilter) (string, []any, error) {
	query, args := `SELECT id, at, slot, account, act, reason, actor, generation, token_id, target, fingerprint, detail
		FROM events WHERE 1 = 1`, []any(nil)
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += fmt.Sprintf(" "+condition, len(args))
	}
	if f.Slot != "" {
		and("AND slot = $%d", f.Slot)
	}
	if !f.Since.IsZero() {
		since, err := encodeTime(f.Since)
		if err != nil {
			return "", nil, err
		}
		and("AND at >= $%d", since)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	and("ORDER BY id DESC LIMIT $%d", limit)
	return query, args, nil
}

func scanEvents(ctx context.Context, db *sql.DB, query string, args []any) ([]rotation.Event, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var events []rotation.Event
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

func scanEvent(rows *sql.Rows) (rotation.Event, error) {
	var (
		e                        rotation.Event
		at, act, reason, printed string
		generation               int64
	)
	err := rows.Scan(&e.ID, &at, &e.Slot, &e.Account, &act, &reason, &e.Actor, &generation, &e.TokenID, &e.Target, &printed, &e.Detail)
	if err != nil {
		return e, err
	}
	e.Act, e.Reason, e.Fingerprint = rotation.Act(act), rotation.Reason(reason), secret.Fingerprint(printed)
	e.Generation = uint64(generation)
	if e.At, err = time.Parse(stamp, at); err != nil {
		return e, badRow("events", fmt.Sprint(e.ID), err)
	}
	return e, nil
}
