package handover_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is how long a Go file may be.
const maxLines = 500

// files are the files of the repository, new ones included.
func files(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skipf("this is no git checkout: %v", err)
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() { // not: deleted, and not yet committed
			names = append(names, name)
		}
	}
	if len(names) < 100 {
		t.Fatalf("git ls-files found %d files, that can't be all", len(names))
	}
	return names
}

// goFile parses a Go file.
func goFile(t *testing.T, name string) (*ast.File, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f, set
}

// calls lists the places where file calls the method or function of that name
// through a selector, such as x.Reveal().
func calls(f *ast.File, set *token.FileSet, name string) []string {
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == name {
				found = append(found, set.Position(s.Sel.Pos()).String())
			}
		}
		return true
	})
	return found
}

func TestNoFileIsLong(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(content, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines, %d are allowed: one type's story per file", name, lines, maxLines)
		}
	}
}

// reveals are the places where code may see a secret's value, and what for.
// Each is a file, or a folder with all its files.
var reveals = map[string]string{
	"agent/hooks/webhook.go":  "signs, and calls a URL that may be a credential",
	"agent/follow/judge.go":   "reads a token's claims to see which account it names",
	"backends/secret":         "fingerprints, compares and covers values",
	"backends/payload":        "writes and reads the shapes that consumers want",
	"backends/file":           "writes the payload",
	"backends/awssecrets":     "writes the payload",
	"backends/azurekeyvault":  "writes the payload, and logs in",
	"backends/vault":          "writes the payload, and logs in",
	"examples/driver":         "writes the payload, and logs in",
	"backends/backendtest":    "searches errors for traces of the value",
	"qualytics/do.go":         "sets the Authorization header",
	"qualytics/detail.go":     "takes the value out of what the API says",
	"qualytics/credential.go": "checks the characters of the agent's own credential",
	"qualytics/sim":           "knows tokens by their HMAC and answers a mint with the value",
	"rotation/serving.go":     "reads a token's claims to see which account it names",
	"rotation/rotationtest":   "finds whose token a payload holds, and traces of tokens in what was written",
	"cmd/handover/sim.go":     "writes the simulator's admin token into a file",
	"cmd/handover/readers.go": "plays the consumers of development mode",
}

// A secret's value is looked at in few places, so that a review can look at
// them all (promise 7).
func TestFewPlacesReveal(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, set := goFile(t, name)
		at := calls(f, set, "Reveal")
		for _, place := range []string{name, path.Dir(name)} {
			if _, ok := reveals[place]; ok && len(at) > 0 {
				seen[place], at = true, nil
			}
		}
		for _, a := range at {
			t.Errorf("%s reveals a secret: give the value to a package that may, or add this file to reveals with its reason", a)
		}
	}
	for place := range reveals {
		if !seen[place] {
			t.Errorf("%s is in reveals and reveals nothing: take it out", place)
		}
	}
}

// Tests sleep in bubbles alone, where it takes no time; code never sleeps.
func TestNobodySleeps(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		f, set := goFile(t, name)
		bubble := slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		if bubble || strings.HasPrefix(name, "rotation/rotationtest/") { // whose callers are in bubbles
			continue
		}
		for _, at := range calls(f, set, "Sleep") {
			t.Errorf("%s sleeps: wait for a signal, or use testing/synctest", at)
		}
	}
}

// foreignPlaces are what only one machine or one workplace knows: hosts of
// package registries and folders of a user. The names are put together here, for this
// file is searched too.
var foreignPlaces = regexp.MustCompile(strings.Join([]string{
	`(proxy|sum|index)\.` + `golang\.org`, `py` + `pi\.org`, `python` + `hosted\.org`, `registry\.` + `npmjs`,
	`deb\.` + `debian`, `maven\.` + `org`, `crates\.` + `io`, `/ro` + `ot/[a-zA-Z.]`, `/ho` + `me/[a-z]`, `/Us` + `ers/[a-zA-Z]`,
	`(^|[\s"'(=])/wo` + `rk/`,
}, "|"))

func TestNoPlaceOfOneMachine(t *testing.T) {
	for _, name := range files(t) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(content, []byte("\n")) {
			if found := foreignPlaces.Find(line); found != nil {
				t.Errorf("%s:%d: %q belongs to one machine", name, i+1, found)
			}
		}
	}
	for _, place := range []string{"https://proxy." + "golang.org", "files.python" + "hosted.org", "/ro" + "ot/go", " /wo" + "rk/main"} {
		if !foreignPlaces.MatchString(place) {
			t.Errorf("%q isn't found", place)
		}
	}
}

// link is a link of a Markdown page.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Links between pages lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(content), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(path.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// pageNamed finds pages that comments refer to.
var pageNamed = regexp.MustCompile(`docs/[a-z/-]+\.md`)

// Pages that code refers to exist.
func TestPagesThatCodeNamesExist(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pageNamed.FindAllString(string(content), -1) {
			if _, err := os.Stat(page); err != nil {
				t.Error(fmt.Errorf("%s names a page: %w", name, err))
			}
		}
	}
}
