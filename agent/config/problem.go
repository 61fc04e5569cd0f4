package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a declaration, or, as a warning,
// doubtful. It never repeats a secret.
type Problem struct {
	// File is the declaration's name as it was given.
	File string
	// Line and Column count from 1, the column in characters. Both are 0
	// where the file could not be read at all.
	Line, Column int
	// Key is the place as a path of keys: "accounts[0].tokens[1].name". It
	// is "" where the text isn't YAML.
	Key string
	// Message says what is wrong and what to do.
	Message string
}

// String is "file:line:column: message", a form that editors can jump to.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Errors is what [Load] and [Parse] fail with: every problem of the
// declaration, sorted by place.
type Errors struct{ Problems []Problem }

// Error has one line for each problem.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems by place and drops repetitions: what defaults say is
// found wrong once for each token that uses them.
func sorted(problems []Problem) []Problem {
	problems = withoutSecrets(problems)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}
