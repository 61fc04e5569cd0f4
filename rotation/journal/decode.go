package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// decode reads a body into rec, the pointer to a record, which is to be thrown
// away on an error. It takes what a commit writes, in any order and spacing. A
// name that no field has is an error, for it is a name mistyped: a release
// that drops a field adds a migration that takes it out. So is null, which is
// never written. field is the place of the error.
func decode(body string, rec any) (field string, err error) {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(rec)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			return "", errors.New("something follows the JSON")
		}
		if !strings.Contains(body, "null") {
			return "", nil
		}
	}
	field, found := fault([]byte(body), reflect.TypeOf(rec).Elem())
	if found == nil { // such as text that says null
		found = err
	}
	return field, found
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// fault finds the first place in a JSON text that isn't as t asks for.
func fault(text []byte, t reflect.Type) (field string, err error) {
	text = bytes.TrimSpace(text)
	if string(text) == "null" {
		return "", mismatch(text, t)
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return "", leaf(text, t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fault(text, t.Elem())
	case reflect.Struct:
		return eachMember(text, t, func(name string) (string, reflect.Type) {
			f, ok := member(t, name)
			if !ok {
				return name, nil
			}
			return name, f.Type
		})
	case reflect.Map:
		return eachMember(text, t, func(name string) (string, reflect.Type) { return fmt.Sprintf("[%q]", name), t.Elem() })
	case reflect.Slice:
		var elements []json.RawMessage
		if err := leafInto(text, t, &elements); err != nil {
			return "", err
		}
		for i, e := range elements {
			if part, err := fault(e, t.Elem()); err != nil {
				return join(fmt.Sprintf("[%d]", i), part), err
			}
		}
		return "", nil
	}
	return "", leaf(text, t)
}

// eachMember looks at the members of an object; of says how a member's place is
// written, and its type; nil is none.
func eachMember(text []byte, t reflect.Type, of func(name string) (string, reflect.Type)) (field string, err error) {
	var members map[string]json.RawMessage
	if err := leafInto(text, t, &members); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		place, t := of(name)
		if t == nil {
			return place, errors.New("there is no such field")
		}
		if part, err := fault(members[name], t); err != nil {
			return join(place, part), err
		}
	}
	return "", nil
}

// member is the field of that JSON name, as package json finds it.
func member(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag != "-" && strings.EqualFold(tag, name) {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// join puts a place in front of a place in it: "targets", `["a"].state`.
func join(place, part string) string {
	if part == "" || strings.HasPrefix(part, "[") {
		return place + part
	}
	return place + "." + part
}

func leaf(text []byte, t reflect.Type) error { return leafInto(text, t, reflect.New(t).Interface()) }

// leafInto reads text, which is to be of type t, into into.
func leafInto(text []byte, t reflect.Type, into any) error {
	err := json.Unmarshal(text, into)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return mismatch(text, t)
}

// mismatch says what is there and what isn't.
func mismatch(text []byte, t reflect.Type) error {
	kind := "a number"
	switch text[0] {
	case '"':
		kind = "text"
	case '{':
		kind = "an object"
	case '[':
		kind = "a list"
	case 't', 'f':
		kind = "a truth value"
	case 'n':
		kind = "null"
	default:
		if len(text) <= 20 {
			kind = "the number " + string(text)
		}
	}
	return fmt.Errorf("there is %s, want %s", kind, wanted(t))
}

func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return "a time such as 2026-01-02T03:04:05Z"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Uint64:
		return "a whole number from 0"
	}
	return "a whole number"
}
