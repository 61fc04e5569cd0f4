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

// row is a record to be stored.
type row struct {
	key      string
	revision int64
	body     []byte
}

// stored is a record as it stands there.
type stored struct{ key, revision, body cell }

var errName = errors.New("a record needs a name, of valid UTF-8 without NUL")

// usable reports whether name comes back as it was stored, from any database.
func usable(name string) bool { return name != "" && name == clean(name) }

// put stores r in place of the revision before it: compare and set.
func (t table) put(w *writing, r row, fence int64) error {
	if !usable(r.key) {
		return errName
	}
	query := t.update()
	if r.revision == 1 {
		query = t.insert()
	}
	res, err := w.exec(query, r.key, r.revision, fence, string(r.body))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("%s %q at revision %d: %w", t.name, r.key, r.revision-1, rotation.ErrStale)
}

func (t table) insert() string {
	return fmt.Sprintf("INSERT INTO %s (%s, revision, fence, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", t.name, t.key)
}

func (t table) update() string {
	return fmt.Sprintf("UPDATE %s SET revision = $2, fence = $3, body = $4 WHERE %s = $1 AND revision = $2 - 1", t.name, t.key)
}

func (t table) selectOne() string {
	return fmt.Sprintf("SELECT revision, body FROM %s WHERE %s = $1", t.name, t.key)
}

func (t table) selectPage() string {
	return fmt.Sprintf("SELECT %[1]s, revision, body FROM %[2]s WHERE %[1]s > $1 ORDER BY %[1]s LIMIT $2", t.key, t.name)
}

// get reads the record of key, or sql.ErrNoRows.
func (t table) get(ctx context.Context, db *sql.DB, key string) (stored, error) {
	s := stored{key: cell{key}}
	err := db.QueryRowContext(ctx, t.selectOne(), key).Scan(&s.revision, &s.body)
	return s, err
}

// page reads the first records behind key, which is a key as it was stored.
func (t table) page(ctx context.Context, db *sql.DB, after any) ([]stored, error) {
	rows, err := db.QueryContext(ctx, t.selectPage(), after, pageSize)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	page := make([]stored, 0, pageSize)
	for rows.Next() {
		var s stored
		if err := rows.Scan(&s.key, &s.revision, &s.body); err != nil {
			return nil, err
		}
		page = append(page, s)
	}
	return page, rows.Err()
}

// maxRevision is far above what any journal reaches, and can still be counted
// up.
const maxRevision = 1 << 62

// decode reads s into rec, which is to be thrown away on an error, and returns
// its revision. named is the name in rec, check says what else is wrong with
// it. An error is a [rotation.BadRow].
func (t table) decode(s stored, rec any, named *string, check func() (string, error)) (revision int64, err error) {
	key, err := s.key.name()
	if err != nil { // nobody asks for it by name
		return 0, badRow(t.name, fmt.Sprint(s.key.value), t.key, "", err)
	}
	l := line{table: t.name, key: key}
	revision = take(&l, "revision", s.revision.number)
	if l.err == nil && (revision < 1 || revision > maxRevision) {
		l.err = badRow(t.name, key, "revision", "", fmt.Errorf("it is %d", revision))
	}
	body := take(&l, "body", s.body.text)
	if l.err != nil {
		return 0, l.err
	}
	field, err := decode(body, rec)
	if err == nil {
		field, err = check()
	}
	if err == nil && *named != key {
		field, err = t.key, fmt.Errorf("it is the record of %q", *named)
	}
	if err != nil {
		return 0, badRow(t.name, key, "body", field, err)
	}
	return revision, nil
}

func decodeSlot(s stored) (rotation.Record, error) {
	var rec rotation.Record
	revision, err := slots.decode(s, &rec, &rec.Slot, rec.Check)
	if err != nil {
		name, _ := s.key.name()
		return rotation.Record{Slot: name}, err
	}
	rec.Revision = revision
	return rec, nil
}

func decodeAccount(s stored) (rotation.AccountRecord, error) {
	var rec rotation.AccountRecord
	revision, err := accounts.decode(s, &rec, &rec.ID, rec.Check)
	if err != nil {
		name, _ := s.key.name()
		return rotation.AccountRecord{ID: name}, err
	}
	rec.Revision = revision
	return rec, nil
}

// Slot implements [rotation.Journal]. A record that can't be read is
// rotation.ErrBadRow.
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
// rotation.ErrBadRow.
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
// may be in or not. A record that can't be read comes as its Slot, which may be
// "", with rotation.ErrBadRow, and the loop may go on to the next; any other
// error is the last.
func (j *Journal) Slots(ctx context.Context) iter.Seq2[rotation.Record, error] {
	return func(yield func(rotation.Record, error) bool) {
		const op = "list slots in journal"
		for after := any(""); ; {
			var page []stored
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
			after = page[len(page)-1].key.value
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
	return j.writeFenced(ctx, op, func(w *writing) error {
		if err := t.put(w, r, j.fence); err != nil {
			return err
		}
		if err := j.addEvent(w, event); err != nil {
			return err
		}
		if r.revision%pruneEvery != 0 {
			return nil
		}
		return j.prune(w, event)
	})
}
