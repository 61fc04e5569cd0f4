// Package config turns the declaration, a YAML file, into a [Declaration] that
// the agent can act on. It is strict: a key that nobody knows is an error, all
// errors are reported at once, and each has its place in the file. It needs no
// network and reads no credential.
//
// One reflective walk over the tags of Go types (the declaration's own and the
// drivers', see [backends.Driver]) decodes, checks and describes: [Schema] is
// made from the same types.
package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends"
)

// Option changes how a declaration is read.
type Option func(*decoder)

// Base sets the folder from which relative paths in the declaration count
// (the journal, the control socket, CA files, credential files, and what
// drivers mark as a path). [Load] takes the folder of the file, [Parse] leaves
// relative paths as they are.
func Base(folder string) Option { return func(d *decoder) { d.base = folder } }

// Document is what a file declares: an agent, or a follower. One of the two is
// nil.
type Document struct {
	Agent    *Declaration
	Follower *Following
}

// Warnings are what is legal and doubtful in the file, sorted by place.
func (d Document) Warnings() []Problem { return *d.warnings() }

func (d Document) warnings() *[]Problem {
	if d.Follower != nil {
		return &d.Follower.Warnings
	}
	return &d.Agent.Warnings
}

// Load reads the declaration of an agent in a file. env looks up variables for
// ${env:NAME}; os.LookupEnv is meant, and with nil no variable is set. What is
// wrong comes back as *[Errors]; doubts are in the Declaration's Warnings.
func Load(path string, registry backends.Registry, env func(string) (string, bool), options ...Option) (*Declaration, error) {
	document, err := LoadDocument(path, registry, env, options...)
	return ofAgent(path, document, err)
}

// LoadFollowing is Load for the declaration of a follower.
func LoadFollowing(path string, registry backends.Registry, env func(string) (string, bool), options ...Option) (*Following, error) {
	document, err := LoadDocument(path, registry, env, options...)
	if err == nil && document.Follower == nil {
		return nil, other(path, "this file declares an agent, for it has no key follow; run it with `handover run`")
	}
	return document.Follower, err
}

// LoadDocument is Load for whatever the file declares.
func LoadDocument(path string, registry backends.Registry, env func(string) (string, bool), options ...Option) (Document, error) {
	text, err := readFile(path)
	if err != nil {
		return Document{}, &Errors{[]Problem{{File: path, Message: "can't read the declaration: " + err.Error()}}}
	}
	base := []Option{Base(filepath.Dir(path))}
	return ParseDocument(path, text, registry, env, append(base, options...)...)
}

func ofAgent(name string, document Document, err error) (*Declaration, error) {
	if err == nil && document.Agent == nil {
		return nil, other(name, "this file declares a follower, for it has the key follow; run it with `handover follow`")
	}
	return document.Agent, err
}

// other says that a file declares something else than was asked for.
func other(name, says string) *Errors {
	return &Errors{[]Problem{{File: name, Line: 1, Column: 1, Message: says}}}
}

// readFile reads at most one byte more than a declaration may have.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer func() { _ = f.Close() }() // it was only read
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, maxText+1)); err == nil {
			return text, nil
		}
	}
	var where *fs.PathError
	if errors.As(err, &where) { // the path is told already
		err = where.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such file; name yours with -c, or begin with one of examples/")
	}
	return nil, err
}

// Parse is Load for a text; name stands for the file in problems.
func Parse(name string, text []byte, registry backends.Registry, env func(string) (string, bool), options ...Option) (*Declaration, error) {
	document, err := ParseDocument(name, text, registry, env, options...)
	return ofAgent(name, document, err)
}

// ParseDocument is Parse for whatever the text declares.
func ParseDocument(name string, text []byte, registry backends.Registry, env func(string) (string, bool), options ...Option) (Document, error) {
	clean, problem := readText(name, text)
	if problem != nil {
		return Document{}, &Errors{[]Problem{*problem}}
	}
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	d := &decoder{
		file: name, registry: registry, env: env,
		problems: scanForSecrets(name, clean),
		places:   make(map[string]place),
		bad:      make(map[string]bool),
		backends: make(map[string]*backendKeys),
		fields:   make(map[reflect.Type][]field),
	}
	d.leaked = len(d.problems) > 0
	for _, option := range options {
		option(d)
	}
	top, problem := parseYAML(name, clean)
	if problem == nil {
		problem = checkBounds(name, top)
	}
	if problem != nil {
		return Document{}, &Errors{sorted(append(d.problems, *problem))}
	}
	return d.document(follow(top))
}

// document decodes and checks the whole file.
func (d *decoder) document(top *yaml.Node) (Document, error) {
	d.places[""] = place{top, top}
	d.follower = d.valueAt(top, "follow") != nil
	var agents fileKeys
	var followers followFileKeys
	keys := reflect.ValueOf(&agents).Elem()
	if d.follower {
		keys = reflect.ValueOf(&followers).Elem()
	}
	d.mapping(top, "", keys)
	if top.Kind != yaml.MappingNode || d.full() {
		return Document{}, &Errors{sorted(d.problems)}
	}
	c := &checker{decoder: d, taken: make(map[string]string), used: make(map[string]bool), volatile: make(map[string]bool)}
	var document Document
	if d.follower {
		document.Follower = c.following(&followers)
	} else {
		document.Agent = c.check(&agents)
	}
	if len(d.problems) > 0 {
		return Document{}, &Errors{sorted(d.problems)}
	}
	*document.warnings() = sorted(c.warnings)
	return document, nil
}
