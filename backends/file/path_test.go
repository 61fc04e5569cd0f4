package file_test

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
)

func TestPathRule(t *testing.T) {
	rule := file.Driver().Properties(&file.Options{}).Path
	good := []string{
		"a", "dbt.env", ".env", ".qualytics/config.yaml", "a/.b/c", "a b/c", "zażółć.env", "a..b", "a...", "-x",
		".h", ".ha", ".hand", ".handove", ".handovex", ".HANDOVER", ".xhandover", "handover", "x.handover", "~", "a\\b",
		strings.Repeat("a", 255), strings.Repeat("abc/", 255) + "abcd",
	}
	bad := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "../a", "a/../b", "..a", "...", "a/..data", "..data/a",
		".handover", ".handover/x", "a/.handover", ".handover-1.tmp", ".handovers", "a\x00b", "a\nb", "a/\tb", ".\x01", ".h\x7f",
		strings.Repeat("a", 256), strings.Repeat("abc/", 256) + "a",
	}
	for _, path := range good {
		if err := rule.Check(path); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, path := range bad {
		if rule.Check(path) == nil {
			t.Errorf("allowed: %q", path)
		}
	}
}

// FuzzPathRule: what the rule allows is clean, stays below the folder, and has
// no reserved name.
func FuzzPathRule(f *testing.F) {
	for _, seed := range []string{"a/b", ".env", "..", ".handover", "a/.handove", "a//b", "./a"} {
		f.Add(seed)
	}
	rule := file.Driver().Properties(&file.Options{}).Path
	f.Fuzz(func(t *testing.T, path string) {
		want := path != "" && len(path) <= 1024
		for _, name := range strings.Split(path, "/") {
			if len(name) > 255 {
				want = false
			}
			control := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
			if name == "" || name == "." || control || strings.HasPrefix(name, "..") || strings.HasPrefix(name, ".handover") {
				want = false
			}
		}
		if got := rule.Check(path) == nil; got != want {
			t.Errorf("%q allowed: %v, want %v", path, got, want)
		}
	})
}

func TestPlace(t *testing.T) {
	options := &file.Options{Dir: "/srv/secrets/"}
	directory := &file.TargetOptions{Sink: file.SinkDirectory}
	tests := []struct {
		path   string
		target any
		want   string
	}{
		{"a/b.env", nil, "/srv/secrets/a/b.env"},
		{"a/b.env", &file.TargetOptions{}, "/srv/secrets/a/b.env"},
		{"./a/../a//b.env", nil, "/srv/secrets/a/b.env"},
		{"../../etc/passwd", nil, "/srv/secrets/etc/passwd"},
		{"a/b.env", directory, "/srv/secrets/a"},
		{"a/c.env", directory, "/srv/secrets/a"},
		{"c.env", directory, "/srv/secrets"},
	}
	for _, test := range tests {
		got := file.Driver().Place(options, backends.Ref{Backend: "local", Path: test.path, Options: test.target})
		if got != test.want {
			t.Errorf("place of %s with %+v is %s, want %s", test.path, test.target, got, test.want)
		}
	}
	one := file.Driver().Place(&file.Options{Dir: "secrets"}, backends.Ref{Path: "a"})
	two := file.Driver().Place(&file.Options{Dir: "./x/../secrets"}, backends.Ref{Path: "a"})
	if one != two || !strings.HasPrefix(one, "/") {
		t.Errorf("two spellings of one folder give %s and %s", one, two)
	}
	if got := file.Driver().Place(nil, backends.Ref{Backend: "local", Path: "a"}); got != "local/a" {
		t.Errorf("place without options is %s", got)
	}
}
