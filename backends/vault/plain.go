package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// This file is KV version 1: an entry is its fields and nothing else. There are
// no older versions, nothing is compared when it is written, and no metadata
// tells which fields are the agent's: the shape of the declared format does.

// putPlain writes the fields of the payload beside those that others have set.
// What somebody else writes between the two requests is lost.
func (b *backend) putPlain(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	fields, err := encodePlain(item.Payload, ref)
	if err == nil {
		err = checkLength(item)
	}
	if err != nil {
		return "", verdict{kind: backends.ErrInvalid, err: err}
	}
	now, err := b.readPlain(ctx, ref)
	if err != nil && !errors.Is(backendKind(err), backends.ErrNotFound) {
		return "", err
	}
	whole := merge(now, "", fields)
	if same(now, whole) {
		return plainVersion(now), nil
	}
	_, err = b.call(ctx, request{
		method:  http.MethodPut,
		path:    b.options.Mount + "/" + ref.Path,
		body:    whole,
		changes: true,
	})
	if err != nil {
		return "", err
	}
	return plainVersion(whole), nil
}

func (b *backend) getPlain(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	if at != backends.Current {
		return backends.Item{}, "", nothing("a KV engine of version 1 keeps no older value")
	}
	data, err := b.readPlain(ctx, ref)
	if err != nil {
		return backends.Item{}, "", err
	}
	return backends.Item{Payload: decodeEntry(data, keyOf(ref), shapeOf(ref))}, plainVersion(data), nil
}

// describePlain can't do without reading the entry. It has no metadata.
func (b *backend) describePlain(ctx context.Context, ref backends.Ref) (backends.Version, error) {
	data, err := b.readPlain(ctx, ref)
	if err != nil {
		return "", err
	}
	return plainVersion(data), nil
}

// removePlain has nothing to remove but what is current.
func (b *backend) removePlain(ctx context.Context, ref backends.Ref, version backends.Version) error {
	data, err := b.readPlain(ctx, ref)
	switch {
	case errors.Is(backendKind(err), backends.ErrNotFound):
		return nil
	case err != nil:
		return err
	case plainVersion(data) == version:
		return verdict{kind: backends.ErrConflict, err: errors.New("it is the current value")}
	}
	return nil
}

func (b *backend) readPlain(ctx context.Context, ref backends.Ref) (map[string]any, error) {
	r, err := b.call(ctx, request{method: http.MethodGet, path: b.options.Mount + "/" + ref.Path})
	if r.status == http.StatusNotFound {
		if moved := b.stillThere(ctx, kv1); moved != nil {
			return nil, moved
		}
	}
	if err != nil {
		return nil, err
	}
	var data map[string]any
	if err := r.decode(&data); err != nil {
		return nil, err
	}
	if data == nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: errNotKV}
	}
	return data, nil
}

// plainVersion names the state of an entry that has no number.
func plainVersion(data map[string]any) backends.Version {
	return backends.Version(secret.New(quote(data)).Fingerprint())
}

// encodePlain lays a payload into fields from which it can be read back without
// a recorded layout.
func encodePlain(payload secret.Value, ref backends.Ref) (map[string]string, error) {
	key := keyOf(ref)
	fields, _, err := encode(payload, key)
	if err != nil {
		return nil, err
	}
	for _, try := range []map[string]string{fields, {key: payload.Reveal()}} {
		if decodeEntry(merge(nil, "", try), key, shapeOf(ref)).Equal(payload) {
			return try, nil
		}
	}
	return nil, fmt.Errorf("the payload has another shape than its format says, and a KV engine of version 1 can't record it: use version 2")
}
