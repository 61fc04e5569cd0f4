package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/handover-agent/handover/backends/secret"
)

// maxMetadataValue is the longest value in custom metadata, in bytes (Vault's
// documents, "Create/Update metadata").
const maxMetadataValue = 512

// layout says how a payload was laid into an entry, so that it can be given
// back byte for byte although Vault forgets the order of fields. In custom
// metadata it is JSON: an array of the fields' names in the payload's order, or
// a string, the name of the one field that holds the whole payload.
//
// It is of use for every version with those fields, so unlike the other metadata
// it is not tied to one.
type layout string

// encode lays a payload into fields.
func encode(payload secret.Value, key string) (map[string]string, layout, error) {
	text := payload.Reveal()
	if !utf8.ValidString(text) {
		return nil, "", errors.New("the payload is not UTF-8 text, and Vault keeps nothing else")
	}
	if names, fields, ok := flatObject(text); ok && renderObject(names, fields) == text {
		if l := quote(names); len(l) <= maxMetadataValue {
			return fields, layout(l), nil
		}
	}
	return map[string]string{key: text}, layout(quote(key)), nil
}

// decodeEntry gives back what encode laid into data, by the first of the layouts
// that fits. Fields that aren't named there are other people's, and no part of
// the payload. Where none fits, somebody else wrote the entry, or a crash kept
// the metadata from being written: then a lone field of that key is taken for
// the payload, and anything else is given as JSON with its names in order.
func decodeEntry(data map[string]any, key string, layouts ...layout) secret.Value {
	for _, l := range layouts {
		if text, ok := l.apply(data); ok {
			return secret.New(text)
		}
	}
	if text, ok := data[key].(string); ok && len(data) == 1 {
		return secret.New(text)
	}
	return secret.New(quote(data))
}

// apply gives the payload back if data has the fields of the layout.
func (l layout) apply(data map[string]any) (string, bool) {
	names, whole := l.names()
	fields := make(map[string]string, len(names))
	for _, name := range names {
		text, ok := data[name].(string)
		if _, twice := fields[name]; !ok || twice {
			return "", false
		}
		fields[name] = text
	}
	switch {
	case len(names) == 0:
		return "", false
	case whole:
		return fields[names[0]], true
	}
	return renderObject(names, fields), true
}

// names are the fields of the layout. whole says that there is one, and that it
// holds the whole payload.
func (l layout) names() (all []string, whole bool) {
	var name string
	if json.Unmarshal([]byte(l), &name) == nil && name != "" {
		return []string{name}, true
	}
	if json.Unmarshal([]byte(l), &all) != nil {
		return nil, false
	}
	return all, false
}

// merge is what an entry becomes: the payload's fields beside those that stand
// there already, less the ones that an earlier payload was laid into.
func merge(data map[string]any, was layout, fields map[string]string) map[string]any {
	whole := make(map[string]any, len(data)+len(fields))
	maps.Copy(whole, data)
	old, _ := was.names()
	for _, name := range old {
		delete(whole, name)
	}
	for name, text := range fields {
		whole[name] = text
	}
	return whole
}

// same reports whether data is exactly want already.
func same(data, want map[string]any) bool {
	return data != nil && secret.New(quote(data)).Equal(secret.New(quote(want)))
}

// flatObject reads a JSON object of strings with its names in order. ok is
// false for any other text, for the empty object and for a name given twice.
func flatObject(text string) (names []string, fields map[string]string, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, false
	}
	fields = map[string]string{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, false
		}
		value, err := d.Token()
		if err != nil {
			return nil, nil, false
		}
		n, isName := name.(string)
		v, isText := value.(string)
		if !isName || !isText || slices.Contains(names, n) {
			return nil, nil, false
		}
		names, fields[n] = append(names, n), v
	}
	if _, err := d.Token(); err != nil || len(names) == 0 {
		return nil, nil, false
	}
	_, err := d.Token()
	return names, fields, errors.Is(err, io.EOF)
}

// renderObject is the compact JSON object of the fields in the order of names.
func renderObject(names []string, fields map[string]string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = quote(name) + ":" + quote(fields[name])
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// quote is v as compact JSON without HTML escapes. What came out of JSON or is
// text always goes back into it.
func quote(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}
