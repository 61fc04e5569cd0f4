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

// Load reads the declaration in a file. env looks up variables for ${env:NAME};
// os.LookupEnv is meant, and with nil no variable is set. What is wrong comes back as *[Errors]; doubts are in
// the Declaration's Warnings.
func Load(path string, registry backends.Registry, env func(string) (string, bool), options ...Option) (*Declaration, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, &Errors{[]Problem{{File: path, Message: "can't read the declaration: " + err.Error()}}}
	}
	base := []Option{Base(filepath.Dir(path))}
	return Parse(path, text, registry, env, append(base, options...)...)
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
	clean, problem := readText(name, text)
	if problem != nil {
		return nil, &Errors{[]Problem{*problem}}
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
		return nil, &Errors{sorted(append(d.problems, *problem))}
	}
	top = follow(top)
	d.places[""] = place{top, top}
	var file fileKeys
	d.mapping(top, "", reflect.ValueOf(&file).Elem())
	if top.Kind != yaml.MappingNode || d.full() {
		return nil, &Errors{sorted(d.problems)}
	}
	c := &checker{decoder: d, taken: make(map[string]string), used: make(map[string]bool)}
	declaration := c.check(&file)
	if len(d.problems) > 0 {
		return nil, &Errors{sorted(d.problems)}
	}
	declaration.Warnings = sorted(c.warnings)
	return declaration, nil
}
