package backends

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/handover-agent/handover/backends/secret"
)

// Driver is how a kind of backend introduces itself. The declaration is
// checked with it before anything is opened.
//
// The option types are structs whose fields carry the tags
//
//	yaml:"name"        the key in the declaration
//	doc:"…"            one sentence for the schema and for help
//	required:"true"    the key must be given
//	default:"…"        what holds when it is left out, as the YAML would say it
//	enum:"a|b"         the values that are allowed
//	path:"true"        a file's path: a relative one counts from the
//	                   declaration's base, and is rooted when Open gets it
//
// with fields of string, bool, int, float64, time.Duration, secret.Source, and
// structs, pointers, slices and string-keyed maps of those. A type may have a
// method Validate() error for what tags can't say. It may join errors; one that
// begins with a key's name ("auth.token is missing …") is shown at that key.
type Driver struct {
	// Type is the value of `type:` in the declaration.
	Type string
	// Options returns a pointer to new backend options.
	Options func() any
	// TargetOptions returns a pointer to new options of one target; nil when
	// the driver has none.
	TargetOptions func() any
	// Properties is what a backend with these options can do, as far as it
	// is known without asking the store.
	Properties func(options any) Properties
	// Place is the one name of the place that ref means, the same for every
	// spelling of it: two targets on one place are an error. It is compared
	// between backends of one Type.
	Place func(options any, ref Ref) string
	// Open makes the backend. It needs no network: what can't be reached is
	// told by the first use.
	Open func(ctx context.Context, env Env, options any) (Backend, error)
}

// Shaped is what a driver's target options implement to learn how payloads of
// the target's format look, where the store keeps them in parts. It is called
// before the options are used.
type Shaped interface {
	// Shape gets a payload of the format, with a token that is none.
	Shape(sample secret.Value)
}

// Env is what a driver gets from the process.
type Env struct {
	// Name is the backend's name in the declaration.
	Name string
	// AgentID is the agent's id in the declaration.
	AgentID string
	// Log takes what happens in the background; never nil.
	Log *slog.Logger
}

// Registry lists the drivers that a program knows, by type.
type Registry map[string]Driver

// NewRegistry makes a Registry. Two drivers of one type are a mistake of the
// program, reported as an error.
func NewRegistry(drivers ...Driver) (Registry, error) {
	r := make(Registry, len(drivers))
	for _, d := range drivers {
		if _, taken := r[d.Type]; taken {
			return nil, fmt.Errorf("two drivers of type %q", d.Type)
		}
		r[d.Type] = d
	}
	return r, nil
}

// Types lists the known types in order.
func (r Registry) Types() []string {
	types := make([]string, 0, len(r))
	for t := range r {
		types = append(types, t)
	}
	slices.SortFunc(types, strings.Compare)
	return types
}
