package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/handover-agent/handover/backends"
)

// history is what Vault keeps of an entry beside its values.
type history struct {
	Current int `json:"current_version"`
	// Metadata is the number of the metadata itself; nil where the server
	// doesn't count.
	Metadata *int           `json:"current_metadata_version"`
	Custom   customMetadata `json:"custom_metadata"`
	Versions map[backends.Version]struct {
		Deleted   string `json:"deletion_time"`
		Destroyed bool   `json:"destroyed"`
	} `json:"versions"`
	keeping
	// now is the server's time.
	now time.Time
}

// history fails as NotFound where the entry never had a version.
func (b *backend) history(ctx context.Context, ref backends.Ref) (history, error) {
	r, err := b.call(ctx, request{method: http.MethodGet, path: b.options.Mount + "/metadata/" + ref.Path})
	if errors.Is(backendKind(err), backends.ErrNotFound) {
		if moved := b.stillThere(ctx, kv2); moved != nil {
			return history{}, moved
		}
	}
	if err != nil {
		return history{}, err
	}
	var h history
	if err := r.decode(&h); err != nil {
		return history{}, err
	}
	h.now = r.now
	if h.Current == 0 {
		return h, nothing("it has metadata but no version")
	}
	return h, nil
}

// previous is the newest readable version before the current one; 0 is none.
func (h history) previous() int {
	var older []int
	for v := range h.Versions {
		if n, err := strconv.Atoi(string(v)); err == nil && n < h.Current && h.readable(n) {
			older = append(older, n)
		}
	}
	if len(older) == 0 {
		return 0
	}
	return slices.Max(older)
}

// readable reports whether a version's data can be had now. One that is to be
// deleted later (delete_version_after) still can.
func (h history) readable(number int) bool {
	v, ok := h.Versions[found{number: number}.version()]
	if !ok || v.Destroyed {
		return false
	}
	deleted, err := time.Parse(time.RFC3339Nano, v.Deleted)
	return v.Deleted == "" || err == nil && deleted.After(h.now.Add(time.Second)) // the server's time is told in whole seconds
}

// Describe implements backends.Describer.
func (b *backend) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	op := operation{name: "describe", ref: ref}
	e, err := b.begin(ctx, ref)
	if err != nil {
		return backends.Meta{}, "", op.fail(err)
	}
	if e == kv1 {
		v, err := b.describePlain(ctx, ref)
		return backends.Meta{}, v, op.end(err)
	}
	all, err := b.history(ctx, ref)
	if err != nil {
		return backends.Meta{}, "", op.fail(err)
	}
	version := found{number: all.Current}.version()
	if !all.readable(all.Current) {
		return backends.Meta{}, version, op.fail(nothing("the current version is deleted"))
	}
	return all.Custom.meta(all.Current), version, nil
}

// Remove implements backends.Remover: it destroys the version's data for good.
func (b *backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	op := operation{name: "remove", ref: ref}
	e, err := b.begin(ctx, ref)
	if err != nil {
		return op.fail(err)
	}
	if e == kv1 {
		return op.end(b.removePlain(ctx, ref, version))
	}
	return op.end(b.remove(ctx, ref, version))
}

func (b *backend) remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	number, err := strconv.Atoi(string(version))
	if err != nil || number < 1 {
		return verdict{kind: backends.ErrInvalid, err: fmt.Errorf("%q is no version of an entry", version)}
	}
	all, err := b.history(ctx, ref)
	switch {
	case errors.Is(backendKind(err), backends.ErrNotFound):
		return nil
	case err != nil:
		return err
	case number == all.Current: // it can't become current later: versions only rise
		return verdict{kind: backends.ErrConflict, err: fmt.Errorf("version %d is the current one", number)}
	case all.Versions[version].Destroyed || number > all.Current:
		return nil
	}
	_, err = b.call(ctx, request{
		method:  http.MethodPut,
		path:    b.options.Mount + "/destroy/" + ref.Path,
		body:    map[string]any{"versions": []int{number}},
		changes: true,
	})
	return err
}
