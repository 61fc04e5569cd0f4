// Package vault keeps tokens in the KV version 2 engine of HashiCorp Vault or
// OpenBao.
//
// An entry belongs to the agent whole: a Put replaces all of its fields. A
// payload that is a compact JSON object of strings is stored as its fields, so
// that every reader of Vault finds them; any other payload is stored in one
// field. Which token an entry carries stands in the entry's custom metadata,
// under keys that begin with "handover-"; all other metadata is left alone.
//
// The policy of the agent's token has to allow, for each declared path:
//
//	path "<mount>/data/<path>"     { capabilities = ["create", "read", "update"] }
//	path "<mount>/metadata/<path>" { capabilities = ["read", "patch"] }
//	path "<mount>/destroy/<path>"  { capabilities = ["update"] }
//
// Instead of "patch" on the metadata, "update" serves too; then a change of
// other metadata at the same moment can be lost.
package vault

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/handover-agent/handover/backends"
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
			return &Options{Mount: defaultMount, Timeout: defaultTimeout, Auth: Auth{Mount: defaultAuthMount}}
		},
		TargetOptions: func() any { return &TargetOptions{Key: defaultKey} },
		Properties:    func(any) backends.Properties { return properties() },
		Place:         place,
		Open:          open,
	}
}

func properties() backends.Properties {
	return backends.Properties{
		CompareAndSet: true,
		Versions:      true,
		Metadata:      true,
		MaxPayload:    maxPayload,
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

// backend is one declared Vault. Its methods are in kv.go.
type backend struct {
	name      string
	options   Options
	transport *transport
	sessions  *sessions
	mount     mountCheck
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
	t, err := newTransport(filled)
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	s, err := newSessions(filled, t, env.Log.With("backend", env.Name))
	if err != nil {
		t.close()
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	return &backend{name: env.Name, options: filled, transport: t, sessions: s}, nil
}

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return properties() }

// Close ends the renewal of the login and waits for it. A token that an AppRole
// login gave is revoked; a declared token is left alone.
func (b *backend) Close() error {
	b.closeOnce.Do(func() {
		b.sessions.close()
		b.transport.close()
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
