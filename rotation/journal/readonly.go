package journal

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
)

// OpenReadOnly opens the journal at path to look at, beside a running agent or
// without one. It takes no lock, makes no file beside it and writes nothing;
// acts that would write fail with ErrReadOnly. Beside a running agent it sees
// each commit; of an agent that is stopped it sees what stood there at
// opening, so open it for one look. Kinds: ErrNoJournal, ErrNewer, ErrOlder,
// ErrCorrupt, ErrForeign, ErrDenied.
func OpenReadOnly(ctx context.Context, path string) (*Journal, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fail(opOpen, path, nil, err)
	}
	for {
		road, err := roadTo(path)
		if errors.Is(err, os.ErrPermission) {
			return nil, fail(opOpen, path, ErrDenied, err)
		}
		if err != nil {
			return nil, fail(opOpen, path, nil, err)
		}
		j, err := look(ctx, path, road, sqliteDialect)
		if err == nil {
			return j, nil
		}
		// An agent that starts or stops meanwhile takes the road away.
		if now, _ := roadTo(path); now == road || ctx.Err() != nil {
			return nil, fail(opOpen, path, nil, err)
		}
	}
}

// road is how a file can be read without a trace, which depends on the files
// beside it.
type road string

const (
	// still: no -wal file, so nobody writes, and the file holds all. Opened
	// in any other way SQLite makes the two files beside it, and a root who
	// looks would leave them to an agent that can't open them.
	still road = "still"
	// shared: the agent runs, or was killed. Its index is read, not made.
	shared road = "shared"
	// copied: a -wal file without an index, as a backup holds it. SQLite
	// would make the index: it does so beside a private copy.
	copied road = "copied"
)

// roadTo chooses by the files that are there.
func roadTo(path string) (road, error) {
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	wal, err := os.Stat(path + "-wal")
	if errors.Is(err, os.ErrNotExist) || err == nil && wal.Size() == 0 {
		return still, nil
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path + "-shm"); errors.Is(err, os.ErrNotExist) {
		return copied, nil
	}
	return shared, nil
}

func look(ctx context.Context, path string, r road, d dialect) (_ *Journal, err error) {
	j := &Journal{path: path, opt: Options{}.withDefaults(), dialect: d, remove: func() {}}
	defer func() {
		if err != nil {
			_ = j.Close()
		}
	}()
	query := url.Values{"mode": {"ro"}}
	for key, values := range readerQuery {
		query[key] = values
	}
	switch r {
	case still:
		query.Set("immutable", "1")
	case shared:
		query.Set("readonly_shm", "1")
	case copied:
		if path, err = j.copyAside(); err != nil {
			return nil, err
		}
	}
	if j.readers, err = connect(path, query, readerConns); err != nil {
		return nil, err
	}
	version, err := j.dialect.version(ctx, j.readers)
	if err != nil {
		return nil, err
	}
	files, err := j.dialect.files()
	switch {
	case err != nil:
		return nil, err
	case version == 0:
		return nil, because(ErrNoJournal, "the file is empty")
	case version < len(files):
		return nil, because(ErrOlder, "its version is %d, this release reads %d", version, len(files))
	}
	return j, nil
}

// copyAside copies the file and its log into a folder of their own, until
// Close.
func (j *Journal) copyAside() (string, error) {
	folder, err := os.MkdirTemp("", "handover-journal-")
	if err != nil {
		return "", err
	}
	j.remove = func() { _ = os.RemoveAll(folder) }
	path := filepath.Join(folder, "journal.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(path+suffix, j.path+suffix); err != nil {
			return "", err
		}
	}
	return path, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
