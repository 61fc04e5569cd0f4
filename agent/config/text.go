package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxText is the largest declaration in bytes: room for more than 2,000
// accounts, and little enough for the parser to be done with it at once.
const maxText = 1 << 20

const byteOrderMark = "\ufeff"

// readText checks that text is what YAML is made of. The place of the first
// character that isn't comes back as a problem.
func readText(file string, text []byte) (string, *Problem) {
	if len(text) > maxText {
		return "", &Problem{File: file, Line: 1, Column: 1, Message: fmt.Sprintf(
			"the declaration is larger than %d bytes; split it between several agents", maxText)}
	}
	clean := strings.TrimPrefix(string(text), byteOrderMark)
	line, column := 1, 1
	for i, r := range clean {
		switch {
		case r == utf8.RuneError && strings.HasPrefix(clean[i:], "\ufffd"): // a real replacement character
		case r == utf8.RuneError:
			return "", &Problem{File: file, Line: line, Column: column,
				Message: fmt.Sprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8 text", clean[i])}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r >= 0x80 && r <= 0x9f && r != 0x85:
			return "", &Problem{File: file, Line: line, Column: column,
				Message: fmt.Sprintf("the control character U+%04X is not allowed in YAML; take it out", r)}
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return clean, nil
}

// parseYAML returns the one document's top node.
func parseYAML(file, text string) (*yaml.Node, *Problem) {
	start := &Problem{File: file, Line: 1, Column: 1,
		Message: "the declaration is empty; begin with agent.yaml from the examples, or see docs/declaration.md"}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	first, err := nextDocument(decoder)
	switch {
	case errors.Is(err, io.EOF):
		return nil, start
	case err != nil:
		return nil, syntaxProblem(file, text, err)
	}
	second, err := nextDocument(decoder)
	switch {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxProblem(file, text, err)
	default:
		return nil, &Problem{File: file, Line: second.Line, Column: second.Column,
			Message: "a second document begins here; a declaration is one document: take out the line ---, or use two files"}
	}
	if len(first.Content) == 0 || first.Content[0].ShortTag() == "!!null" {
		return nil, start
	}
	return first.Content[0], nil
}

// nextDocument is a parser's step that can't end the process: yaml.v3 answers
// some inputs with a panic of its own ("please report").
func nextDocument(decoder *yaml.Decoder) (node *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the YAML parser gave up; simplify the comments and the layout")
		}
	}()
	node = new(yaml.Node)
	return node, decoder.Decode(node)
}

var errorLine = regexp.MustCompile(`^line ([0-9]+): `)

// parserProblems are the texts that yaml.v3 gives with a line counted from 0:
// it corrects the scanner's lines only.
var parserProblems = regexp.MustCompile(
	`did not find expected (node content|key|'-' indicator|',' or|<document start>)|undefined tag handle|found duplicate %|found incompatible`)

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)

// syntaxProblem gives an error of yaml.v3 a place. The parser tells the line
// alone, for a broken block the line where that block begins, and for some
// errors none.
func syntaxProblem(file, text string, err error) *Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := errorLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
		if parserProblems.MatchString(message) {
			line++
		}
	}
	lines := strings.Split(text, "\n")
	line = min(max(line, 1), len(lines))
	problem := &Problem{File: file, Line: line, Column: 1, Message: "this is not YAML: " + message}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		problem.find(lines, 1, regexp.MustCompile(`\*`+regexp.QuoteMeta(m[1])+`\b`))
		problem.Message = fmt.Sprintf("the alias *%s stands for nothing; write &%s before the value that it repeats", m[1], m[1])
		return problem
	}
	last := line
	if strings.Contains(message, "tab character") {
		last = len(lines)
	}
	switch {
	case problem.find(lines[:last], line, tabIndent):
		problem.Column = strings.Index(lines[problem.Line-1], "\t") + 1
		problem.Message = "a tab stands in the indentation; YAML wants spaces there"
	case strings.HasPrefix(message, "did not find expected"):
		problem.Message += "; look from here to the end of this block"
	}
	return problem
}

var tabIndent = regexp.MustCompile(`^ *\t`)

// find moves the problem to the first match from a line on.
func (p *Problem) find(lines []string, from int, what *regexp.Regexp) bool {
	for i := from - 1; i < len(lines); i++ {
		if at := what.FindStringIndex(lines[i]); at != nil {
			p.Line, p.Column = i+1, utf8.RuneCountInString(lines[i][:at[0]])+1
			return true
		}
	}
	return false
}
