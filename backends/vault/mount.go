package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/handover-agent/handover/backends"
)

// errHidden: the server doesn't say what the mount is.
var errHidden = errors.New("what kind of mount it is can't be found out")

// engine is the version of the mount's KV engine; 0 is not known yet.
type engine int

const (
	kv1 engine = 1
	kv2 engine = 2
)

// mountCheck remembers what the mount was found to be.
type mountCheck struct{ found atomic.Int64 }

// engine tells, once, what the mount is. On version 1 a write to data/… would
// succeed and stand at a wrong place.
//
// Vault lets every token ask that has any access inside the mount
// (sys/internal/ui/mounts). Where that alone is denied, kv_version says it.
func (b *backend) engine(ctx context.Context) (engine, error) {
	if e := engine(b.mount.found.Load()); e != 0 {
		return e, nil
	}
	e, err := b.askEngine(ctx)
	if err != nil {
		return 0, err
	}
	if b.mount.found.Swap(int64(e)) == 0 && e == kv1 && b.options.KVVersion == 0 {
		b.log.Warn("the mount is a KV engine of version 1: no compare-and-set, no older versions, no metadata; "+
			"declare kv_version: 1, so that validate knows", "mount", b.options.Mount)
	}
	return e, nil
}

func (b *backend) askEngine(ctx context.Context) (engine, error) {
	declared := engine(b.options.KVVersion)
	r, err := b.call(ctx, request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + b.options.Mount})
	switch {
	case r.status == http.StatusForbidden && declared != 0:
		return declared, nil
	case r.status == http.StatusForbidden:
		if _, missing := b.call(ctx, request{method: http.MethodGet, path: b.options.Mount + "/config"}); errors.Is(backendKind(missing), backends.ErrUnavailable) {
			return 0, missing
		}
		return 0, verdict{kind: backends.ErrDenied, err: fmt.Errorf(
			"%w; %w: where the token's policies allow the entries all the same, declare kv_version", err, errHidden)}
	case err != nil:
		return 0, err
	}
	var mount struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}
	if err := r.decode(&mount); err != nil {
		return 0, err
	}
	found := kv1
	switch {
	case mount.Type != "kv" && mount.Type != "generic":
		return 0, b.wrongMount("is an engine of type %s, not KV: enable one by `vault secrets enable -path=NAME kv-v2` and declare it as mount", mount.Type)
	case mount.Options["version"] == "2":
		found = kv2
	}
	if declared != 0 && declared != found {
		return 0, b.wrongMount("is a KV engine of version %d, and kv_version is %d: correct it, or leave it out", found, declared)
	}
	return found, nil
}

// stillThere makes sure, where nothing was found, that the mount is what it was:
// one that was enabled anew with another version answers alike.
func (b *backend) stillThere(ctx context.Context, was engine) error {
	now, err := b.askEngine(ctx)
	if err != nil || now != was {
		b.mount.found.Store(0)
	}
	if err == nil && now != was {
		return b.wrongMount("has become a KV engine of version %d; the next attempt uses it so", now)
	}
	return err
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
