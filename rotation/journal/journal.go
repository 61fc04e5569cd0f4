// Package journal keeps the engine's memory in a SQLite file: records of slots
// and accounts, the history, operators' requests, and the fence.
//
// A commit that returned nil is on the disk: write-ahead log, synchronous
// FULL. One process writes at a time. It holds a flock on "<file>.lock" from
// Open to Close, and a fence, raised by Open, that each commit compares in its
// own transaction: if the lock fails (a network file system that doesn't
// share it), the later writer wins and the earlier one gets
// [rotation.ErrFenced].
//
// The SQL is that of SQLite and of PostgreSQL both; what differs stands in
// type dialect and in the folder of migrations.
//
// A Journal may be opened, used and closed inside a testing/synctest bubble,
// all three in the same one: database/sql starts a goroutine in Open that ends
// in Close, and file access isn't a wait that synctest sees. The one sleep is
// SQLite's, while another process keeps the file locked.
package journal

import (
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Journal is a journal file that is open. It is safe for concurrent use.
// [Open] and [OpenReadOnly] make one.
type Journal struct {
	path    string
	opt     Options
	dialect dialect
	// fence is the value that this journal raised the fence to.
	fence int64
	// writer has one connection, readers a few. writer is nil in a journal
	// that was opened for reading.
	writer, readers *sql.DB
	// pin is a reader that stays open and idle. As long as there is one,
	// SQLite keeps the -wal file in its place, whatever happens to the other
	// connections.
	pin   *sql.Conn
	place place
	lock  *lock
	// remove deletes the private copy that is read, where there is one.
	remove func()

	// statements are the writer's, ready to run, by their text.
	statements map[string]*sql.Stmt
	queue      queue

	// mu is held shared by each act and alone by Close.
	mu     sync.RWMutex
	closed bool
}

var _ rotation.Journal = (*Journal)(nil)

// Options are the settings of Open. The zero value is ready to use.
type Options struct {
	// Process names this run of the agent, in the lock file and the fence.
	Process string
	// Now is the time of requests and events that come without one; nil is
	// time.Now.
	Now func() time.Time
	// Log gets what a person should know of opening; nil is silence.
	Log *slog.Logger
	// KeepEvents is how many events are kept of each slot, and of each
	// account, at least; 0 is 1,000, below 0 keeps all. Up to pruneEvery
	// more may stand.
	KeepEvents int
}

const (
	opOpen     = "open journal"
	folderMode = 0o700
	fileMode   = 0o600
	// defaultKeep is some fifty rotations.
	defaultKeep = 1000
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeepEvents == 0 {
		o.KeepEvents = defaultKeep
	}
	return o
}

// Fence is the value of the fence that this journal writes under.
func (j *Journal) Fence() int64 { return j.fence }

// Path is the file, with symbolic links resolved.
func (j *Journal) Path() string { return j.path }

// Close waits for acts that are under way, closes the file and frees the lock.
// A second call does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if j.pin != nil {
		keep(j.pin.Close())
	}
	if j.readers != nil {
		keep(j.readers.Close())
	}
	if j.writer != nil { // last: it folds the log into the file
		keep(j.writer.Close())
	}
	if j.lock != nil { // after the file: the next agent may open it at once
		j.lock.release()
	}
	j.remove()
	if first != nil {
		return fail("close journal", j.path, nil, first)
	}
	return nil
}

// enter holds off Close until leave is called.
func (j *Journal) enter(op string) (leave func(), err error) {
	j.mu.RLock()
	if j.closed {
		j.mu.RUnlock()
		return nil, &Error{Op: op, Path: j.path, Kind: ErrClosed}
	}
	return j.mu.RUnlock, nil
}
