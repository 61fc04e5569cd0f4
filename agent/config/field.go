package config

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// field is one key of a mapping, as the tags of a struct's field tell it. The
// decoder, the schema and the reference all read declarations' types through
// it; [backends.Driver] documents the tags.
type field struct {
	// name is the key, index the place of its field in the struct.
	name  string
	index []int
	typ   reflect.Type
	doc   string
	// required: the key must be given. text is the default as YAML would
	// say it; hasText tells "" from none.
	required bool
	text     string
	hasText  bool
	// enum are the only values allowed; nil allows all.
	enum []string
	// path: the value is a file's path, relative ones count from the base.
	path bool
	// words are what may stand instead of a duration, in a field of type
	// span.
	words []string
	// pattern is a rule for a text of the declaration's own keys.
	pattern *regexp.Regexp
	// literal: the value takes no ${env:NAME}.
	literal bool
}

// fieldsOf lists the keys of a struct type in the order of its fields, those
// of embedded structs in their place.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		text, hasText := f.Tag.Lookup("default")
		all = append(all, field{
			name: name, index: f.Index, typ: f.Type, doc: f.Tag.Get("doc"),
			required: f.Tag.Get("required") == "true",
			text:     text, hasText: hasText,
			enum: words(f.Tag.Get("enum")), words: words(f.Tag.Get("words")),
			path: f.Tag.Get("path") == "true", pattern: pattern(f.Tag.Get("pattern")),
			literal: (t == sourceType || t == credentialType) && name == "env",
		})
	}
	return all
}

func pattern(tag string) *regexp.Regexp {
	if tag == "" {
		return nil
	}
	return regexp.MustCompile(tag)
}

func words(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, "|")
}

// span is a duration for which a word may stand: "never", "until-unused".
type span struct {
	d    time.Duration
	word string
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	spanType     = reflect.TypeFor[span]()
	sourceType   = reflect.TypeFor[secret.Source]()
	// credentialType is the agent's own.
	credentialType = reflect.TypeFor[credentialKeys]()
	backendType    = reflect.TypeFor[backendKeys]()
	targetType     = reflect.TypeFor[targetKeys]()
	fromType       = reflect.TypeFor[fromKeys]()
	toType         = reflect.TypeFor[toKeys]()
)

// validator is what an option type has for rules that tags can't say.
type validator interface{ Validate() error }
