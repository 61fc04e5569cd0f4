package config

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends/secret"
)

// scalar fills out from a single value.
func (d *decoder) scalar(n *yaml.Node, path string, out reflect.Value, f field) {
	wanted, tags := "text", []string{"!!str"}
	switch out.Kind() {
	case reflect.Bool:
		wanted, tags = "true or false", []string{"!!bool"}
	case reflect.Int:
		wanted, tags = "a whole number", []string{"!!int"}
	case reflect.Float64:
		wanted, tags = "a number", []string{"!!int", "!!float"}
	}
	if out.Type() == durationType || out.Type() == spanType {
		wanted = "a duration with a unit, such as 7d or 12h"
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		not := kindOf(n)
		switch {
		case n.Kind == yaml.ScalarNode && wanted == "text":
			not += "; put it in quotes"
		case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float":
			not = "one with a fraction or so many digits"
		}
		d.report(n, path, "%s must be %s, not %s", lastKey(path), wanted, not)
		return
	}
	if d.leaks(n, path, n.Value) {
		return
	}
	if text, ok := d.expand(n, path, f); ok {
		d.fromText(n, path, text, out, f)
	}
}

// variable is the one form of interpolation, and what looks like a try at it.
var variable = regexp.MustCompile(`\$\{env:([^}]*)(\}?)`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand puts the environment's values in. A key with fixed values takes none:
// it would hide from the schema what is declared.
func (d *decoder) expand(n *yaml.Node, path string, f field) (string, bool) {
	text := n.Value
	before := d.faults
	switch {
	case !variable.MatchString(text):
		return text, true
	case f.enum != nil:
		d.report(n, path, "%s takes no ${env:…}; write one of: %s", lastKey(path), strings.Join(f.enum, ", "))
		return "", false
	case f.literal:
		d.report(n, path, "%s takes no ${env:…}: it is the name of the variable that holds the secret; write the name", lastKey(path))
		return "", false
	}
	text = variable.ReplaceAllStringFunc(text, func(found string) string {
		part := variable.FindStringSubmatch(found)
		name := part[1]
		if part[2] == "" || !variableName.MatchString(name) {
			d.report(n, path, "${env:…} needs the name of a variable and a closing brace, as in ${env:NAME}")
			return ""
		}
		value, ok := d.env(name)
		if !ok {
			d.report(n, path, "the environment variable %s is not set; set it, or write the value itself", name)
		} else if what, _ := leakIn(value); what != "" {
			d.report(n, path, "the environment variable %s holds what looks like %s; ${env:…} is for values that are not secret: "+
				"where a credential is wanted, write {env: %s}", name, what, name)
		}
		return value
	})
	return text, d.faults == before
}

// fromText fills out from a text that is known to be of the right kind.
func (d *decoder) fromText(n *yaml.Node, path, text string, out reflect.Value, f field) {
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		d.report(n, path, "%s can't be %q; %s", lastKey(path), text, suggest(text, "choose one of", f.enum))
		return
	}
	switch {
	case out.Type() == durationType:
		length, err := ParseDuration(text)
		if err != nil {
			d.report(n, path, "%s: %v", lastKey(path), err)
			return
		}
		out.SetInt(int64(length))
	case out.Type() == spanType:
		d.span(n, path, text, out, f)
	case out.Kind() == reflect.Bool:
		out.SetBool(strings.EqualFold(text, "true"))
	case out.Kind() == reflect.Int:
		d.integer(n, path, text, out)
	case out.Kind() == reflect.Float64:
		number, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			d.report(n, path, "%s must be a plain number such as 2.5", lastKey(path))
			return
		}
		out.SetFloat(number)
	case out.Kind() == reflect.String:
		d.text(n, path, text, out, f)
	default:
		d.report(n, path, "%s has a type that declarations can't hold (%s)", lastKey(path), out.Type())
	}
}

func (d *decoder) integer(n *yaml.Node, path, text string, out reflect.Value) {
	number, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 0)
	if err != nil {
		d.report(n, path, "%s is not a whole number that fits", lastKey(path))
		return
	}
	out.SetInt(number)
}

func (d *decoder) span(n *yaml.Node, path, text string, out reflect.Value, f field) {
	if slices.Contains(f.words, text) {
		out.Set(reflect.ValueOf(span{word: text}))
		return
	}
	length, err := ParseDuration(text)
	if err != nil {
		or := ""
		if len(f.words) > 0 {
			or = fmt.Sprintf("; or write %s", strings.Join(f.words, ", "))
		}
		d.report(n, path, "%s: %v%s", lastKey(path), err, or)
		return
	}
	out.Set(reflect.ValueOf(span{d: length}))
}

func (d *decoder) text(n *yaml.Node, path, text string, out reflect.Value, f field) {
	switch {
	case f.required && strings.TrimSpace(text) == "":
		d.report(n, path, "%s is empty (%s); fill it", lastKey(path), f.doc)
		return
	case f.pattern != nil && !f.pattern.MatchString(text):
		d.report(n, path, "%s is %q, which is not allowed; it must match %s", lastKey(path), text, f.pattern)
		return
	case f.path:
		text = d.rooted(text)
	}
	out.SetString(text)
}

// rooted is a file's path seen from the base.
func (d *decoder) rooted(path string) string {
	if path == "" || d.base == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.base, path)
}

// notASource reports a text where the place of a secret is wanted.
func (d *decoder) notASource(n *yaml.Node, path string) {
	if !d.leaks(n, path, n.Value) {
		d.report(n, path, "%s must name the place of the secret, {file: /path} or {env: NAME}, not be the secret; "+
			"if a secret stood here, replace it, for others may have read it", lastKey(path))
	}
}

// source fills a secret.Source: exactly one of file and env, never the secret
// itself.
func (d *decoder) source(n *yaml.Node, path string, out reflect.Value) {
	if n.Kind == yaml.ScalarNode {
		d.notASource(n, path)
		return
	}
	if !d.mapping(n, path, out) {
		return
	}
	s := out.Addr().Interface().(*secret.Source)
	switch {
	case s.IsZero():
		d.report(n, path, "%s must say where the secret stands: {file: /path} or {env: NAME}", lastKey(path))
	case s.File != "" && s.Env != "":
		d.report(n, path, "%s names both a file and an environment variable; keep one", lastKey(path))
	case s.Env != "" && !variableName.MatchString(s.Env):
		d.report(n, path, "env must be the name of an environment variable: letters, digits and underscores")
		*s = secret.Source{}
	}
	s.File = d.rooted(s.File)
}
