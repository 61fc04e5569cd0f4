// Package driver is an example: a backend that keeps each token under a URL of
// an HTTP server, as a WebDAV folder or an object store serves it. A value's
// ETag is its version, and If-Match the compare-and-set (RFC 9110).
//
// docs/new-backend.md leads through this file. It is no part of the program.
package driver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

// Options are one declared server.
type Options struct {
	URL     string        `yaml:"url" required:"true" doc:"the folder's URL; plain http only to this machine"`
	Token   secret.Source `yaml:"token" doc:"where the bearer token for the server stands; none when left out"`
	CAFile  string        `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	Timeout time.Duration `yaml:"timeout" default:"10s" doc:"the longest wait for one answer"`
}

// Validate says what the tags can't.
func (o *Options) Validate() error {
	return wire.CheckURL("url", o.URL, "https://store.example/tokens")
}

// maxPayload bounds what is written, and what is read of an answer.
const maxPayload = 1 << 20

// properties are what is true of every such server.
var properties = backends.Properties{
	CompareAndSet: true,
	MaxPayload:    maxPayload,
	Path: backends.PathRule{
		Pattern: regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`),
		Max:     512,
		Says:    "names of letters, digits, '_', '-' and '.' (not first), joined by single slashes",
	},
}

// Driver introduces the type "http-etag".
func Driver() backends.Driver {
	return backends.Driver{
		Type:       "http-etag",
		Options:    func() any { return &Options{} },
		Properties: func(any) backends.Properties { return properties },
		Place: func(options any, ref backends.Ref) string {
			o, _ := options.(*Options)
			return strings.TrimRight(o.URL, "/") + "/" + ref.Path
		},
		Open: open,
	}
}

// backend is one server.
type backend struct {
	base    string
	token   secret.Source
	timeout time.Duration
	wire    *wire.Transport
}

// open asks nobody: what can't be reached is told by the first use.
func open(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
	o, ok := options.(*Options)
	if !ok || o == nil {
		return nil, fmt.Errorf("open backend %s: options of type %T, not of http-etag", env.Name, options)
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	transport, err := wire.New(wire.Options{CAFile: o.CAFile, Timeout: o.Timeout, MaxBody: maxPayload})
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	return &backend{base: strings.TrimRight(o.URL, "/"), token: o.Token, timeout: o.Timeout, wire: transport}, nil
}

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return properties }

// Close implements backends.Backend.
func (b *backend) Close() error {
	b.wire.Close()
	return nil
}

// Put implements backends.Backend.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	if item.Payload.IsZero() || item.Payload.Len() > maxPayload {
		return "", fail("put", ref, backends.ErrInvalid, fmt.Errorf("the payload has %d bytes; 1 to %d are allowed", item.Payload.Len(), maxPayload))
	}
	// A Put whose answer was lost is repeated with the version from before: so
	// the payload is compared first, whatever prev says.
	current, version, err := b.Get(ctx, ref, backends.Current)
	switch {
	case err == nil && current.Payload.Equal(item.Payload):
		return version, nil
	case err != nil && !errors.Is(err, backends.ErrNotFound):
		return "", err
	}
	condition := http.Header{"If-Match": {string(prev)}}
	if prev == backends.Absent {
		condition = http.Header{"If-None-Match": {"*"}}
	}
	answer, err := b.call(ctx, http.MethodPut, ref, condition, item.Payload)
	if err != nil || answer.version != backends.Absent {
		return answer.version, err
	}
	answer, err = b.call(ctx, http.MethodHead, ref, nil, secret.Value{}) // a server need not tell a PUT's ETag
	return answer.version, err
}

// Get implements backends.Backend. There are no other stages than the current.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	if at != backends.Current && ctx.Err() == nil {
		return backends.Item{}, backends.Absent, fail("get", ref, backends.ErrNotFound, nil)
	}
	answer, err := b.call(ctx, http.MethodGet, ref, nil, secret.Value{})
	return backends.Item{Payload: answer.payload}, answer.version, err
}

// Describe implements backends.Describer: HEAD tells the version alone.
func (b *backend) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	answer, err := b.call(ctx, http.MethodHead, ref, nil, secret.Value{})
	return backends.Meta{}, answer.version, err
}
