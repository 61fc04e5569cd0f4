package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/messages.txt and docs/declaration.md from what the code says")

const messages = "testdata/messages.txt"

// TestMistakes holds every message, exactly: one testdata/conf.<mistake>.yml
// for each, what is told of it in testdata/messages.txt.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/conf.*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	var got strings.Builder
	for _, file := range files {
		got.WriteString("== " + filepath.Base(file) + "\n" + told(t, file))
	}
	if *update {
		if err := os.WriteFile(messages, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(messages)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("messages changed; look at each, then run the test with -update (-want +got):\n%s", diff)
	}
}

// told is all that Load says of a file, one line each.
func told(t *testing.T, file string) string {
	t.Helper()
	document, err := LoadDocument(file, fakeRegistry(t), fakeEnv)
	var failed *Errors
	warning := strings.HasPrefix(filepath.Base(file), "conf.warning-")
	switch {
	case err == nil && !warning:
		t.Errorf("%s was accepted", file)
		return ""
	case err == nil:
		if len(document.Warnings()) == 0 {
			t.Errorf("%s gives no warning", file)
		}
		return lines(t, "warning: ", document.Warnings())
	case warning:
		t.Errorf("%s was refused: %v", file, err)
		return ""
	case !errors.As(err, &failed):
		t.Errorf("%s: the error is %T, not *Errors", file, err)
		return ""
	}
	if document != (Document{}) {
		t.Errorf("%s: a declaration comes with the error", file)
	}
	return lines(t, "", failed.Problems)
}

var secretParts = regexp.MustCompile(`eyJ|hvs\.C|s\.0123|AKIA|ghp_a|MIIE|hunter2|3c0ffee0`)

func lines(t *testing.T, prefix string, problems []Problem) string {
	t.Helper()
	var text strings.Builder
	for _, p := range problems {
		if p.Line < 1 || p.Column < 1 {
			t.Errorf("no place: %v", p)
		}
		if secretParts.MatchString(p.String() + p.Key) {
			t.Errorf("%s:%d: the message repeats a secret", p.File, p.Line)
		}
		text.WriteString(prefix + strings.TrimPrefix(p.String(), "testdata/") + "\n")
	}
	return text.String()
}
