package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/handover-agent/handover/rotation"
)

// The kinds of errors of opening and of writing a journal, beside those of
// package rotation. Each comes in an [*Error].
var (
	// ErrNoJournal: there is no file, and this caller doesn't make one.
	ErrNoJournal = errors.New("there is no journal")
	// ErrLocked: another agent runs on this file.
	ErrLocked = errors.New("another agent holds it")
	// ErrNewer: a later release wrote it. It was left as it was.
	ErrNewer = errors.New("a newer release wrote it")
	// ErrOlder: an earlier release wrote it, and this caller doesn't write.
	ErrOlder = errors.New("an older release wrote it")
	// ErrCorrupt: it isn't what was once written.
	ErrCorrupt = errors.New("it is corrupted")
	// ErrForeign: it is a database, and not a journal.
	ErrForeign = errors.New("it is the database of another program")
	// ErrReadOnly: the file or its folder can't be written.
	ErrReadOnly = errors.New("it can't be written")
	// ErrDenied: the operating system keeps this user from it.
	ErrDenied = errors.New("permission denied")
	// ErrFull: no space is left, or a quota is used up.
	ErrFull = errors.New("the disk is full")
	// ErrRemoved: the file that this journal opened is gone from its place,
	// or another one stands there. What is committed now would be lost.
	ErrRemoved = errors.New("it was removed or replaced")
	// ErrBusy: another program kept it locked for longer than busyTimeout.
	ErrBusy = errors.New("another program keeps it locked")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("it was closed")
)

// advice says what to do, by kind.
var advice = map[error]string{
	ErrNoJournal: "start the agent once, or name the right file in state.sqlite",
	ErrLocked:    "stop that agent first, or name another file in state.sqlite",
	ErrNewer:     "install the release that wrote it, or a later one",
	ErrOlder:     "start the agent once, so that it brings the journal up to date",
	ErrCorrupt: "move the file and its -wal and -shm away and start again; the agent rebuilds it " +
		"from Qualytics and the stores, and no access is lost",
	ErrForeign:  "name another file in state.sqlite",
	ErrReadOnly: "make the folder and the file writable for the agent's user, on a file system that isn't mounted read-only",
	ErrDenied:   "run as the agent's user, and let it own the file and its -wal and -shm",
	ErrFull:     "free some space; nothing of this act was stored",
	ErrRemoved:  "restart the agent; it opens what is there, or rebuilds it",
	ErrBusy:     "close the program that has the file open, such as a sqlite3 shell",
	rotation.ErrBadRow: "mend that place, or delete the row: the agent makes a slot's or an account's anew " +
		"from Qualytics and the stores",
}

// Error is what opening and writing fail with. It unwraps to its Kind and Err.
type Error struct {
	// Op is what was tried: "open journal".
	Op string
	// Path is the file.
	Path string
	// Kind is one of this package's kinds; nil when none fits.
	Kind error
	// Err is the cause; nil when the kind says all.
	Err error
}

// Error names the act, the file, the kind, the cause and what to do.
func (e *Error) Error() string {
	text := e.Op + " " + e.Path
	if e.Kind != nil {
		text += ": " + e.Kind.Error()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if todo := advice[e.Kind]; todo != "" {
		text += "; " + todo
	}
	return text
}

// Unwrap serves errors.Is by kind and errors.As by cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// because is an error of a kind, whose act and file are named further up, by
// fail.
func because(kind error, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// fail names the act and the file of err, once. A nil kind is found by kindOf.
func fail(op, path string, kind, err error) error {
	var known *Error
	if errors.As(err, &known) {
		if known.Op != "" {
			return err
		}
		kind, err = known.Kind, known.Err
	}
	var file *fs.PathError
	if errors.As(err, &file) && file.Path == path { // the path is in the message
		err = file.Err
	}
	if kind == nil {
		kind = kindOf(err)
	}
	return &Error{Op: op, Path: path, Kind: kind, Err: err}
}

// kindOf classifies an error of SQLite or of the operating system; nil when no
// kind fits.
func kindOf(err error) error {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		if lite.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
			return ErrFull
		}
		return kinds[lite.Code()&0xff]
	}
	for cause, kind := range systemKinds {
		if errors.Is(err, cause) {
			return kind
		}
	}
	return nil
}

// kinds maps the primary result codes of SQLite (sqlite.org/rescode.html). A
// full disk is SQLITE_FULL whatever the file system said, but for a log's index
// that can't be made: that is SQLITE_IOERR_SHMSIZE.
var kinds = map[int]error{
	sqlite3.SQLITE_CORRUPT:  ErrCorrupt,
	sqlite3.SQLITE_NOTADB:   ErrCorrupt,
	sqlite3.SQLITE_FULL:     ErrFull,
	sqlite3.SQLITE_READONLY: ErrReadOnly,
	sqlite3.SQLITE_PERM:     ErrDenied,
	sqlite3.SQLITE_AUTH:     ErrDenied,
	sqlite3.SQLITE_CANTOPEN: ErrDenied,
	sqlite3.SQLITE_BUSY:     ErrBusy,
	sqlite3.SQLITE_LOCKED:   ErrBusy,
}

var systemKinds = map[error]error{
	syscall.ENOSPC:  ErrFull,
	syscall.EDQUOT:  ErrFull,
	syscall.EROFS:   ErrReadOnly,
	syscall.EACCES:  ErrReadOnly,
	syscall.EPERM:   ErrReadOnly,
	syscall.ENOTDIR: ErrReadOnly,
	syscall.EISDIR:  ErrReadOnly,
	syscall.ELOOP:   ErrReadOnly,
	fs.ErrNotExist:  ErrNoJournal,
}
