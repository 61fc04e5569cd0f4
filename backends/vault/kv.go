package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/handover-agent/handover/backends"
)

// found is one version of an entry as Vault answered it.
type found struct {
	// number is the version's; 0 where the entry never had one.
	number int
	// data is nil where the version is deleted or destroyed, or there is none.
	data   map[string]any
	custom customMetadata
}

func (f found) version() backends.Version {
	if f.number == 0 {
		return backends.Absent
	}
	return backends.Version(strconv.Itoa(f.number))
}

// Put implements backends.Backend. It writes the entry first and its metadata
// after: metadata that ran ahead could come to describe another writer's value.
// Where a crash falls between the two, the next Put of the same payload brings
// the metadata up to date.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	op := operation{name: "put", ref: ref}
	if err := b.begin(ctx, ref); err != nil {
		return "", op.fail(err)
	}
	fields, how, err := encode(item.Payload, keyOf(ref))
	if err == nil {
		err = checkSizes(item, how)
	}
	if err != nil {
		return "", op.fail(verdict{kind: backends.ErrInvalid, err: err})
	}
	now, err := b.read(ctx, ref, 0)
	if err != nil && !errors.Is(backendKind(err), backends.ErrNotFound) {
		return "", op.fail(err)
	}
	if !sameFields(now.data, fields) {
		if now.version() != prev {
			return "", op.fail(verdict{kind: backends.ErrConflict,
				err: fmt.Errorf("the entry is at version %d, not at the expected %q", now.number, prev)})
		}
		if now.number, err = b.write(ctx, ref, fields, now.number); err != nil {
			return "", op.fail(err)
		}
	}
	if err := b.writeMetadata(ctx, ref, now.custom, describe(item.Meta, now.number, how)); err != nil {
		return "", op.fail(after("the value stands, its metadata does not", err))
	}
	return now.version(), nil
}

// Get implements backends.Backend. Previous is the newest version before the
// current one that can still be read.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	op := operation{name: "get", ref: ref}
	if err := b.begin(ctx, ref); err != nil {
		return backends.Item{}, "", op.fail(err)
	}
	number := 0 // the current one
	switch at {
	case backends.Current:
	case backends.Previous:
		all, err := b.history(ctx, ref)
		if err != nil {
			return backends.Item{}, "", op.fail(err)
		}
		if number = all.previous(); number == 0 {
			return backends.Item{}, "", op.fail(nothing("no older version can be read"))
		}
	default:
		return backends.Item{}, "", op.fail(nothing("the KV engine keeps no pending version"))
	}
	f, err := b.read(ctx, ref, number)
	if err != nil {
		return backends.Item{}, f.version(), op.fail(err)
	}
	payload := decodeEntry(f.data, layout(f.custom[metaLayout]), keyOf(ref))
	return backends.Item{Payload: payload, Meta: f.custom.meta(f.number)}, f.version(), nil
}

// begin is what every operation asks before it starts.
func (b *backend) begin(ctx context.Context, ref backends.Ref) error {
	if err := ctx.Err(); err != nil {
		return verdict{kind: backends.ErrUnavailable, err: err}
	}
	if err := properties().Path.Check(ref.Path); err != nil {
		return verdict{kind: backends.ErrInvalid, err: err}
	}
	return b.checkMountKind(ctx)
}

// read gets one version, 0 being the current one. A deleted version fails as
// NotFound beside its number and metadata.
func (b *backend) read(ctx context.Context, ref backends.Ref, number int) (found, error) {
	req := request{method: http.MethodGet, path: b.options.Mount + "/data/" + ref.Path}
	if number > 0 {
		req.query = url.Values{"version": {strconv.Itoa(number)}}
	}
	r, err := b.call(ctx, req)
	if err != nil && (!errors.Is(backendKind(err), backends.ErrNotFound) || len(r.data) == 0) {
		return found{}, err
	}
	var entry struct {
		Data     map[string]any `json:"data"`
		Metadata struct {
			Version int            `json:"version"`
			Custom  customMetadata `json:"custom_metadata"`
		} `json:"metadata"`
	}
	if bad := r.decode(&entry); bad != nil {
		return found{}, bad
	}
	f := found{number: entry.Metadata.Version, data: entry.Data, custom: entry.Metadata.Custom}
	switch {
	case f.number < 1:
		return found{}, verdict{kind: backends.ErrUnavailable, err: errors.New("the answer is not a KV version 2 engine's")}
	case err == nil && f.data == nil:
		err = nothing("the version is deleted")
	}
	return f, err
}

// write makes fields the next version after number and returns its number.
func (b *backend) write(ctx context.Context, ref backends.Ref, fields map[string]string, number int) (int, error) {
	r, err := b.call(ctx, request{
		method:  http.MethodPut,
		path:    b.options.Mount + "/data/" + ref.Path,
		body:    map[string]any{"data": fields, "options": map[string]int{"cas": number}},
		changes: true,
	})
	if err != nil {
		return 0, err
	}
	var written struct {
		Version int `json:"version"`
	}
	if err := r.decode(&written); err != nil || written.Version <= number {
		return 0, verdict{kind: backends.ErrUnknownOutcome, err: errors.New("the answer names no new version")}
	}
	return written.Version, nil
}

// nothing is the verdict that Vault answered and has no value there.
func nothing(why string) error {
	return verdict{kind: backends.ErrNotFound, err: errors.New(why)}
}

// after puts what has happened already before what failed.
func after(happened string, err error) error {
	v := verdict{kind: backends.ErrUnavailable, err: err}
	errors.As(err, &v)
	v.err = fmt.Errorf("%s: %w", happened, v.err)
	return v
}
