package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// backend is one declared folder. It keeps nothing open between calls, so that
// a folder which is mounted or replaced later is found.
type backend struct {
	options    Options
	properties backends.Properties
	log        *slog.Logger
	// turn is held by the one writer of this process; it guards swept.
	turn chan struct{}
	// swept are the folders where a crash's leavings were removed.
	swept map[string]bool
}

var (
	_ backends.Backend = (*backend)(nil)
	_ backends.Checker = (*backend)(nil)
	_ backends.Remover = (*backend)(nil)
)

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return b.properties }

// Close implements backends.Backend; nothing runs in the background.
func (b *backend) Close() error { return nil }

// spot is a ref, looked at.
type spot struct {
	path         string
	folder, name string
	sink         string
	access       access
}

// spotOf checks ref and its options.
func (b *backend) spotOf(ref backends.Ref) (spot, error) {
	if err := b.properties.Path.Check(ref.Path); err != nil {
		return spot{}, invalid(err)
	}
	var o TargetOptions
	if t, ok := ref.Options.(*TargetOptions); ok && t != nil {
		o = *t
	}
	a, err := accessOf(b.options, o)
	if err != nil {
		return spot{}, invalid(err)
	}
	return spot{path: ref.Path, folder: path.Dir(ref.Path), name: path.Base(ref.Path), sink: o.Sink, access: a}, nil
}

// Put implements backends.Backend. prev is ignored.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, _ backends.Version) (backends.Version, error) {
	at, err := b.spotOf(ref)
	if err == nil {
		err = b.put(ctx, at, item)
	}
	if err != nil {
		return "", b.fail("put", ref, err)
	}
	return versionOf(item.Payload), nil
}

func (b *backend) put(ctx context.Context, at spot, item backends.Item) error {
	switch {
	case item.Payload.IsZero():
		return invalid(errors.New("the payload is empty"))
	case item.Payload.Len() > maxPayload:
		return invalid(fmt.Errorf("the payload has %d bytes, at most %d are allowed", item.Payload.Len(), maxPayload))
	}
	root, leave, err := b.enter(ctx, at.access)
	if err != nil {
		return err
	}
	defer leave()
	folder, err := makeFolders(root, at.folder, at.access)
	if err != nil {
		return err
	}
	defer done(folder)
	if err := b.sweep(at.folder, folder); err != nil {
		return err
	}
	current, err := readPayload(folder, at.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The note is written first: it holds what is known of the old value and
	// of the new one, so whichever stands there after a crash is described.
	if err := b.note(root, at.path, current.Fingerprint(), item); err != nil {
		return err
	}
	if current.Equal(item.Payload) && at.stands(folder) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.replace(folder, at, item.Payload)
}

// stands reports whether the file has the shape and the access that are
// declared; its payload was compared already.
func (at spot) stands(folder *os.Root) bool {
	link, err := folder.Readlink(at.name)
	if (at.sink == SinkDirectory) != (err == nil && link == dataLink(at.name)) {
		return false
	}
	info, err := folder.Stat(at.name)
	return err == nil && at.access.fits(info)
}

// replace makes payload what a reader finds.
func (b *backend) replace(folder *os.Root, at spot, payload secret.Value) error {
	if at.sink == SinkDirectory {
		return b.switchFolder(folder, at, payload)
	}
	link, err := folder.Readlink(at.name)
	wasFolder := err == nil && link == dataLink(at.name)
	if err := writeFile(folder, at.name, payload.Reveal(), at.access); err != nil {
		return err
	}
	if wasFolder {
		b.prune(folder)
	}
	return nil
}

// Get implements backends.Backend. An empty file is nothing: there is no value
// in it to respect. Previous is known to the directory sink alone.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	item, err := b.get(ctx, ref, at)
	if errors.Is(err, fs.ErrNotExist) {
		return backends.Item{}, backends.Absent, &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrNotFound}
	}
	if err != nil {
		return backends.Item{}, backends.Absent, b.fail("get", ref, err)
	}
	return item, versionOf(item.Payload), nil
}

func (b *backend) get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, error) {
	if err := ctx.Err(); err != nil {
		return backends.Item{}, err
	}
	spot, err := b.spotOf(ref)
	if err != nil {
		return backends.Item{}, err
	}
	root, err := os.OpenRoot(b.options.Dir)
	if err != nil {
		return backends.Item{}, rootError(err)
	}
	defer done(root)
	var payload secret.Value
	switch at {
	case backends.Previous:
		var name string
		if name, err = previousPath(root, spot); err == nil {
			payload, err = readPayload(root, name)
		}
	case backends.Pending:
		err = fs.ErrNotExist
	default:
		if payload, err = readCurrent(root, spot); err == nil {
			b.lookAtAccess(root, spot)
		}
	}
	if err != nil {
		return backends.Item{}, err
	}
	meta, err := noted(root, spot.path, payload.Fingerprint())
	return backends.Item{Payload: payload, Meta: meta}, err
}

// lookAtAccess tells of a file that others may read, or its reader may not: a
// Get changes nothing, and the token in it is the right one.
func (b *backend) lookAtAccess(root *os.Root, at spot) {
	info, err := root.Stat(at.path)
	if err != nil || at.access.fits(info) {
		return
	}
	uid, gid := ownersOf(info)
	b.log.Warn("a file's owner, group or mode is not as declared; set it by hand, or the next delivery does",
		"file", path.Join(b.options.Dir, at.path), "mode", info.Mode().Perm().String(), "declared", at.access.mode.String(),
		"uid", uid, "gid", gid)
}

// readCurrent reads what stands at a place. Between the steps from the link to
// the file in its folder, other processes may deliver twice, and the second
// delivery removes that folder. Then the link has moved, and is followed again:
// only where it stands still is nothing there.
func readCurrent(root *os.Root, at spot) (secret.Value, error) {
	link := path.Join(at.folder, dataName)
	for {
		before, _ := root.Readlink(link)
		payload, err := readPayload(root, at.path)
		if at.sink != SinkDirectory || !errors.Is(err, fs.ErrNotExist) {
			return payload, err
		}
		if after, moved := root.Readlink(link); moved != nil || after == before {
			return payload, err
		}
	}
}

// readPayload reads one regular file. It never waits for a writer, as opening a
// named pipe would.
func readPayload(root *os.Root, name string) (secret.Value, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return secret.Value{}, err
	}
	defer done(f)
	info, err := f.Stat()
	if err != nil {
		return secret.Value{}, err
	}
	if !info.Mode().IsRegular() {
		return secret.Value{}, invalid(fmt.Errorf("%s is not a regular file", name))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPayload+1))
	switch {
	case err != nil:
		return secret.Value{}, err
	case len(text) > maxPayload:
		return secret.Value{}, invalid(fmt.Errorf("the file has more than %d bytes: it is not the agent's", maxPayload))
	case len(text) == 0:
		return secret.Value{}, fs.ErrNotExist
	}
	return secret.New(string(text)), nil
}

// versionOf is the payload's fingerprint: a file has nothing better, since its
// times and inode change when it is copied.
func versionOf(payload secret.Value) backends.Version {
	return backends.Version(payload.Fingerprint())
}

// Remove implements backends.Remover: it takes the previous value of a
// directory sink off the disk.
func (b *backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	at, err := b.spotOf(ref)
	if err == nil {
		err = b.remove(ctx, at, version)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.fail("remove", ref, err)
	}
	return nil
}

func (b *backend) remove(ctx context.Context, at spot, version backends.Version) error {
	root, leave, err := b.enter(ctx, at.access)
	if err != nil {
		return err
	}
	defer leave()
	current, err := readPayload(root, at.path)
	if err == nil && versionOf(current) == version {
		return problem{backends.ErrConflict, errors.New("the version is current")}
	}
	name, err := previousPath(root, at)
	if err != nil {
		return err
	}
	previous, err := readPayload(root, name)
	if err != nil || versionOf(previous) != version {
		return err
	}
	return root.RemoveAll(path.Dir(name))
}
