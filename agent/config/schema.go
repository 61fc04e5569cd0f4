package config

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
)

// object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// Schema is the JSON Schema (draft 2020-12) of a declaration with these
// drivers, as editors use it, with a newline at its end. It is made from the
// types that the decoder fills. What only the whole shows (two targets on one
// place, settings that don't fit each other) is left to `handover validate`.
func Schema(registry backends.Registry) ([]byte, error) {
	s := schema{registry}
	ref := func(name string) object { return object{"$ref": "#/$defs/" + name} }
	root := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Handover declaration",
		"type":    "object",
		"if":      object{"required": []string{"follow"}},
		"then":    ref("follower"),
		"else":    ref("agent"),
		"$defs": object{
			"agent":    s.mapping(reflect.TypeFor[fileKeys]()),
			"follower": s.mapping(reflect.TypeFor[followFileKeys]()),
			"backend":  s.backend(),
		},
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(root)
	return text.Bytes(), err
}

type schema struct{ registry backends.Registry }

// mapping is the schema of one mapping that is decoded into several structs.
func (s schema) mapping(types ...reflect.Type) object {
	properties := object{}
	required := []string{}
	for _, t := range types {
		for _, f := range fieldsOf(t) {
			s.add(properties, f.name, s.field(f))
			if f.required {
				required = append(required, f.name)
			}
		}
	}
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// add puts a key's schema in; a key that two drivers understand differently
// may be either.
func (s schema) add(properties object, name string, one object) {
	switch other, taken := properties[name].(object); {
	case !taken || reflect.DeepEqual(other, one):
		properties[name] = one
	case other["anyOf"] != nil:
		other["anyOf"] = append(other["anyOf"].([]object), one)
	default:
		properties[name] = object{"anyOf": []object{other, one}}
	}
}

// field is the schema of what stands under a key.
func (s schema) field(f field) object {
	o := s.value(f.typ, f)
	if f.doc != "" {
		o["description"] = f.doc
	}
	if f.hasText {
		o["default"] = literal(f.typ, f.text)
	}
	return o
}

func (s schema) value(t reflect.Type, f field) object {
	switch t {
	case sourceType:
		return s.source()
	case credentialType:
		return s.credential()
	case backendType:
		return object{"$ref": "#/$defs/backend"}
	case targetType, fromType, toType:
		return s.place(t)
	case durationType, spanType:
		return duration(f)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem(), f)
	case reflect.Struct:
		return s.mapping(t)
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.value(t.Elem(), f)}
	case reflect.Slice:
		return object{"type": "array", "items": s.value(t.Elem(), f)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return choice(object{"type": "integer"}, t, f)
	case reflect.Float64:
		return object{"type": "number"}
	}
	return choice(text(f), t, f)
}

// text is the schema of a text; ${env:NAME} may stand in it.
func text(f field) object {
	o := object{"type": "string"}
	if f.enum != nil {
		return o
	}
	if f.pattern != nil {
		o["pattern"] = f.pattern.String() + `|\$\{env:`
	}
	if f.required {
		o["minLength"] = 1
	}
	return o
}

// choice adds the fixed values.
func choice(o object, t reflect.Type, f field) object {
	if f.enum == nil {
		return o
	}
	values := make([]any, len(f.enum))
	for i, text := range f.enum {
		values[i] = literal(t, text)
	}
	o["enum"] = values
	return o
}

// literal is a tag's text as the JSON value of a type.
func literal(t reflect.Type, text string) any {
	switch {
	case t == durationType:
	case t.Kind() == reflect.Int, t.Kind() == reflect.Float64:
		return json.Number(text)
	case t.Kind() == reflect.Bool:
		return text == "true"
	}
	return text
}

func duration(f field) object {
	pattern := durationPattern
	for _, word := range f.words {
		pattern += "|" + word
	}
	return object{"type": "string", "pattern": `^(` + pattern + `)$|\$\{env:`}
}

// source is one place of a credential.
func (s schema) source() object {
	one := func(key string) object { return object{"required": []string{key}} }
	o := s.mapping(sourceType)
	o["oneOf"] = []object{one("file"), one("env")}
	return o
}

// credential is the agent's own: in a file, a variable, or a backend.
func (s schema) credential() object {
	o := s.mapping(credentialType, reflect.TypeFor[payload.Spec]())
	s.addTargetOptions(o["properties"].(object))
	delete(o, "required") // with self the format is the target's
	o["oneOf"] = []object{{"required": []string{"file"}}, {"required": []string{"env"}}, {"required": []string{"backend", "path"}}}
	return o
}

// backend is a choice between the drivers, made by type.
func (s schema) backend() object {
	var each []object
	for _, kind := range s.registry.Types() {
		o := s.mapping(backendType, reflect.TypeOf(s.registry[kind].Options()).Elem())
		o["properties"].(object)["type"].(object)["const"] = kind
		each = append(each, o)
	}
	return object{"type": "object", "required": []string{"type"}, "oneOf": each}
}

// place knows the keys of every driver, for a schema can't follow the backend's
// name to its type.
func (s schema) place(t reflect.Type) object {
	o := s.mapping(t, reflect.TypeFor[payload.Spec]())
	s.addTargetOptions(o["properties"].(object))
	if t == targetType {
		o["properties"].(object)["consumer"].(object)["enum"] = payload.Consumers()
	}
	return o
}

// addTargetOptions adds what the drivers want of a target.
func (s schema) addTargetOptions(properties object) {
	for _, kind := range s.registry.Types() {
		of := targetOptions(s.registry[kind])
		if of == nil {
			continue
		}
		for _, f := range fieldsOf(reflect.TypeOf(of).Elem()) {
			s.add(properties, f.name, s.field(f))
		}
	}
}
