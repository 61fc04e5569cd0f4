package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/payload"
)

const reference = "../../docs/declaration.md"

// section is a table of keys in the reference: <!-- keys: NAME --> … <!-- end -->.
var section = regexp.MustCompile(`(?s)<!-- keys: ([^>]*) -->\n.*?<!-- end -->`)

// TestReference keeps the tables of docs/declaration.md as the types have them.
func TestReference(t *testing.T) {
	tables := referenceTables(t)
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	want := section.ReplaceAllStringFunc(string(text), func(found string) string {
		name := section.FindStringSubmatch(found)[1]
		table, known := tables[name]
		if !known {
			t.Errorf("the reference has a table %q that no type stands for", name)
		}
		used[name] = true
		return "<!-- keys: " + name + " -->\n" + table + "<!-- end -->"
	})
	for name := range tables {
		if !used[name] {
			t.Errorf("the reference has no table %q", name)
		}
	}
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("docs/declaration.md is not as the types are; run this test with -update and read what changed")
	}
}

// referenceTables are all tables of keys, by the path that a reader would use.
func referenceTables(t *testing.T) map[string]string {
	t.Helper()
	tables := make(map[string]string)
	addTables(tables, "the file", reflect.TypeFor[fileKeys]())
	addTables(tables, "a follower's file", reflect.TypeFor[followFileKeys]())
	addTables(tables, "a format", reflect.TypeFor[payload.Spec]())
	for _, driver := range all.Drivers() {
		addTables(tables, "type: "+driver.Type, reflect.TypeOf(driver.Options()).Elem())
		if driver.TargetOptions != nil {
			addTables(tables, "a target in "+driver.Type, reflect.TypeOf(driver.TargetOptions()).Elem())
		}
	}
	return tables
}

// addTables adds the table of t and those of the mappings in it.
func addTables(tables map[string]string, name string, t reflect.Type) {
	var table strings.Builder
	table.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.name, valueWords(f), defaultWords(f), strings.ReplaceAll(f.doc, "|", `\|`))
		inner := f.typ
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != spanType {
			addTables(tables, tableName(name, f.name, inner), inner)
		}
	}
	tables[name] = table.String()
}

// tableName calls what stands in several places by one name, and the rest by
// where it stands.
func tableName(parent, key string, t reflect.Type) string {
	for name, own := range map[string]reflect.Type{
		"an account": reflect.TypeFor[accountKeys](), "a token": reflect.TypeFor[tokenKeys](),
		"a target": targetType, "a backend": backendType, "a credential": sourceType, "the agent's credential": credentialType,
		"an environment": reflect.TypeFor[environmentKeys](), "rotation": reflect.TypeFor[rotationKeys](),
		"follow": reflect.TypeFor[followKeys](), "an entry": reflect.TypeFor[entryKeys](), "from": fromType, "to": toType,
		"a hook": reflect.TypeFor[hookKeys](), "a hook after a delivery": reflect.TypeFor[deliveryHookKeys](),
		"a hook after a revocation": reflect.TypeFor[tellKeys](), "notify": reflect.TypeFor[notifyKeys](),
	} {
		if t == own {
			return name
		}
	}
	if parent == "the file" {
		return key
	}
	return parent + ", " + key
}

// valueWords says what may stand under a key.
func valueWords(f field) string {
	quoted := func(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.enum != nil:
		return quoted(f.enum)
	case t == durationType, t == spanType && f.words == nil:
		return "duration"
	case t == spanType:
		return "duration or " + quoted(f.words)
	case t == sourceType:
		return "credential"
	case f.path:
		return "path"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "mapping"
	case reflect.Map:
		return "mapping by name"
	case reflect.Slice:
		return "list"
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	if f.pattern != nil {
		return "text, `" + strings.ReplaceAll(f.pattern.String(), "|", `\|`) + "`"
	}
	return "text"
}

func defaultWords(f field) string {
	switch {
	case f.required:
		return "**required**"
	case f.hasText && f.text != "":
		return "`" + f.text + "`"
	}
	return ""
}
