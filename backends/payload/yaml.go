package payload

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// errAbsent says that a YAML text is read well and has no such key.
var errAbsent = errors.New("the payload has no token under its key")

// readYAML finds the text at a path of keys in a YAML document of block
// mappings, or in JSON, which is YAML too. It knows what a config.yaml and a
// Secret's manifest look like in practice, refuses the rest (anchors, tags,
// block scalars, several documents), and never reads on where a full parser
// could see another structure.
func readYAML(text string, keys ...string) (string, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return readMembers(text, keys)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.ContainsFunc(text, oddInYAML) {
		return "", errOther
	}
	lines := strings.Split(text, "\n")
	for len(lines) > 0 && (blank(lines[0]) || lines[0] == "---") {
		lines = lines[1:]
	}
	for _, key := range keys[:len(keys)-1] {
		inline, below, err := member(lines, key)
		if err != nil {
			return "", err
		}
		if !blank(inline) {
			return "", errOther
		}
		lines = below
	}
	inline, below, err := member(lines, keys[len(keys)-1])
	if err != nil {
		return "", err
	}
	for _, line := range below {
		if !blank(line) {
			return "", errOther
		}
	}
	return scalar(inline)
}

func readMembers(text string, keys []string) (string, error) {
	object, err := decode(text)
	if err != nil {
		return "", err
	}
	var value any = object
	for _, key := range keys {
		inner, ok := value.(map[string]any)
		if !ok {
			return "", errOther
		}
		if value, ok = inner[key]; !ok {
			return "", errAbsent
		}
	}
	found, ok := value.(string)
	if !ok {
		return "", errOther
	}
	return found, nil
}

// oddInYAML finds the characters that YAML refuses or takes for line breaks.
func oddInYAML(r rune) bool {
	switch r {
	case '\n':
		return false
	case 0x7f, 0x85, 0x2028, 0x2029, 0xfeff, 0xfffd:
		return true
	}
	return r < ' ' || r > 0x7f && r < 0xa0
}

// blank reports whether a line, or what is left of one, is empty or a comment.
func blank(line string) bool {
	line = strings.TrimLeft(line, " ")
	return line == "" || line[0] == '#'
}

// member finds key in the block mapping that lines are, and returns what
// stands behind it on its line and the lines below it.
func member(lines []string, key string) (inline string, below []string, err error) {
	indent, found, taking := -1, false, false
	for _, line := range lines {
		depth := len(line) - len(strings.TrimLeft(line, " "))
		if indent < 0 && !blank(line) {
			indent = depth
		}
		if blank(line) || depth > indent {
			if taking {
				below = append(below, line)
			}
			continue
		}
		name, value, ok := splitMember(line[depth:])
		if depth < indent || !ok || found && name == key {
			return "", nil, errOther
		}
		if taking = name == key; taking {
			inline, found = value, true
		}
	}
	if !found {
		return "", nil, errAbsent
	}
	return inline, below, nil
}

// memberLine is a key, plain or in quotes without escapes, and its value.
var memberLine = regexp.MustCompile(`^(?:([A-Za-z0-9_.][A-Za-z0-9_./-]*)|"([^"\\]*)"|'([^']*)'):(?: +(.*))?$`)

// splitMember takes a line apart. It is false for a value that may go on over
// lines which look like members.
func splitMember(line string) (key, value string, ok bool) {
	m := memberLine.FindStringSubmatch(line)
	if m == nil {
		return "", "", false
	}
	value = m[4]
	if value == "" || strings.IndexByte(`"'{[&*!`, value[0]) < 0 {
		return m[1] + m[2] + m[3], value, true
	}
	if value[0] == '"' || value[0] == '\'' {
		_, err := scalar(value)
		ok = err == nil
	} else {
		ok = value == "{}" || value == "[]"
	}
	return m[1] + m[2] + m[3], value, ok
}

var (
	// plainScalar is a text without quotes that is a string or a number.
	plainScalar = regexp.MustCompile(`^([A-Za-z0-9_.+/=][A-Za-z0-9_.+/=-]*)(?: +(?:#.*)?)?$`)
	doubleQuote = regexp.MustCompile(`^("(?:[^"\\]|\\.)*")(?: +(?:#.*)?)?$`)
	singleQuote = regexp.MustCompile(`^'((?:[^']|'')*)'(?: +(?:#.*)?)?$`)
)

// scalar reads a text on one line.
func scalar(value string) (string, error) {
	if m := plainScalar.FindStringSubmatch(value); m != nil {
		switch m[1] {
		case "null", "Null", "NULL":
			return "", errOther
		}
		return m[1], nil
	}
	if m := singleQuote.FindStringSubmatch(value); m != nil {
		return strings.ReplaceAll(m[1], "''", "'"), nil
	}
	var text string
	m := doubleQuote.FindStringSubmatch(value)
	if m == nil || json.Unmarshal([]byte(m[1]), &text) != nil {
		return "", errOther
	}
	return text, nil
}
