package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of rules in docs/promises.md anew")

// The page tells of each rule what misses it.
func TestThePageListsEveryRule(t *testing.T) {
	const begin, end = "<!-- rules -->\n", "<!-- end -->\n"
	page := filepath.Join(root, "docs", "promises.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("docs/promises.md has no %q and %q", begin, end)
	}
	want := before + begin + rules() + end + after
	switch {
	case *update:
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case want != string(text):
		t.Error("docs/promises.md is not as the catalog is; run this test with -update and read what changed")
	}
}

// rules is the catalog as a table.
func rules() string {
	var table strings.Builder
	table.WriteString("| without | the rule | missed by | a world misses it |\n|---|---|---|---|\n")
	for _, m := range catalog() {
		worlds := "yes"
		if !m.InWorlds {
			worlds = "no: " + m.Beyond
		}
		fmt.Fprintf(&table, "| `%s` | %s | `%s` | %s |\n", m.Name, m.Rule, m.test(), worlds)
	}
	return table.String()
}
