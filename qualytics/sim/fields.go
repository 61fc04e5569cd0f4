package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// field is one key of a body or of a query: what is accepted, and what the
// OpenAPI document says of it. Both come from here, so they can't drift apart.
type field struct {
	name     string
	kind     kind
	required bool
	nullable bool
	// min and max bound an integer, or the characters of a text; 0 is none.
	min, max int
	enum     []string
}

// kind is the JSON type of a field.
type kind string

const (
	text    kind = "string"
	integer kind = "integer"
	boolean kind = "boolean"
	texts   kind = "array"
)

// problem is one entry of a 422, in the manner of FastAPI (guess).
type problem struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
}

// values are the fields that were given and are valid: string, int64, bool,
// []string, or nil for null.
type values map[string]any

func (v values) text(name string) string { s, _ := v[name].(string); return s }
func (v values) int(name string) int64   { n, _ := v[name].(int64); return n }
func (v values) bool(name string) bool   { b, _ := v[name].(bool); return b }
func (v values) texts(name string) []string {
	list, _ := v[name].([]string)
	return list
}

// has reports whether the field was given and isn't null.
func (v values) has(name string) bool { return v[name] != nil }

// invalid is the refusal of a request that doesn't validate.
func invalid(problems ...problem) error {
	return &refusal{status: http.StatusUnprocessableEntity, detail: problems}
}

// parseBody checks a JSON object against fields. Keys that no field names are
// ignored, as FastAPI does. All problems are reported at once.
func parseBody(contentType string, body []byte, fields []field) (values, error) {
	var given map[string]json.RawMessage
	if !isJSON(contentType) {
		return nil, invalid(problem{"model_attributes_type", []any{"body"}, "Input should be a valid dictionary or object to extract fields from"})
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, invalid(problem{"missing", []any{"body"}, "Field required"})
	}
	if !json.Valid(body) {
		return nil, invalid(problem{"json_invalid", []any{"body", 0}, "JSON decode error"})
	}
	if err := json.Unmarshal(body, &given); err != nil || given == nil {
		return nil, invalid(problem{"model_attributes_type", []any{"body"}, "Input should be a valid dictionary or object to extract fields from"})
	}
	out := values{}
	var problems []problem
	for _, f := range fields {
		raw, found := given[f.name]
		value, typ, msg := f.read(raw, found)
		if typ != "" {
			problems = append(problems, problem{typ, []any{"body", f.name}, msg})
		} else if found {
			out[f.name] = value
		}
	}
	if problems != nil {
		return nil, invalid(problems...)
	}
	return out, nil
}

// isJSON accepts JSON types and, as FastAPI does, no type at all.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

var digits = regexp.MustCompile(`^-?[0-9]+$`)

// read decodes one JSON value; typ is the kind of problem, "" for none.
func (f field) read(raw json.RawMessage, found bool) (value any, typ, msg string) {
	switch {
	case !found && f.required:
		return nil, "missing", "Field required"
	case !found:
		return nil, "", ""
	case string(raw) == "null" && f.nullable:
		return nil, "", ""
	}
	switch f.kind {
	case text:
		var s *string
		if json.Unmarshal(raw, &s) != nil || s == nil {
			return nil, "string_type", "Input should be a valid string"
		}
		return f.checkText(*s)
	case integer:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || !digits.Match(raw) {
			return nil, "int_type", "Input should be a valid integer"
		}
		return f.checkInt(n)
	case boolean:
		if s := string(raw); s != "true" && s != "false" {
			return nil, "bool_type", "Input should be a valid boolean"
		}
		return string(raw) == "true", "", ""
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, "list_type", "Input should be a valid list of strings"
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, "string_type", "Input should be a valid string"
		}
		out[i] = *s
	}
	return out, "", ""
}

func (f field) checkText(s string) (value any, typ, msg string) {
	n := utf8.RuneCountInString(s)
	switch {
	case n < f.min:
		return nil, "string_too_short", fmt.Sprintf("String should have at least %d character", f.min)
	case f.max > 0 && n > f.max:
		return nil, "string_too_long", fmt.Sprintf("String should have at most %d characters", f.max)
	}
	for _, allowed := range f.enum {
		if s == allowed {
			return s, "", ""
		}
	}
	if f.enum != nil {
		return nil, "enum", "Input should be '" + strings.Join(f.enum, "', '") + "'"
	}
	return s, "", ""
}

func (f field) checkInt(n int64) (value any, typ, msg string) {
	switch {
	case f.min != 0 && n < int64(f.min):
		return nil, "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", f.min)
	case f.max != 0 && n > int64(f.max):
		return nil, "less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", f.max)
	}
	return n, "", ""
}

// parseQuery checks a query string against fields.
func parseQuery(query url.Values, fields []field) (values, error) {
	out := values{}
	var problems []problem
	for _, f := range fields {
		if !query.Has(f.name) {
			continue
		}
		raw := query.Get(f.name)
		var value any
		var typ, msg string
		switch f.kind {
		case text:
			value, typ, msg = f.checkText(raw)
		default:
			value, typ, msg = f.read(json.RawMessage(raw), true)
		}
		if typ != "" {
			problems = append(problems, problem{typ, []any{"query", f.name}, msg})
			continue
		}
		out[f.name] = value
	}
	if problems != nil {
		return nil, invalid(problems...)
	}
	return out, nil
}
