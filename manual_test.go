package handover_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// quoted is the first column of a row that quotes errors, and quotes are its
// quotations.
var (
	quoted = regexp.MustCompile("(?m)^\\|[^|`]*`[^|]*\\|")
	quotes = regexp.MustCompile("`([^`]+)`")
)

// texts are all texts in the program's code, adjacent parts joined.
func texts(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, _ := goFile(t, name)
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil {
				all.WriteString(text + "\n")
			}
			return true
		})
	}
	return all.String()
}

// What docs/troubleshooting.md quotes, the program says.
func TestErrorsOfTheManual(t *testing.T) {
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	said, rows := texts(t), quoted.FindAllString(string(page), -1)
	if len(rows) < 70 {
		t.Fatalf("the page quotes %d errors, that can't be all", len(rows))
	}
	for _, row := range rows {
		for _, quote := range quotes.FindAllStringSubmatch(row, -1) {
			for part := range strings.SplitSeq(quote[1], "…") {
				if !strings.Contains(said, strings.TrimSpace(part)) {
					t.Errorf("the page quotes %q, and nothing in the program says so", part)
				}
			}
		}
	}
	if strings.Contains(said, "an error that nobody makes") {
		t.Error("every text is found")
	}
}
