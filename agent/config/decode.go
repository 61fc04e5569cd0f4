package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends"
)

// decoder fills Go values from YAML nodes by the one reflective walk. It
// collects problems and goes on, so that all are found at once.
type decoder struct {
	file     string
	registry backends.Registry
	env      func(string) (string, bool)
	base     string
	problems []Problem
	// places are where keys and values stand, by their path of keys.
	places map[string]place
	// bad are the paths whose values were not understood, faults how often
	// that came about.
	bad    map[string]bool
	faults int
	// follower: the file declares a follower, not an agent.
	follower bool
	// leaked: the text holds what looks like a secret, which is reported.
	leaked bool
	// fields are those of the types met so far.
	fields map[reflect.Type][]field
	// backends are the entries decoded so far, by name: a target's keys
	// depend on its backend's type.
	backends map[string]*backendKeys
}

type place struct{ key, value *yaml.Node }

// maxProblems is how many problems are told. A file with more of them is no
// declaration.
const maxProblems = 1000

// report adds a problem at a node.
func (d *decoder) report(n *yaml.Node, path, format string, args ...any) {
	d.fault(path)
	if !d.full() {
		d.problems = append(d.problems, Problem{
			File: d.file, Line: n.Line, Column: n.Column, Key: path, Message: fmt.Sprintf(format, args...),
		})
	}
}

// full reports whether there are problems enough to stop looking.
func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

// fieldsOf is the function of that name, asked once for each type.
func (d *decoder) fieldsOf(t reflect.Type) []field {
	if _, known := d.fields[t]; !known {
		d.fields[t] = fieldsOf(t)
	}
	return d.fields[t]
}

// fault marks a value that can't be used.
func (d *decoder) fault(path string) {
	d.bad[path] = true
	d.faults++
}

// join is the path of a key in the mapping at path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// value fills out from n. f carries the rules of the key that n stands under.
func (d *decoder) value(n *yaml.Node, path string, out reflect.Value, f field) {
	n = follow(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.report(n, path, "%s has no value; give it one, or leave the key out", lastKey(path))
		return
	}
	switch t := out.Type(); {
	case t == sourceType:
		d.source(n, path, out)
	case t == credentialType:
		d.credential(n, path, out)
	case t == backendType:
		d.backend(n, path, out.Addr().Interface().(*backendKeys))
	case t == targetType:
		d.target(n, path, out.Addr().Interface().(*targetKeys))
	case t == fromType:
		from := out.Addr().Interface().(*fromKeys)
		from.options, from.ok = d.place(n, path, out, reflect.ValueOf(&from.spec).Elem())
	case t == toType:
		to := out.Addr().Interface().(*toKeys)
		to.options, to.ok = d.place(n, path, out, reflect.ValueOf(&to.spec).Elem())
	case t == spanType, t == durationType:
		d.scalar(n, path, out, f)
	case t.Kind() == reflect.Pointer:
		made := reflect.New(t.Elem())
		d.value(n, path, made.Elem(), f)
		if !d.bad[path] {
			out.Set(made)
		}
	case t.Kind() == reflect.Struct:
		d.mapping(n, path, out)
	case t.Kind() == reflect.Map:
		d.namedValues(n, path, out, f)
	case t.Kind() == reflect.Slice:
		d.list(n, path, out, f)
	default:
		d.scalar(n, path, out, f)
	}
}

// lastKey is the last element of a path, for messages.
func lastKey(path string) string {
	return strconv.Quote(path[strings.LastIndex(path, ".")+1:])
}

func (d *decoder) list(n *yaml.Node, path string, out reflect.Value, f field) {
	if n.Kind != yaml.SequenceNode {
		d.report(n, path, "%s must be a list (lines that begin with -, or [a, b]), not %s", lastKey(path), kindOf(n))
		return
	}
	items := reflect.MakeSlice(out.Type(), len(n.Content), len(n.Content))
	for i, child := range n.Content {
		if d.full() {
			return
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = place{child, child}
		d.value(child, at, items.Index(i), f)
	}
	out.Set(items)
}

func (d *decoder) namedValues(n *yaml.Node, path string, out reflect.Value, f field) {
	entries, ok := d.entries(n, path)
	if !ok {
		return
	}
	filled := reflect.MakeMapWithSize(out.Type(), len(entries))
	for _, e := range entries {
		if d.full() {
			return
		}
		at := join(path, e.name)
		d.places[at] = place{e.key, e.value}
		item := reflect.New(out.Type().Elem()).Elem()
		d.value(e.value, at, item, f)
		filled.SetMapIndex(reflect.ValueOf(e.name).Convert(out.Type().Key()), item)
	}
	out.Set(filled)
}

// mapping fills one or several structs from the keys of one mapping. It
// reports whether all went well.
func (d *decoder) mapping(n *yaml.Node, path string, outs ...reflect.Value) bool {
	return d.keys(n, path, nil, outs...)
}

// keys is mapping that overlooks some keys which outs don't have.
func (d *decoder) keys(n *yaml.Node, path string, overlooked map[string]bool, outs ...reflect.Value) bool {
	entries, ok := d.entries(n, path)
	if !ok {
		return false
	}
	before := d.faults
	given := make(map[string]entry, len(entries))
	for _, e := range entries {
		given[e.name] = e
	}
	var known []string
	for _, out := range outs {
		for _, f := range d.fieldsOf(out.Type()) {
			known = append(known, f.name)
			at := join(path, f.name)
			e, ok := given[f.name]
			delete(given, f.name)
			if !ok {
				d.leftOut(n, at, out.FieldByIndex(f.index), f)
				continue
			}
			d.places[at] = place{e.key, e.value}
			d.value(e.value, at, out.FieldByIndex(f.index), f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if overlooked[name] || d.full() {
			continue
		}
		d.unknown(given[name], join(path, name), known)
	}
	ok = d.faults == before
	for _, out := range outs {
		ok = ok && d.validate(n, path, out)
	}
	return ok
}

// leftOut gives a key that isn't there its default.
func (d *decoder) leftOut(parent *yaml.Node, path string, out reflect.Value, f field) {
	switch {
	case f.required:
		d.report(parent, path, "the key %q is missing (%s); add it", f.name, f.doc)
	case f.hasText:
		d.fromText(parent, path, f.text, out, f)
	case out.Kind() == reflect.Struct && out.Type() != sourceType && out.Type() != credentialType && out.Type() != spanType:
		for _, inner := range d.fieldsOf(out.Type()) {
			inner.required = false
			d.leftOut(parent, join(path, inner.name), out.FieldByIndex(inner.index), inner)
		}
	}
}

// later are keys that the documents name and this version doesn't know.
var later = map[string]string{
	"state.postgres": "PostgreSQL as the journal is not supported in this version; use sqlite",
}

// agentsOwn are the keys of an agent's file that a follower's file must not
// have.
var agentsOwn = []string{"agent", "state", "qualytics", "defaults", "environments", "accounts"}

func (d *decoder) unknown(e entry, path string, known []string) {
	if says, ok := later[path]; ok {
		d.report(e.key, path, "%s", says)
		return
	}
	if d.follower && slices.Contains(agentsOwn, path) {
		d.report(e.key, path, "%q belongs to an agent, and this file declares a follower, for it has the key follow; "+
			"a follower issues nothing: give the two a file each", e.name)
		return
	}
	if secretKeys[strings.ToLower(e.name)] && follow(e.value).Kind == yaml.ScalarNode {
		d.report(e.value, path, "%q is a secret by its name; %s", e.name, leakAdvice)
	}
	slices.Sort(known)
	d.report(e.key, path, "unknown key %q; %s", e.name, suggest(e.name, "the keys here are", known))
}

// validate asks an option type for its own rules. An error that begins with a
// key's name is shown at that key.
func (d *decoder) validate(n *yaml.Node, path string, out reflect.Value) bool {
	v, ok := out.Addr().Interface().(validator)
	if !ok {
		return true
	}
	err := v.Validate()
	for _, one := range flatten(err) {
		word, _, _ := strings.Cut(one.Error(), " ")
		at := join(path, strings.TrimRight(word, ":"))
		for at != path && d.places[at].value == nil {
			at = at[:max(strings.LastIndex(at, "."), len(path))]
		}
		node := n
		if p := d.places[at]; p.value != nil {
			node = p.value
		}
		d.report(node, at, "%s", one)
	}
	return err == nil
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	var several interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		var all []error
		for _, one := range several.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	return []error{err}
}
