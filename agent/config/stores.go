package config

import (
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends"
)

// backendName is what a backend may be called: a slash would make
// "backend/path" ambiguous.
var backendName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// backend fills one entry of backends: the type chooses the driver, and the
// driver's options are the other keys.
func (d *decoder) backend(n *yaml.Node, path string, out *backendKeys) {
	name := strings.TrimPrefix(path, "backends.")
	d.backends[name] = out
	if !backendName.MatchString(name) {
		d.report(d.places[path].key, path, "the name %q is not allowed; use letters, digits, '_', '.' and '-', and begin with a letter or digit", name)
	}
	kind, found := d.textAt(n, "type")
	driver, known := d.registry[kind]
	if found && !known {
		d.report(d.valueAt(n, "type"), join(path, "type"), "there is no backend type %q; %s", kind, suggest(kind, "choose one of", d.registry.Types()))
		return
	}
	if !known {
		d.keys(n, path, optionNames(d.registry, options), reflect.ValueOf(out).Elem()) // says what is wrong with type
		return
	}
	out.driver = driver
	out.options = driver.Options()
	out.ok = d.mapping(n, path, reflect.ValueOf(out).Elem(), reflect.ValueOf(out.options).Elem())
}

// target fills one entry of deliver.
func (d *decoder) target(n *yaml.Node, path string, out *targetKeys) {
	out.options, out.ok = d.place(n, path, reflect.ValueOf(out).Elem(), reflect.ValueOf(&out.spec).Elem())
}

// place fills what names a place in a backend, with its format. Which keys it
// may have depends on the backend's type; where that isn't known, no key of any
// driver is unknown.
func (d *decoder) place(n *yaml.Node, path string, outs ...reflect.Value) (options any, ok bool) {
	name, _ := d.textAt(n, "backend")
	if backend, declared := d.backends[name]; declared && backend.driver.Type != "" {
		if options = targetOptions(backend.driver); options != nil {
			outs = append(outs, reflect.ValueOf(options).Elem())
		}
		return options, d.mapping(n, path, outs...)
	}
	return nil, d.keys(n, path, optionNames(d.registry, targetOptions), outs...)
}

// options and targetOptions are the driver's two sets of keys, nil where it
// has none.
func options(driver backends.Driver) any { return driver.Options() }

func targetOptions(driver backends.Driver) any {
	if driver.TargetOptions == nil {
		return nil
	}
	return driver.TargetOptions()
}

// optionNames are the keys in one of the sets of any driver.
func optionNames(registry backends.Registry, set func(backends.Driver) any) map[string]bool {
	names := make(map[string]bool)
	for _, driver := range registry {
		if of := set(driver); of != nil {
			for _, f := range fieldsOf(reflect.TypeOf(of).Elem()) {
				names[f.name] = true
			}
		}
	}
	return names
}

// valueAt is the value of a key of a mapping, before the mapping is decoded;
// nil where there is none.
func (d *decoder) valueAt(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	quiet := decoder{bad: make(map[string]bool)}
	entries, _ := quiet.entries(n, "")
	for _, e := range entries {
		if e.name == name {
			return follow(e.value)
		}
	}
	return nil
}

// textAt is the text under a key of a mapping, with the environment's values.
func (d *decoder) textAt(n *yaml.Node, name string) (string, bool) {
	value := d.valueAt(n, name)
	if value == nil || value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" || value.Value == "" {
		return "", false
	}
	quiet := decoder{bad: make(map[string]bool), env: d.env}
	return quiet.expand(value, name, field{})
}
