package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/handover-agent/handover/backends"
)

// mountCheck remembers that the mount was found to be a KV version 2 engine.
type mountCheck struct{ fits atomic.Bool }

// checkMountKind makes sure, once, that the mount is a KV version 2 engine. On
// version 1 a write to data/… would succeed and stand at a wrong place.
//
// Vault lets every token ask that has any access inside the mount
// (sys/internal/ui/mounts). A token that may not ask may not read or write
// there either, so then the real request is left to fail by itself.
func (b *backend) checkMountKind(ctx context.Context) error {
	if b.mount.fits.Load() {
		return nil
	}
	r, err := b.call(ctx, request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + b.options.Mount})
	if errors.Is(backendKind(err), backends.ErrDenied) {
		return nil
	}
	if err != nil {
		return err
	}
	var mount struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}
	if err := r.decode(&mount); err != nil {
		return err
	}
	switch {
	case mount.Type != "kv" && mount.Type != "generic":
		return b.wrongMount("is an engine of type %s, not KV: enable one by `vault secrets enable -path=NAME kv-v2` and declare it as mount", mount.Type)
	case mount.Options["version"] != "2":
		return b.wrongMount("is a KV engine of version 1, which has no compare-and-set and no metadata: " +
			"upgrade it by `vault kv enable-versioning`, or declare another mount")
	}
	b.mount.fits.Store(true)
	return nil
}

func (b *backend) wrongMount(format string, args ...any) error {
	return verdict{
		kind: backends.ErrUnavailable, // it heals by itself once the mount is put right
		err:  fmt.Errorf("mount %s "+format, append([]any{b.options.Mount}, args...)...),
	}
}

// backendKind is the kind in a verdict; nil when err holds none.
func backendKind(err error) error {
	var v verdict
	if errors.As(err, &v) {
		return v.kind
	}
	return nil
}
