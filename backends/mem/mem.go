// Package mem is a store in memory that can play any other store: its
// capabilities are options, and its [Store] lets a test act as the others who
// write to a store, and as a store that refuses or can't be reached.
//
// It is for tests and simulations. It is not listed in backends/all: a
// declared target that ends with the process would serve nobody.
package mem

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/handover-agent/handover/backends"
)

// Options choose what the store can do. The zero Options are the poorest
// store: it gives back what was put last, like Vault's KV version 1.
type Options struct {
	CompareAndSet  bool `yaml:"compare_and_set" doc:"a put refuses when another writer came in between" default:"false"`
	Versions       bool `yaml:"versions" doc:"the replaced value stays readable as the previous one" default:"false"`
	Metadata       bool `yaml:"metadata" doc:"metadata is kept beside each version" default:"false"`
	Volatile       bool `yaml:"volatile" doc:"the store says of itself that a restart empties it" default:"false"`
	RemoveRevoked  bool `yaml:"remove_revoked" doc:"an old version is taken out of reach once its token is revoked" default:"false"`
	Local          bool `yaml:"local" doc:"the store says of itself that it is a part of this machine" default:"false"`
	Staging        bool `yaml:"staging" doc:"a value can be written beside the current one and promoted" default:"false"`
	FirstIsCurrent bool `yaml:"first_is_current" doc:"where nothing stands yet, what is staged is current at once" default:"false"`
	Describing     bool `yaml:"describing" doc:"version and metadata can be read without the value" default:"false"`
	Checking       bool `yaml:"checking" doc:"the store tells beforehand whether a put is allowed" default:"false"`
	MaxPayload     int  `yaml:"max_payload" doc:"the largest payload in bytes; 0 is no limit" default:"0"`
	MaxMeta        int  `yaml:"max_meta" doc:"the longest slot that metadata holds, in bytes; 0 is no limit" default:"0"`
}

// Validate refuses a limit that can't be.
func (o *Options) Validate() error {
	if o.MaxPayload < 0 || o.MaxMeta < 0 {
		return errors.New("max_payload or max_meta is negative; leave it out for no limit")
	}
	return nil
}

// LikeVault plays Vault's KV version 2 (consumers.md, "The stores").
func LikeVault() Options {
	return Options{
		CompareAndSet: true, Versions: true, Metadata: true,
		Describing: true, Checking: true, MaxPayload: 480 << 10, MaxMeta: 512,
	}
}

// LikeAWS plays AWS Secrets Manager: staging labels, 64 KiB.
func LikeAWS() Options {
	return Options{
		CompareAndSet: true, Versions: true, Metadata: true,
		Staging: true, FirstIsCurrent: true, Describing: true, Checking: true, MaxPayload: 64 << 10, MaxMeta: 256,
	}
}

// LikeAzure plays Azure Key Vault: versions and tags, no compare-and-set, 25 KB.
func LikeAzure() Options {
	return Options{Versions: true, Metadata: true, RemoveRevoked: true, Checking: true, MaxPayload: 25_000, MaxMeta: 256}
}

// LikeFile plays package file with single files.
func LikeFile() Options {
	return Options{Metadata: true, RemoveRevoked: true, Local: true, Checking: true, MaxPayload: 1 << 20}
}

// Like is what plays each driver of backends/all with its options left out, by
// its type. A test there holds the two together.
func Like() map[string]Options {
	return map[string]Options{
		"vault": LikeVault(), "aws-secrets-manager": LikeAWS(), "azure-key-vault": LikeAzure(), "file": LikeFile(),
	}
}

const maxPath = 512

var pathPattern = regexp.MustCompile(`^([^/.][^/]*|\.[^/.][^/]*)(/([^/.][^/]*|\.[^/.][^/]*))*$`)

func properties(o Options) backends.Properties {
	return backends.Properties{
		CompareAndSet:  o.CompareAndSet,
		Versions:       o.Versions,
		Metadata:       o.Metadata,
		Volatile:       o.Volatile,
		RemoveRevoked:  o.RemoveRevoked,
		Local:          o.Local,
		FirstIsCurrent: o.FirstIsCurrent,
		MaxPayload:     o.MaxPayload,
		MaxMeta:        o.MaxMeta,
		Path: backends.PathRule{
			Pattern: pathPattern, Max: maxPath,
			Says: "parts joined by single slashes, none empty, none . or .. or starting with ..",
		},
	}
}

// Driver introduces the type "mem". Each opened backend has a store of its own;
// a test that wants to reach into one makes it with [New].
func Driver() backends.Driver {
	return backends.Driver{
		Type:    "mem",
		Options: func() any { return &Options{} },
		Properties: func(options any) backends.Properties {
			o, ok := options.(*Options)
			if !ok || o == nil {
				return properties(Options{})
			}
			return properties(*o)
		},
		Place: func(_ any, ref backends.Ref) string { return ref.String() },
		Open: func(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
			o, ok := options.(*Options)
			if !ok || o == nil {
				return nil, fmt.Errorf("open backend %s: options of type %T, not of mem", env.Name, options)
			}
			if err := o.Validate(); err != nil {
				return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
			}
			return New(*o).Backend(), nil
		},
	}
}
