package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/handover-agent/handover/rotation"
)

// closedFile returns a journal of a few records and a stopped agent.
func closedFile(t *testing.T) string {
	t.Helper()
	path := newPath(t)
	j := mustOpen(t, path, Options{})
	for i := range 300 {
		commit(t, j, slot+strings.Repeat("x", i))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantUntouched runs act and checks that it left the file as it was.
func wantUntouched(t *testing.T, path string, act func()) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	act()
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestCorruptedFile(t *testing.T) {
	damages := map[string]func(content []byte) []byte{
		"garbage":     func([]byte) []byte { return bytes.Repeat([]byte("not a database "), 1000) },
		"truncated":   func(b []byte) []byte { return b[:len(b)/2] },
		"a few bytes": func([]byte) []byte { return []byte("hello") },
		"header": func(b []byte) []byte {
			b[3] ^= 0xff
			return b
		},
		"pages": func(b []byte) []byte {
			for i := 8192; i < len(b); i += 97 {
				b[i] ^= 0xff
			}
			return b
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			path := closedFile(t)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(content), 0o600); err != nil {
				t.Fatal(err)
			}
			wantUntouched(t, path, func() {
				_, err = Open(t.Context(), path, Options{})
				wantKind(t, err, ErrCorrupt, path)
			})
			// What the error says to do.
			if err := os.Rename(path, path+".broken"); err != nil {
				t.Fatal(err)
			}
			commit(t, mustOpen(t, path, Options{}), slot)
		})
	}
}

func TestEmptyFileIsANewJournal(t *testing.T) {
	path := newPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, mustOpen(t, path, Options{}), slot)
}

// change writes into a stopped journal behind the agent's back.
func change(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestJournalOfANewerRelease(t *testing.T) {
	path := closedFile(t)
	change(t, path, "INSERT INTO schema_version VALUES (99, '')")
	wantUntouched(t, path, func() {
		_, err := Open(t.Context(), path, Options{})
		wantKind(t, err, ErrNewer, path)
		_, err = OpenReadOnly(t.Context(), path)
		wantKind(t, err, ErrNewer, path)
	})
}

func TestDatabaseOfAnotherProgram(t *testing.T) {
	for name, statement := range map[string]string{
		"no schema_version": "CREATE TABLE customers (id)",
		"an empty one":      "CREATE TABLE schema_version (version)",
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			change(t, path, statement)
			wantUntouched(t, path, func() {
				_, err := Open(t.Context(), path, Options{})
				wantKind(t, err, ErrForeign, path)
			})
		})
	}
}

// later is a release with one more migration.
func later(next string) dialect {
	d := sqliteDialect
	names, _ := d.files()
	d.folder = "m"
	steps := fstest.MapFS{nextStep(): {Data: []byte(next)}}
	for _, name := range names {
		text, _ := fs.ReadFile(migrations, name)
		steps["m/"+filepath.Base(name)] = &fstest.MapFile{Data: text}
	}
	d.steps = steps
	return d
}

// nextStep is the name of the migration that later adds.
func nextStep() string {
	names, _ := sqliteDialect.files()
	return fmt.Sprintf("m/%04d_next.sql", len(names)+1)
}

func TestMigration(t *testing.T) {
	path := closedFile(t)
	j, err := open(t.Context(), path, Options{}, later("ALTER TABLE slots ADD COLUMN note TEXT; CREATE TABLE more (a)"))
	if err != nil {
		t.Fatal(err)
	}
	wantRevision(t, j, 1)
	if versions, err := column[int](t.Context(), j.readers, "SELECT version FROM schema_version ORDER BY version"); err != nil || nextStep() != fmt.Sprintf("m/%04d_next.sql", len(versions)) {
		t.Errorf("versions %v, %v; want one up to that of %s", versions, err, nextStep())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, Options{})
	wantKind(t, err, ErrNewer, path)
}

func TestMigrationThatFails(t *testing.T) {
	path := closedFile(t)
	_, err := open(t.Context(), path, Options{}, later("CREATE TABLE more (a); CREATE TABLE slots (a)"))
	if err == nil || !strings.Contains(err.Error(), filepath.Base(nextStep())) {
		t.Fatalf("%v, want an error that names the migration", err)
	}
	j := mustOpen(t, path, Options{}) // as it was, and not locked
	wantRevision(t, j, 1)
	if tables, err := column[string](t.Context(), j.readers, "SELECT name FROM sqlite_master WHERE name = 'more'"); err != nil || len(tables) != 0 {
		t.Errorf("half a migration is stored: %v, %v", tables, err)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	for _, name := range []string{"m/0099_gap.sql", "m/x.sql"} {
		d := later("")
		d.steps.(fstest.MapFS)[name] = &fstest.MapFile{}
		delete(d.steps.(fstest.MapFS), nextStep())
		if _, err := d.files(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
}

func TestFolderThatCantBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(file, "folder", "state.db")
	_, err := Open(t.Context(), path, Options{})
	wantKind(t, err, ErrReadOnly, path)
}

func TestPathIsAFolder(t *testing.T) {
	path := newPath(t)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, Options{})
	if err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("%v, want it to say what the path is", err)
	}
}

// TestReadOnlyFolder needs a user who can be kept out; root can't.
func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere; TestErrorsOfTheSystem has the mapping")
	}
	path := closedFile(t)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(path), 0o700) })
	_, err := Open(t.Context(), path, Options{})
	wantKind(t, err, ErrReadOnly, path)
	look, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close() }()
	wantRevision(t, look, 1)
}

// TestWriterOfAReadOnlyFile: SQLite's own refusal in the midst of a run.
func TestWriterOfAReadOnlyFile(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	rec := commit(t, j, slot)
	if _, err := j.writer.Exec("PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	got, err := j.Commit(t.Context(), rec, event(slot))
	wantKind(t, err, ErrReadOnly, j.path)
	if got.Revision != rec.Revision {
		t.Errorf("revision %d after a commit that failed, want %d", got.Revision, rec.Revision)
	}
}

// TestFullDisk gives the file no page more; SQLite answers as it does when the
// file system has none.
func TestFullDisk(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	rec := commit(t, j, slot)
	setLimit := func(pages string) {
		t.Helper()
		if _, err := j.writer.Exec("PRAGMA max_page_count = " + pages); err != nil {
			t.Fatal(err)
		}
	}
	setLimit("1") // it can't be below what there is
	big := event(slot)
	big.Detail = strings.Repeat("x", 1<<20)
	got, err := j.Commit(t.Context(), rec, big)
	wantKind(t, err, ErrFull, j.path)
	if got.Revision != rec.Revision {
		t.Errorf("revision %d after a commit that failed, want %d", got.Revision, rec.Revision)
	}
	wantRevision(t, j, rec.Revision)
	if events, err := j.History(t.Context(), rotation.HistoryFilter{}); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want the one before", len(events), err)
	}
	setLimit("1000000") // room again: it goes on
	if got, err = j.Commit(t.Context(), got, big); err != nil || got.Revision != rec.Revision+1 {
		t.Errorf("revision %d, %v once there is room", got.Revision, err)
	}
}

func TestFileRemovedMidLife(t *testing.T) {
	damages := map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
		"log removed":    func(path string) error { return os.Remove(path + "-wal") },
		"folder renamed": func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "state.db")
			j := mustOpen(t, path, Options{})
			rec := commit(t, j, slot)
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			got, err := j.Commit(t.Context(), rec, event(slot))
			wantKind(t, err, ErrRemoved, j.path)
			if got.Revision != rec.Revision {
				t.Errorf("revision %d after a commit that failed, want %d", got.Revision, rec.Revision)
			}
			_, err = j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
			wantKind(t, err, ErrRemoved, j.path)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			commit(t, mustOpen(t, path, Options{}), slot) // what the error says to do
		})
	}
}

// TestOlderContentMidLife: the file keeps its inode, its content is older.
func TestOlderContentMidLife(t *testing.T) {
	for name, statement := range map[string]string{
		"lower fence": "UPDATE fence SET value = 0",
		"no fence":    "DELETE FROM fence",
	} {
		t.Run(name, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			if _, err := j.writer.Exec(statement); err != nil {
				t.Fatal(err)
			}
			_, err := j.Commit(t.Context(), rotation.Record{Slot: slot}, event(slot))
			wantKind(t, err, ErrRemoved, j.path)
		})
	}
}

// TestKeptLocked: another program holds the file. The commit waits for it, as
// long as its ctx says, and then changes nothing.
func TestKeptLocked(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	if _, err := j.writer.Exec("PRAGMA busy_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	foreign, err := sql.Open("sqlite", "file:"+j.path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Close() }()
	tx, err := foreign.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.Commit(t.Context(), rotation.Record{Slot: slot}, event(slot))
	wantKind(t, err, ErrBusy, j.path)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	commit(t, j, slot)
}
