package journal

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dialect is what one database does its own way.
type dialect struct {
	// steps holds the migrations, in folder: "0001_first.sql" and on, without
	// a gap. A release that stores what an earlier one would lose adds a
	// step, if only an empty one, so that the earlier refuses the journal. One
	// that drops a field takes it out of the stored records by a step: a name
	// that no field has is taken for a hand's mistake.
	steps  fs.FS
	folder string
	// tables lists the names of the tables.
	tables string
	// check fails with ErrCorrupt when what is stored isn't sound.
	check func(ctx context.Context, db *sql.DB, path string) error
	// hold is put behind a SELECT whose row must not change until the end of
	// the transaction: " FOR SHARE" in PostgreSQL. In SQLite a writing
	// transaction is alone.
	hold string
}

// files lists the migrations in order; the version of a schema is how many
// were applied.
func (d dialect) files() ([]string, error) {
	names, err := fs.Glob(d.steps, d.folder+"/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", name, i+1)
		}
	}
	return names, nil
}

// version is the version of the stored schema; 0 in an empty database. A
// database with other tables is ErrForeign, a version that this release
// doesn't know ErrNewer.
func (d dialect) version(ctx context.Context, db *sql.DB) (int, error) {
	tables, err := column[string](ctx, db, d.tables)
	if err != nil || len(tables) == 0 {
		return 0, err
	}
	if !slices.Contains(tables, "schema_version") {
		return 0, because(ErrForeign, "it has a table %q", tables[0])
	}
	versions, err := column[int](ctx, db, "SELECT version FROM schema_version ORDER BY version DESC LIMIT 1")
	if err != nil {
		return 0, err
	}
	if len(versions) == 0 {
		return 0, because(ErrForeign, "its table schema_version is empty")
	}
	files, err := d.files()
	if err == nil && versions[0] > len(files) {
		err = because(ErrNewer, "its version is %d, this release knows up to %d", versions[0], len(files))
	}
	return versions[0], err
}

// migrate applies what is missing, each step in a transaction of its own, and
// returns how many those were.
func (d dialect) migrate(ctx context.Context, db *sql.DB, now time.Time) (int, error) {
	version, err := d.version(ctx, db)
	if err != nil {
		return 0, err
	}
	files, err := d.files()
	if err != nil {
		return 0, err
	}
	missing := files[version:]
	for i, name := range missing {
		if err := d.step(ctx, db, name, version+i+1, now); err != nil {
			return i, fmt.Errorf("migration %s: %w", path.Base(name), err)
		}
	}
	return len(missing), nil
}

func (d dialect) step(ctx context.Context, db *sql.DB, name string, version int, now time.Time) error {
	text, err := fs.ReadFile(d.steps, name)
	if err != nil {
		return err
	}
	at, err := encodeTime(now)
	if err != nil {
		return err
	}
	return transact(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO schema_version (version, applied_at) VALUES ($1, $2)", version, at)
		return err
	})
}

// column returns the one column that query selects.
func column[T any](ctx context.Context, db *sql.DB, query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
