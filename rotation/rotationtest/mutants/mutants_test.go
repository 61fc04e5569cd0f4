package main

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

var kebab = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// The catalog doesn't rot: each text is there once, each test exists.
func TestCatalogFitsTheTree(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range catalog() {
		t.Run(m.Name, func(t *testing.T) {
			if seen[m.Name] || !kebab.MatchString(m.Name) {
				t.Error("its name is taken, or isn't words with hyphens between them")
			}
			seen[m.Name] = true
			if m.Rule == "" || m.Where == "" || strings.HasSuffix(m.Rule, ".") {
				t.Errorf("rule %q, said in %q", m.Rule, m.Where)
			}
			if m.InWorlds == (m.Beyond != "") {
				t.Error("either a world misses it, or a sentence says why none does")
			}
			changed, err := change(root, m.Edits)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range changed {
				if _, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution); err != nil {
					t.Error(err)
				}
			}
			if !slices.Contains(tests(t, m.Package), m.Test) {
				t.Errorf("%s has no test %s", m.Package, m.Test)
			}
		})
	}
	if len(seen) < 50 {
		t.Errorf("%d mutants, that can't be all", len(seen))
	}
}

// tests are the names of a package's tests.
func tests(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

func TestChangeWantsItsTextOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two, two three"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		edits []edit
		want  string // of the file, or within the error
		fails bool
	}{
		{"one", []edit{{"a.go", "one", "1"}}, "1 two, two three", false},
		{"two in one file", []edit{{"a.go", "one", "1"}, {"a.go", "three", "3"}}, "1 two, two 3", false},
		{"absent", []edit{{"a.go", "four", "4"}}, `a.go holds this text 0 times, it should be once: "four"`, true},
		{"there twice", []edit{{"a.go", "two", "2"}}, `a.go holds this text 2 times`, true},
		{"no such file", []edit{{"b.go", "one", "1"}}, "b.go", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed, err := change(dir, tt.edits)
			switch {
			case tt.fails && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			case !tt.fails && (err != nil || changed["a.go"] != tt.want):
				t.Errorf("%q, %v; want %q", changed["a.go"], err, tt.want)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		r     result
		lives bool
		tells string
	}{
		{result{Name: "m", Test: "p.T", TestFails: true, Seed: 7, Worlds: 7, InWorlds: true}, false, "m: missed by p.T and world 7"},
		{result{Name: "m", Test: "p.T", TestFails: true, Beyond: "why"}, false, "m: missed by p.T"},
		{result{Name: "m", Test: "p.T", Seed: 7, Worlds: 7}, true, "m LIVES: p.T doesn't miss it"},
		{result{Name: "m", Test: "p.T", TestFails: true, Worlds: 9, InWorlds: true}, true, "m LIVES: none of 9 worlds misses it"},
		{result{Name: "m", Test: "p.T", TestFails: true, Worlds: 9}, false, "m: missed by p.T"},
		{result{Name: "m", Test: "p.T", TestFails: true, Seed: 7, Worlds: 7}, false, "m: missed by p.T and world 7"},
		{result{Name: "m", Test: "p.T", TestFails: true, Seed: 7, Worlds: 7, Spins: true, InWorlds: true}, false,
			"m: missed by p.T and world 7, which spins"},
		{result{Name: "m", Test: "p.T", TestFails: true, Seed: 7, Problem: "it can't be built"}, true, "m: it can't be built"},
	} {
		if got := tt.r.lives(); got != tt.lives || tt.r.tell() != tt.tells {
			t.Errorf("%+v: lives %v, %q; want %v, %q", tt.r, got, tt.r.tell(), tt.lives, tt.tells)
		}
	}
}

func TestTable(t *testing.T) {
	results := []result{
		{Name: "one", Rule: "first", Where: "here", Test: "p.TestOne", TestFails: true, Seed: 12, Worlds: 12},
		{Name: "two", Rule: "second", Where: "there", Test: "p.TestTwo", Worlds: 99, InWorlds: true},
		{Name: "three", Rule: "third", Where: "there", Test: "p.TestThree", TestFails: true, Beyond: "nothing is slow there"},
		{Name: "four", Rule: "fourth", Where: "there", Test: "p.TestFour", Problem: "it can't be built"},
	}
	const want = `WITHOUT  MISSED BY      FIRST MISSED IN  THE RULE  SAID IN
one      p.TestOne      world 12         first     here
two      not p.TestTwo  none of 99       second    there
three    p.TestThree    beyond worlds    third     there
four     no verdict     no verdict       fourth    there

three is beyond worlds: nothing is slow there

four: it can't be built

4 mutants: 2 missed by a test, 1 by a world, 1 beyond worlds, 2 live
`
	var out bytes.Buffer
	if err := writeTable(&out, results); err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, &out, want)
	}
	out.Reset()
	var back struct{ Mutants []result }
	if err := writeJSON(&out, results); err != nil || json.Unmarshal(out.Bytes(), &back) != nil || !slices.Equal(back.Mutants, results) {
		t.Errorf("the JSON isn't what was written: %v\n%s", err, &out)
	}
}

func TestFirstOf(t *testing.T) {
	for _, tt := range []struct {
		out   string
		want  played
		fails bool
	}{
		{"...\nfirst broken world: seed 12 after 12 worlds\nFAIL", played{seed: 12, worlds: 12}, false},
		{"first broken world: seed 3 after 3 worlds: it spins, and had no end after 2m0s\n", played{seed: 3, worlds: 3, spins: true}, false},
		{"panic: test timed out after 30m0s", played{}, true},
	} {
		if got, err := firstOf(tt.out); got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%q: %+v, %v; want %+v", tt.out, got, err, tt.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-only", "grace,no-such"}, "mutants: -only grace,no-such: there is no mutant no-such"},
		{[]string{"-o", "yaml"}, "mutants: -o yaml: it is table or json"},
		{[]string{"-worlds", "0"}, "mutants: -worlds 0: at least one has to be played"},
		{[]string{"-worlds", "many"}, `invalid value "many" for flag -worlds`},
		{[]string{"-jobs", "0"}, "mutants: -jobs 0: it is 1 or more"},
		{[]string{"grace"}, `mutants: unknown argument "grace"`},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), tt.args, &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), tt.want) || stdout.Len() > 0 {
			t.Errorf("%q: exit %d, %q, want %q", tt.args, code, &stderr, tt.want)
		}
	}
	if code := run(t.Context(), []string{"-h"}, &bytes.Buffer{}, &bytes.Buffer{}); code != exitDone {
		t.Errorf("-h: exit %d", code)
	}
}

// inTemp gives the test a folder for temporary files, which has to be empty at
// its end.
func inTemp(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// One mutant is tried on the core itself, beside one that changes nothing and
// one that can't be built.
func TestTry(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds the core four times")
	}
	inTemp(t)
	grace, err := choose(catalog(), "grace")
	if err != nil {
		t.Fatal(err)
	}
	idle, broken := grace[0], grace[0]
	idle.Name, idle.Edits = "idle", []edit{{"rotation/retire.go", "// retire is the retiring machine", "// this is the retiring machine"}}
	broken.Name, broken.Edits = "broken", []edit{{"rotation/retire.go", "func (n *pass) retire() {", "func (n *pass) retire() { nonsense()"}}
	var progress bytes.Buffer
	results, err := try(t.Context(), []mutant{grace[0], idle, broken}, options{worlds: 100, jobs: 2}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.lives() || r.Seed == 0 {
		t.Errorf("without grace: %+v", r)
	}
	if r := results[1]; r.Problem != "" || r.TestFails || r.Seed != 0 || r.Worlds != 100 {
		t.Errorf("with nothing changed: %+v", r)
	}
	if r := results[2]; !strings.Contains(r.Problem, "it can't be built") || !strings.Contains(r.Problem, "nonsense") {
		t.Errorf("what can't be built: %+v", r)
	}
	if !strings.Contains(progress.String(), "1 tests pass on the core as it is; 3 mutants\n") || !strings.Contains(progress.String(), "3 of 3: ") {
		t.Errorf("told:\n%s", &progress)
	}
}

func TestBaselineHasToPass(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds the core")
	}
	inTemp(t)
	_, err := try(t.Context(), []mutant{{Name: "m", Package: "rotation", Test: "TestThatIsNotThere"}}, options{worlds: 1, jobs: 1}, &bytes.Buffer{})
	if err == nil || err.Error() != "rotation has no test TestThatIsNotThere" {
		t.Errorf("a test that isn't there: %v", err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	inTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	cancel()
	if code := run(ctx, []string{"-only", "grace"}, &stdout, &stderr); code != exitFailed || stdout.Len() > 0 || !strings.Contains(stderr.String(), "canceled") {
		t.Errorf("exit %d, %q, %q", code, &stdout, &stderr)
	}
}
