package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Open opens the journal at path for the one agent that writes it, and makes
// file (0600) and folder (0700) where they are missing. It takes the lock,
// checks what is stored, brings the schema up to date and raises the fence.
// Kinds: ErrLocked, ErrNewer, ErrCorrupt, ErrForeign, ErrReadOnly, ErrDenied,
// ErrFull, ErrBusy. A journal that it refuses is left as it was.
func Open(ctx context.Context, path string, opt Options) (*Journal, error) {
	return open(ctx, path, opt, sqliteDialect)
}

func open(ctx context.Context, path string, opt Options, d dialect) (_ *Journal, err error) {
	path, err = prepare(path)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, opt: opt.withDefaults(), dialect: d, remove: func() {}, queue: queue{turn: make(chan struct{}, 1)}}
	if j.lock, err = acquire(path, note(opt.Process)); err != nil {
		return nil, err
	}
	if err = j.start(ctx); err != nil {
		_ = j.Close()
		return nil, fail(opOpen, path, nil, err)
	}
	return j, nil
}

// note is what another agent is told that finds the lock taken.
func note(process string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := fmt.Sprintf("process %d on host %s", os.Getpid(), host)
	if process != "" {
		text += " (" + process + ")"
	}
	return text
}

// prepare makes the folder and returns the one name of the file, so that two
// roads to one file lead to one lock.
func prepare(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fail(opOpen, path, nil, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return "", fail(opOpen, path, nil, err)
	}
	target, err := resolve(path)
	if err != nil {
		return "", fail(opOpen, path, nil, err)
	}
	return target, nil
}

// resolve follows symbolic links to the file, or to its folder as long as the
// file isn't there.
func resolve(path string) (string, error) {
	if _, err := os.Lstat(path); err == nil {
		return filepath.EvalSymlinks(path)
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(folder, filepath.Base(path)), err
}

// start opens the file, which nobody else has open. Everything that can refuse
// it comes before anything is written.
func (j *Journal) start(ctx context.Context) error {
	if err := create(j.path); err != nil {
		return err
	}
	var err error
	if j.writer, err = connect(j.path, writerQuery, 1); err != nil {
		return err
	}
	if err := j.dialect.check(ctx, j.writer, j.path); err != nil {
		return err
	}
	if _, err := j.dialect.version(ctx, j.writer); err != nil {
		return err
	}
	if err := useWAL(ctx, j.writer); err != nil {
		return err
	}
	steps, err := j.dialect.migrate(ctx, j.writer, j.opt.Now())
	if err != nil {
		return err
	}
	if j.fence, err = raiseFence(ctx, j.writer, j.opt.Process); err != nil {
		return err
	}
	if j.statements, err = prepared(ctx, j.writer, readFence+j.dialect.hold, slots.insert(), slots.update(), accounts.insert(), accounts.update(),
		insertEvent, insertRequest, closeRequest, savepoint, release); err != nil {
		return err
	}
	if j.readers, err = connect(j.path, readerQuery, readerConns+1); err != nil {
		return err
	}
	if j.pin, err = pin(ctx, j.readers); err != nil {
		return err
	}
	if j.place, err = placeOf(j.path); err != nil {
		return err
	}
	j.opt.Log.Info("journal open", "path", j.path, "fence", j.fence, "migrations", steps)
	return nil
}

// create makes the file, with its mode, unless it is there. A file that is
// there isn't opened beside SQLite: closing it would end the locks that this
// process has on it.
func create(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file; name another file in state.sqlite")
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	return file.Close()
}
