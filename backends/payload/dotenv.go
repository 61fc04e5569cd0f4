package payload

import (
	"errors"
	"regexp"
	"strings"

	"github.com/handover-agent/handover/backends"
)

const (
	urlVariable   = "QUALYTICS_URL"
	tokenVariable = "QUALYTICS_TOKEN"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// plainValue is what a POSIX shell, python-dotenv and systemd all read as
	// it stands, without quotes.
	plainValue = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+=\[\]-]+$`)
)

// dotenvShape is a file that a shell sources and that the dotenv libraries
// read. The variable of the URL keeps its name when the token's is renamed.
func dotenvShape(spec Spec) (shape, error) {
	name := spec.Variable
	if name == "" {
		name = tokenVariable
	}
	if !variableName.MatchString(name) || name == urlVariable {
		return shape{}, wrong("variable", "%q can't name the token's variable; use letters, digits and _, no digit first, and not %s", name, urlVariable)
	}
	return shape{
		write: func(t backends.Token) (string, error) {
			if _, err := checkURL(t.URL); err != nil {
				return "", err
			}
			if !plainValue.MatchString(t.Value.Reveal()) || !plainValue.MatchString(t.URL) {
				return "", errors.New(`the token or the URL holds white space, a quote, "#", "$", "\" or another character that a shell changes; use the format json`)
			}
			return urlVariable + "=" + t.URL + "\n" + name + "=" + t.Value.Reveal() + "\n", nil
		},
		read: func(payload string) (string, error) { return readVariable(payload, name) },
	}, nil
}

// readVariable returns the value that a shell would end up with, where it
// needs no more than one pair of quotes taken off. The last line that sets the
// variable wins.
func readVariable(text, name string) (string, error) {
	value, err := "", errOther
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if runsOn(line) {
			return "", errOther
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, "export "))
		if rest, ok := strings.CutPrefix(line, name+"="); ok {
			value, err = unquoteShell(rest)
		}
	}
	return value, err
}

// runsOn reports whether what follows line may belong to it, so that an
// assignment found there would be none.
func runsOn(line string) bool {
	return !strings.HasPrefix(line, "#") &&
		(strings.HasSuffix(line, `\`) || strings.Count(line, `"`)%2 == 1 || strings.Count(line, "'")%2 == 1)
}

// unquoteShell reads one word behind the "=" of an assignment, with a comment
// allowed behind it.
func unquoteShell(word string) (string, error) {
	text, behind := word, ""
	if word != "" && (word[0] == '"' || word[0] == '\'') {
		quoted, rest, closed := strings.Cut(word[1:], word[:1])
		if !closed || word[0] == '"' && strings.ContainsAny(quoted, "$`\\") {
			return "", errOther
		}
		text, behind = quoted, rest
	} else {
		if i := strings.IndexAny(word, " \t"); i >= 0 {
			text, behind = word[:i], word[i:]
		}
		if !plainValue.MatchString(text) {
			return "", errOther
		}
	}
	comment := strings.TrimLeft(behind, " \t")
	if comment != "" && (comment == behind || comment[0] != '#') {
		return "", errOther
	}
	return text, nil
}
