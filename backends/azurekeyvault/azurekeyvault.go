// Package azurekeyvault keeps tokens as secrets of Azure Key Vault.
//
// A payload is a secret's value as it is. Which token it carries stands in the
// version's tags, under names that begin with "handover-"; all other tags are
// left alone. The token's end is the version's exp attribute too, which only
// informs.
//
// Key Vault has no compare-and-set: the last of two writers wins. Both values
// stay as versions, and the loser finds the other's value when it reads back.
//
// The driver is no backends.Describer: without values Key Vault only lists
// versions, in no order and with their age in whole seconds, so that which one
// is the latest can't be told when it matters.
//
// docs/backends/azure-key-vault.md has the role that the agent needs.
package azurekeyvault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

const (
	// maxPayload is the size of a value in bytes: "25 KB" in Key Vault's
	// service limits, read strictly.
	maxPayload = 25_000
	// maxName is the longest name of a secret.
	maxName = 127
)

// pathSays is the rule of pathPattern in words.
const pathSays = "1 to 127 letters of the English alphabet, digits and hyphens; no slash, no underscore"

var pathPattern = regexp.MustCompile(`^[0-9A-Za-z-]+$`)

// Driver introduces the type "azure-key-vault".
func Driver() backends.Driver {
	return backends.Driver{
		Type: "azure-key-vault",
		Options: func() any {
			o := Options{}.withDefaults()
			return &o
		},
		TargetOptions: func() any { return &TargetOptions{} },
		Properties:    func(any) backends.Properties { return properties() },
		Place:         place,
		Open:          open,
	}
}

func properties() backends.Properties {
	return backends.Properties{
		Versions: true,
		Metadata: true,
		// Key Vault keeps every version for ever, and whoever may read one may
		// read all.
		RemoveRevoked: true,
		MaxPayload:    maxPayload,
		MaxMeta:       maxTag,
		Path:          backends.PathRule{Pattern: pathPattern, Max: maxName, Says: pathSays},
	}
}

// place names the secret. Key Vault compares names without regard to case.
func place(options any, ref backends.Ref) string {
	o, ok := options.(*Options)
	if !ok {
		return ref.String()
	}
	return normalURL(o.URL) + "/" + strings.ToLower(ref.Path)
}

// backend is one declared vault.
type backend struct {
	options   Options
	client    *azsecrets.Client
	transport *wire.Transport
	limit     *wire.Limit
	log       *slog.Logger
	closeOnce sync.Once
	// pause is the first wait between two tries to write a secret that is
	// being recovered.
	pause time.Duration
}

var (
	_ backends.Backend = (*backend)(nil)
	_ backends.Checker = (*backend)(nil)
	_ backends.Remover = (*backend)(nil)
)

// open makes the backend. The first use logs in.
func open(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
	declared, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("open backend %s: options of type %T, not of azure-key-vault", env.Name, options)
	}
	b, err := newBackend(declared, env.Log.With("backend", env.Name))
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	return b, nil
}

func newBackend(declared *Options, log *slog.Logger) (*backend, error) {
	if declared.URL == "" {
		return nil, errors.New("url is missing")
	}
	if err := declared.Validate(); err != nil {
		return nil, err
	}
	o := declared.withDefaults()
	t, err := wire.New(o.wire())
	if err != nil {
		return nil, err
	}
	client, err := newClient(o, t)
	if err != nil {
		t.Close()
		return nil, err
	}
	return &backend{
		options: o, client: client, transport: t, log: log,
		limit: wire.NewLimit(o.MaxInFlight, o.Rate), pause: 250 * time.Millisecond,
	}, nil
}

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return properties() }

// Close ends all requests. Nothing else runs in the background.
func (b *backend) Close() error {
	b.closeOnce.Do(b.transport.Close)
	return nil
}
