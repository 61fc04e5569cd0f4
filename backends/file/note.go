package file

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// maxNote bounds a note that is read, in bytes.
const maxNote = 64 << 10

// maxDescribed is how many payloads a note describes: the current one, the
// directory sink's previous one, and one that is just written.
const maxDescribed = 3

// note is what <dir>/.handover/<hash of the path>.json holds.
type note struct {
	// Path is for people; the name of the file is its hash.
	Path      string      `json:"path"`
	Described []described `json:"described"`
}

// described ties metadata to one payload.
type described struct {
	Payload secret.Fingerprint `json:"payload"`
	Meta    backends.Meta      `json:"meta"`
}

// noteName is a hash, for a path can be longer than a name.
func noteName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// note adds what is known of item to the note of path. What was known of the
// current payload stays.
func (b *backend) note(root *os.Root, path string, current secret.Fingerprint, item backends.Item) error {
	n, err := readNote(root, path)
	if err != nil {
		return err
	}
	fresh := described{Payload: item.Payload.Fingerprint(), Meta: item.Meta}
	if slices.Contains(n.Described, fresh) {
		return nil
	}
	n.Path = path
	n.Described = append(slices.DeleteFunc(n.Described, func(d described) bool {
		return d.Payload == fresh.Payload
	}), fresh)
	for len(n.Described) > maxDescribed {
		oldest := slices.IndexFunc(n.Described, func(d described) bool { return d.Payload != current })
		n.Described = slices.Delete(n.Described, oldest, oldest+1)
	}
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	notes, err := root.OpenRoot(reserved)
	if err != nil {
		return err
	}
	defer done(notes)
	if err := b.sweep(reserved, notes); err != nil {
		return err
	}
	return before(writeFile(notes, noteName(path), string(text), private))
}

// noted returns what is known of one payload at path; the zero Meta is nothing.
func noted(root *os.Root, path string, payload secret.Fingerprint) (backends.Meta, error) {
	n, err := readNote(root, path)
	for _, d := range n.Described {
		if d.Payload == payload {
			return d.Meta, err
		}
	}
	return backends.Meta{}, err
}

// readNote reads the note of path. One that is missing or that isn't a note
// says nothing, and the next Put replaces it; one that can't be read is an
// error, for what it says is not known.
func readNote(root *os.Root, path string) (note, error) {
	f, err := root.Open(reserved + "/" + noteName(path))
	if errors.Is(err, fs.ErrNotExist) {
		return note{}, nil
	}
	if err != nil {
		return note{}, err
	}
	defer done(f)
	text, err := io.ReadAll(io.LimitReader(f, maxNote))
	if err != nil {
		return note{}, err
	}
	var n note
	if json.Unmarshal(text, &n) != nil {
		return note{}, nil
	}
	return n, nil
}
