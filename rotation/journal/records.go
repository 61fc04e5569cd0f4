package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/handover-agent/handover/rotation"
)

// pageSize is how many records Slots holds at a time.
const pageSize = 200

// table is one of the two tables of records, which differ in their names.
type table struct{ name, key string }

var (
	slots    = table{name: "slots", key: "slot"}
	accounts = table{name: "accounts", key: "id"}
)

// row is a stored record.
type row struct {
	key      string
	revision int64
	body     []byte
}

var errName = errors.New("a record needs a name, of valid UTF-8 without NUL")

// usable reports whether name comes back as it was stored, from any database.
func usable(name string) bool { return name != "" && name == clean(name) }

// put stores r in place of the revision before it: compare and set.
func (t table) put(ctx context.Context, tx *sql.Tx, r row, fence int64) error {
	if !usable(r.key) {
		return errName
	}
	query := fmt.Sprintf("UPDATE %s SET revision = $2, fence = $3, body = $4 WHERE %s = $1 AND revision = $2 - 1", t.name, t.key)
	if r.revision == 1 {
		query = fmt.Sprintf("INSERT INTO %s (%s, revision, fence, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", t.name, t.key)
	}
	res, err := tx.ExecContext(ctx, query, r.key, r.revision, fence, string(r.body))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("%s %q at revision %d: %w", t.name, r.key, r.revision-1, rotation.ErrStale)
}

// get reads the record of key, or sql.ErrNoRows.
func (t table) get(ctx context.Context, db *sql.DB, key string) (row, error) {
	r := row{key: key}
	query := fmt.Sprintf("SELECT revision, body FROM %s WHERE %s = $1", t.name, t.key)
	err := db.QueryRowContext(ctx, query, key).Scan(&r.revision, &r.body)
	return r, err
}

// page reads the first records behind key.
func (t table) page(ctx context.Context, db *sql.DB, after string) ([]row, error) {
	query := fmt.Sprintf("SELECT %[1]s, revision, body FROM %[2]s WHERE %[1]s > $1 ORDER BY %[1]s LIMIT $2", t.key, t.name)
	rows, err := db.QueryContext(ctx, query, after, pageSize)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	page := make([]row, 0, pageSize)
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.key, &r.revision, &r.body); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// decode reads the body of r into rec, which is to be thrown away on an error.
func (t table) decode(r row, rec any) error {
	if err := json.Unmarshal(r.body, rec); err != nil {
		return badRow(t.name, r.key, err)
	}
	if r.revision < 1 {
		return badRow(t.name, r.key, fmt.Errorf("revision %d", r.revision))
	}
	return nil
}

func decodeSlot(r row) (rotation.Record, error) {
	var rec rotation.Record
	err := slots.decode(r, &rec)
	if err == nil && rec.Slot != r.key {
		err = badRow(slots.name, r.key, fmt.Errorf("it is the record of %q", rec.Slot))
	}
	if err != nil {
		return rotation.Record{Slot: r.key}, err
	}
	rec.Revision = r.revision
	return rec, nil
}

func decodeAccount(r row) (rotation.AccountRecord, error) {
	var rec rotation.AccountRecord
	err := accounts.decode(r, &rec)
	if err == nil && rec.ID != r.key {
		err = badRow(accounts.name, r.key, fmt.Errorf("it is the record of %q", rec.ID))
	}
	if err != nil {
		return rotation.AccountRecord{ID: r.key}, err
	}
	rec.Revision = r.revision
	return rec, nil
}

// Slot implements [rotation.Journal]. A record that can't be read is
// ErrCorrupt.
func (j *Journal) Slot(ctx context.Context, slot string) (rec rotation.Record, err error) {
	err = j.read(ctx, "read slot "+slot+" in journal", func(db *sql.DB) error {
		r, err := slots.get(ctx, db, slot)
		if err != nil {
			return err
		}
		rec, err = decodeSlot(r)
		return err
	})
	return rec, err
}

// Account implements [rotation.Journal]. A record that can't be read is
// ErrCorrupt.
func (j *Journal) Account(ctx context.Context, id string) (rec rotation.AccountRecord, err error) {
	err = j.read(ctx, "read account "+id+" in journal", func(db *sql.DB) error {
		r, err := accounts.get(ctx, db, id)
		if err != nil {
			return err
		}
		rec, err = decodeAccount(r)
		return err
	})
	return rec, err
}

// Slots implements [rotation.Journal]. It reads pages of 200 and holds nothing
// open while it yields: the loop may commit, and what others commit meanwhile
// may be in or not. A record that can't be read comes as its Slot with
// ErrCorrupt, and the loop may go on to the next; any other error is the last.
func (j *Journal) Slots(ctx context.Context) iter.Seq2[rotation.Record, error] {
	return func(yield func(rotation.Record, error) bool) {
		const op = "list slots in journal"
		for after := ""; ; {
			var page []row
			err := j.read(ctx, op, func(db *sql.DB) (err error) {
				page, err = slots.page(ctx, db, after)
				return err
			})
			if err != nil {
				yield(rotation.Record{}, err)
				return
			}
			for _, r := range page {
				rec, err := decodeSlot(r)
				if err != nil {
					err = fail(op, j.path, nil, err)
				}
				if !yield(rec, err) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			after = page[len(page)-1].key
		}
	}
}

// Commit implements [rotation.Journal]. When it fails it returns rec as it
// was. The event gets its ID, and the time if it has none.
func (j *Journal) Commit(ctx context.Context, rec rotation.Record, event rotation.Event) (rotation.Record, error) {
	err := j.commit(ctx, slots, rec.Slot, rec.Revision, rec, event)
	if err == nil {
		rec.Revision++
	}
	return rec, err
}

// CommitAccount implements [rotation.Journal] as Commit does.
func (j *Journal) CommitAccount(ctx context.Context, rec rotation.AccountRecord, event rotation.Event) (rotation.AccountRecord, error) {
	err := j.commit(ctx, accounts, rec.ID, rec.Revision, rec, event)
	if err == nil {
		rec.Revision++
	}
	return rec, err
}

func (j *Journal) commit(ctx context.Context, t table, key string, revision int64, rec any, event rotation.Event) error {
	op := "commit " + t.name + " " + key + " to journal"
	body, err := json.Marshal(rec)
	if err != nil {
		return fail(op, j.path, nil, err)
	}
	r := row{key: key, revision: revision + 1, body: body}
	return j.writeFenced(ctx, op, func(tx *sql.Tx) error {
		if err := t.put(ctx, tx, r, j.fence); err != nil {
			return err
		}
		if err := j.addEvent(ctx, tx, event); err != nil {
			return err
		}
		if r.revision%pruneEvery != 0 {
			return nil
		}
		return j.prune(ctx, tx, event)
	})
}
