// Package vault keeps tokens in the KV engine, version 1 or 2, of HashiCorp
// Vault or OpenBao.
//
// A payload that is a compact JSON object of strings is stored as fields of the
// entry, so that every reader of Vault finds them; any other payload is stored
// in one field. Fields that others have set beside them stay, and are no part of
// the payload. In version 2, which token an entry carries, and which fields are
// the agent's, stands in the entry's custom metadata, under keys that begin with
// "handover-"; all other metadata is left alone.
//
// docs/backends/vault.md has the policy that the agent's token needs.
package vault

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// maxPayload is the least of the limits that Vault's storages set to an entry
// (Consul's 512 KiB), less some room for the JSON around the payload.
const maxPayload = 480 << 10

// pathSays is the rule of pathPattern in words.
const pathSays = "letters, digits and _ . @ : = , ~ + - in parts joined by single slashes, " +
	"no slash at either end, no part of dots alone; without the mount and without data/"

// pathPattern keeps a joined path inside its mount.
var pathPattern = regexp.MustCompile(`^\.*[A-Za-z0-9_@:=,~+-][A-Za-z0-9_.@:=,~+-]*(/\.*[A-Za-z0-9_@:=,~+-][A-Za-z0-9_.@:=,~+-]*)*$`)

// Driver introduces the type "vault".
func Driver() backends.Driver {
	return backends.Driver{
		Type: "vault",
		Options: func() any {
			return &Options{Mount: defaultMount, Timeout: defaultTimeout, MaxInFlight: defaultMaxInFlight, Rate: defaultRate}
		},
		TargetOptions: func() any { return &TargetOptions{Key: defaultKey} },
		Properties:    properties,
		Place:         place,
		Open:          open,
	}
}

// properties are those of KV version 2, unless version 1 is declared: a mount
// that is found to be of version 1 later does less, and a warning says so.
func properties(options any) backends.Properties {
	o, ok := options.(*Options)
	versioned := !ok || engine(o.KVVersion) != kv1
	return backends.Properties{
		CompareAndSet: versioned,
		Versions:      versioned,
		Metadata:      versioned,
		MaxPayload:    maxPayload,
		MaxMeta:       maxMetadataValue,
		Path:          backends.PathRule{Pattern: pathPattern, Max: 512, Says: pathSays},
	}
}

// place names the entry. Vault takes a namespace as the first part of a path
// too, so both are joined.
func place(options any, ref backends.Ref) string {
	o, ok := options.(*Options)
	if !ok {
		return ref.String()
	}
	filled := o.withDefaults()
	return normalAddress(filled.Address) + "/" + path.Join(filled.Namespace, filled.Mount, ref.Path)
}

// normalAddress is the same for every spelling of one address.
func normalAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port + strings.TrimRight(u.Path, "/")
}

// backend is one declared Vault. Its methods are in kv.go,
// plain.go, history.go and check.go.
type backend struct {
	name      string
	options   Options
	log       *slog.Logger
	transport *wire.Transport
	limit     *wire.Limit
	sessions  *sessions
	mount     mountCheck
	warned    warnings
	closeOnce sync.Once
}

var (
	_ backends.Backend   = (*backend)(nil)
	_ backends.Describer = (*backend)(nil)
	_ backends.Checker   = (*backend)(nil)
	_ backends.Remover   = (*backend)(nil)
)

// open makes the backend. The first use logs in.
func open(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
	declared, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("open backend %s: options of type %T, not of vault", env.Name, options)
	}
	if err := declared.Validate(); err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	filled := declared.withDefaults()
	t, err := wire.New(filled.network())
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	log := env.Log.With("backend", env.Name)
	s, err := newSessions(filled, t, log)
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	return &backend{
		name: env.Name, options: filled, log: log,
		transport: t, limit: wire.NewLimit(filled.MaxInFlight, filled.Rate), sessions: s,
	}, nil
}

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return properties(&b.options) }

// Close ends the renewal of the login and waits for it. A token that a
// login gave is revoked; a declared token is left alone.
func (b *backend) Close() error {
	b.closeOnce.Do(func() {
		b.sessions.close()
		b.transport.Close()
		b.sessions.wait()
	})
	return nil
}

// keyOf is the field for a payload that isn't stored as fields.
func keyOf(ref backends.Ref) string {
	if o, ok := ref.Options.(*TargetOptions); ok && o != nil && o.Key != "" {
		return o.Key
	}
	return defaultKey
}

// shapeOf is how the target's declared format is laid into an entry; "" where
// nobody has said.
func shapeOf(ref backends.Ref) layout {
	if o, ok := ref.Options.(*TargetOptions); ok && o != nil {
		return o.shape
	}
	return ""
}
