package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
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

func (j *Journal) addEvent(w *writing, e rotation.Event) error {
	if e.At.IsZero() {
		e.At = j.opt.Now()
	}
	at, err := encodeTime(e.At)
	if err != nil {
		return err
	}
	_, err = w.exec(insertEvent, at, e.Slot, e.Account, string(e.Act), string(e.Reason), clean(e.Actor),
		int64(e.Generation), e.TokenID, clean(e.Target), string(e.Fingerprint), clean(e.Detail))
	return err
}

// prune deletes the oldest events of the slot, or of the account where no slot
// is named, beyond those that are kept.
func (j *Journal) prune(w *writing, e rotation.Event) error {
	if j.opt.KeepEvents < 0 {
		return nil
	}
	where, key := ofSlot, e.Slot
	if e.Slot == "" {
		where, key = ofAccount, e.Account
	}
	_, err := w.exec(pruneQuery(where), key, j.opt.KeepEvents, pruneMost)
	return err
}

// Whose history is cut.
const (
	ofSlot    = "slot = $1"
	ofAccount = "slot = '' AND account = $1"
)

func pruneQuery(where string) string {
	return fmt.Sprintf(`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE %[1]s AND id <=
		(SELECT id FROM events WHERE %[1]s ORDER BY id DESC LIMIT 1 OFFSET $2) ORDER BY id LIMIT $3)`, where)
}

// History implements [rotation.Journal]. Events that can't be read are left
// out: the others come with rotation.ErrBadRow, which names the first.
func (j *Journal) History(ctx context.Context, filter rotation.HistoryFilter) (events []rotation.Event, err error) {
	query, args, err := historyQuery(filter)
	if err == nil {
		err = j.read(ctx, "read history in journal", func(db *sql.DB) error {
			events, err = scanEvents(ctx, db, query, args)
			return err
		})
	}
	slices.SortFunc(events, func(a, b rotation.Event) int { return cmp.Compare(a.ID, b.ID) })
	return events, err
}

// historyQuery selects the newest events first: by their IDs or, where a time
// alone is asked for, by their times, for those have an index. The two differ
// where a clock was set back.
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
	order := "id DESC"
	if f.Slot == "" && !f.Since.IsZero() {
		order = "at DESC, id DESC"
	}
	and("ORDER BY "+order+" LIMIT $%d", limit)
	return query, args, nil
}

// scanEvents reads all events that can be read; err then names the first that
// can't.
func scanEvents(ctx context.Context, db *sql.DB, query string, args []any) (events []rotation.Event, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var bad error
	for rows.Next() {
		e, err := scanEvent(rows)
		switch {
		case err == nil:
			events = append(events, e)
		case !errors.Is(err, rotation.ErrBadRow):
			return nil, err
		case bad == nil:
			bad = err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return events, bad
}

func scanEvent(from scanner) (rotation.Event, error) {
	var id int64 // the row's own number: always one
	var at, slot, account, act, reason, actor, generation, token, target, printed, detail cell
	err := from.Scan(&id, &at, &slot, &account, &act, &reason, &actor, &generation, &token, &target, &printed, &detail)
	if err != nil {
		return rotation.Event{}, err
	}
	l := line{table: "events", key: fmt.Sprint(id)}
	e := rotation.Event{ID: id, At: take(&l, "at", at.moment), Slot: take(&l, "slot", slot.text), Account: take(&l, "account", account.text),
		Act: rotation.Act(take(&l, "act", act.text)), Reason: rotation.Reason(take(&l, "reason", reason.text)),
		Actor: take(&l, "actor", actor.text), Generation: uint64(take(&l, "generation", generation.number)),
		TokenID: take(&l, "token_id", token.number), Target: take(&l, "target", target.text),
		Fingerprint: secret.Fingerprint(take(&l, "fingerprint", printed.text)), Detail: take(&l, "detail", detail.text)}
	return e, l.err
}
