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
	// number is the version's; 0 where the entry never had one, and always in
	// KV version 1.
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
//
// Fields that others have set are written back as they were read; by the
// compare-and-set, none that came in between is lost.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	op := operation{name: "put", ref: ref}
	e, err := b.begin(ctx, ref)
	if err != nil {
		return "", op.fail(err)
	}
	if e == kv1 {
		v, err := b.putPlain(ctx, ref, item)
		return v, op.end(err)
	}
	v, err := b.put(ctx, ref, item, prev)
	return v, op.end(err)
}

func (b *backend) put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	fields, how, err := encode(item.Payload, keyOf(ref))
	if err == nil {
		err = checkSizes(item, how)
	}
	if err != nil {
		return "", verdict{kind: backends.ErrInvalid, err: err}
	}
	now, err := b.read(ctx, ref, 0)
	if err != nil && !errors.Is(backendKind(err), backends.ErrNotFound) {
		return "", err
	}
	if whole := merge(now.data, layout(now.custom[metaLayout]), fields); !same(now.data, whole) {
		if now.version() != prev {
			return "", verdict{kind: backends.ErrConflict,
				err: fmt.Errorf("the entry is at version %d, not at the expected %q", now.number, prev)}
		}
		if now.number, err = b.write(ctx, ref, whole, now.number); err != nil {
			return "", err
		}
	}
	if err := b.writeMetadata(ctx, ref, now.custom, describe(item.Meta, now.number, how)); err != nil {
		return "", after("the value stands, its metadata does not", err)
	}
	return now.version(), nil
}

// Get implements backends.Backend. Previous is the newest version before the
// current one that can still be read.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	op := operation{name: "get", ref: ref}
	e, err := b.begin(ctx, ref)
	if err != nil {
		return backends.Item{}, "", op.fail(err)
	}
	if at == backends.Pending {
		return backends.Item{}, "", op.fail(nothing("the KV engine keeps no pending version"))
	}
	if e == kv1 {
		item, v, err := b.getPlain(ctx, ref, at)
		return item, v, op.end(err)
	}
	item, v, err := b.get(ctx, ref, at)
	return item, v, op.end(err)
}

func (b *backend) get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	number := 0 // the current one
	if at == backends.Previous {
		all, err := b.history(ctx, ref)
		if err != nil {
			return backends.Item{}, "", err
		}
		if number = all.previous(); number == 0 {
			return backends.Item{}, "", nothing("no older version can be read")
		}
	}
	f, err := b.read(ctx, ref, number)
	if err != nil {
		return backends.Item{}, f.version(), err
	}
	payload := decodeEntry(f.data, keyOf(ref), layout(f.custom[metaLayout]), shapeOf(ref))
	return backends.Item{Payload: payload, Meta: f.custom.meta(f.number)}, f.version(), nil
}

// begin is what every operation asks before it starts.
func (b *backend) begin(ctx context.Context, ref backends.Ref) (engine, error) {
	if err := ctx.Err(); err != nil {
		return 0, verdict{kind: backends.ErrUnavailable, err: err}
	}
	if err := b.Properties().Path.Check(ref.Path); err != nil {
		return 0, verdict{kind: backends.ErrInvalid, err: err}
	}
	return b.engine(ctx)
}

// read gets one version, 0 being the current one. A deleted version fails as
// NotFound beside its number and metadata.
func (b *backend) read(ctx context.Context, ref backends.Ref, number int) (found, error) {
	req := request{method: http.MethodGet, path: b.options.Mount + "/data/" + ref.Path}
	if number > 0 {
		req.query = url.Values{"version": {strconv.Itoa(number)}}
	}
	r, err := b.call(ctx, req)
	switch {
	case err != nil && !errors.Is(backendKind(err), backends.ErrNotFound):
		return found{}, err
	case len(r.data) == 0 && err != nil:
		if moved := b.stillThere(ctx, kv2); moved != nil {
			return found{}, moved
		}
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
		return found{}, verdict{kind: backends.ErrUnavailable, err: errNotKV}
	case err == nil && f.data == nil:
		err = nothing("the version is deleted")
	}
	return f, err
}

// write makes fields the next version after number and returns its number.
func (b *backend) write(ctx context.Context, ref backends.Ref, fields map[string]any, number int) (int, error) {
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
