package journal

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// What differs between the databases stands in this file.

//go:embed migrations
var migrations embed.FS

// sqliteDialect is SQLite's.
var sqliteDialect = dialect{
	steps:  migrations,
	folder: "migrations/sqlite",
	tables: "SELECT name FROM sqlite_master WHERE type = 'table'",
	check:  quickCheck,
}

// readerConns is how many may read at once.
const readerConns = 2

// busyTimeout, in milliseconds, is how long a foreign program, such as a
// sqlite3 shell, may keep the file locked before an act fails.
const busyTimeout = "busy_timeout(5000)"

// Sizes: a page cache of 2 MiB for the writer and 1 MiB for each reader; a
// write-ahead log that is cut back to 4 MiB.
var (
	writerQuery = url.Values{
		"_txlock": {"immediate"}, // no lock to upgrade, so no ErrBusy in mid-act
		"_pragma": {busyTimeout, "synchronous(FULL)", "foreign_keys(1)", "cache_size(-2048)", "journal_size_limit(4194304)"},
		"_dqs":    {"0"},
		// An error's text is that of its own result code.
		"_error_rc": {"1"},
	}
	readerQuery = url.Values{
		"_pragma":   {busyTimeout, "query_only(1)", "cache_size(-1024)"},
		"_dqs":      {"0"},
		"_error_rc": {"1"},
	}
)

// connect prepares a pool whose connections stay open once they are. The file
// is opened by the first use.
func connect(path string, query url.Values, conns int) (*sql.DB, error) {
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// pin takes a connection of the pool for itself. The read makes SQLite open
// the write-ahead log, which it does late.
func pin(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var value int64
	if err := conn.QueryRowContext(ctx, readFence, fenceName).Scan(&value); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// useWAL switches the file to a write-ahead log, for good.
func useWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("its file system can't hold a write-ahead log (journal mode %q): put it on a local disk", mode)
	}
	return nil
}

// wholeCheck is the size, in bytes, up to which a file is checked as a whole.
// Beyond it the history is left out: no act depends on what it says, and it
// may be a hundred times as large as all else.
const wholeCheck = 8 << 20

// quickCheck fails with ErrCorrupt unless the pages of the file are sound. It
// doesn't compare indexes with their tables.
func quickCheck(ctx context.Context, db *sql.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() <= wholeCheck {
		return checkTable(ctx, db, "1")
	}
	for _, table := range []string{"slots", "accounts", "requests", "fence", "schema_version"} {
		if err := checkTable(ctx, db, table); err != nil {
			return err
		}
	}
	return nil
}

// checkTable asks for the first fault of a table; of all for "1".
func checkTable(ctx context.Context, db *sql.DB, table string) error {
	var fault string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check("+table+")").Scan(&fault); err != nil {
		return err
	}
	if fault != "ok" {
		return because(ErrCorrupt, "%s", fault)
	}
	return nil
}
