package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// stateFile is the store on disk: a header, then one change a line, in JSON.
// It is rewritten as a whole, atomically and with fsync, when the server
// starts and ends and when it has outgrown its content; between, each change
// is one write at the end. It is not safe for concurrent use.
type stateFile struct {
	path string
	file *os.File
	// size is how much of the file counts, base the size after the last
	// rewriting.
	size, base int64
	// used is the last_used that the file has.
	used map[int64]time.Time
	// broken is why nothing more can be written.
	broken error
}

const (
	// stateVersion is the form of the file.
	stateVersion = 1
	// stateMode lets the owner alone read: the keys are in it.
	stateMode = 0o600
	// maxLine bounds a line, in bytes: more than the longest body can make.
	maxLine = 4 * maxBody
	// slack is how much a file may grow beyond twice its content, in bytes.
	slack = 1 << 20
)

// header is the first line.
type header struct {
	Version int  `json:"handover_sim"`
	Keys    keys `json:"keys"`
}

// openStore reads the state file, or starts anew when there is none or it is
// empty. "" is a store in memory.
func openStore(path string) (*store, error) {
	if path == "" {
		return newStore(newKeys()), nil
	}
	st, err := readState(path)
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w", path, err)
	}
	st.file = &stateFile{path: path}
	if err := st.file.rewrite(st); err != nil {
		return nil, err
	}
	return st, nil
}

// close writes everything a last time.
func (st *store) close() error {
	if st.file == nil {
		return nil
	}
	err := errors.Join(st.file.rewrite(st), st.file.file.Close())
	st.file.broken = errors.New("write state: the server is closed")
	return err
}

func readState(path string) (*store, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newStore(newKeys()), nil
	}
	if err != nil {
		return nil, errors.Unwrap(err) // the path is in the message already
	}
	defer func() { _ = file.Close() }() // only read from
	lines := bufio.NewReaderSize(file, maxLine)
	first, err := readLine(lines)
	if errors.Is(err, io.EOF) && len(first) == 0 {
		return newStore(newKeys()), nil
	}
	if err != nil {
		return nil, damaged(1, err)
	}
	var head header
	if err := json.Unmarshal(first, &head); err != nil || head.Version < 1 {
		return nil, fmt.Errorf("it is no state of this simulator; name another file, or move this one away")
	}
	if head.Version > stateVersion {
		return nil, fmt.Errorf("it is of version %d, and this program knows %d; use the newer program, or another file", head.Version, stateVersion)
	}
	if len(head.Keys.Signing) != keyBytes || len(head.Keys.Storing) != keyBytes {
		return nil, damaged(1, errors.New("a key is missing"))
	}
	st := newStore(head.Keys)
	return st, st.replay(lines)
}

// replay applies the changes. A last line without an end was being written
// when the process was killed: it was never acknowledged, and is dropped.
func (st *store) replay(lines *bufio.Reader) error {
	for n := 2; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			st.accounts.past, st.tokens.past, st.teams.past = nil, nil, nil
			return nil
		}
		if err != nil {
			return damaged(n, err)
		}
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		var c change
		if err := decoder.Decode(&c); err != nil {
			return damaged(n, err)
		}
		st.apply(c, time.Time{})
	}
}

// readLine returns a whole line; io.EOF with what is left of a partial one.
func readLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
	}
	return line, err
}

func damaged(line int, err error) error {
	return fmt.Errorf("line %d is damaged: %w; restore the file, or move it away to start anew", line, err)
}

// append writes one change at the end. When that fails, the file is as it was.
func (f *stateFile) append(c change, st *store) error {
	if f.broken != nil {
		return f.broken
	}
	if f.size > 2*f.base+slack {
		if err := f.rewrite(st); err != nil {
			return err
		}
	}
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write state %s: %w", f.path, err)
	}
	line = append(line, '\n')
	if _, err := f.file.WriteAt(line, f.size); err != nil {
		if undo := f.file.Truncate(f.size); undo != nil {
			f.broken = fmt.Errorf("write state %s: %w", f.path, errors.Join(err, undo))
		}
		return fmt.Errorf("write state: %w", err)
	}
	f.size += int64(len(line))
	return nil
}

// rewrite replaces the file by the store's content.
func (f *stateFile) rewrite(st *store) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write state %s: %w", f.path, err)
		}
	}()
	dir := renameio.WithTempDir(filepath.Dir(f.path))
	pending, err := renameio.NewPendingFile(f.path, dir, renameio.WithStaticPermissions(stateMode))
	if err != nil {
		return err
	}
	defer func() { _ = pending.Cleanup() }() // nothing, once it has replaced the file
	out := bufio.NewWriter(pending)
	if err := st.writeTo(json.NewEncoder(out)); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := pending.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return f.reopen(st)
}

// reopen goes on with the file that was just written.
func (f *stateFile) reopen(st *store) error {
	file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		f.broken = err
		return err
	}
	info, err := file.Stat()
	if err != nil {
		f.broken = err
		return errors.Join(err, file.Close())
	}
	if f.file != nil {
		_ = f.file.Close() // the replaced file: nothing of it counts
	}
	f.file, f.size, f.base = file, info.Size(), info.Size()
	f.used = make(map[int64]time.Time, len(st.tokens.ids))
	for id, t := range st.tokens.rows {
		f.used[id] = t.LastUsed
	}
	return nil
}

// writeTo writes the header and every row, by rising number.
func (st *store) writeTo(out *json.Encoder) error {
	lines := []any{header{Version: stateVersion, Keys: st.keys}}
	for _, t := range st.teams.all(func(team) bool { return true }) {
		lines = append(lines, change{Team: &t})
	}
	for _, a := range st.accounts.all(func(account) bool { return true }) {
		lines = append(lines, change{Account: &a})
	}
	for _, t := range st.tokens.all(func(token) bool { return true }) {
		lines = append(lines, change{Token: &t})
	}
	for _, line := range lines {
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
