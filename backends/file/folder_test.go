package file_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
)

var directory = file.TargetOptions{Sink: file.SinkDirectory}

// namesIn lists a folder; version folders are "..version".
func namesIn(t *testing.T, names ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(names...))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "..2") {
			name = "..version"
		}
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}

// TestDirectoryLayout is what the kubelet's readers know, and one link more.
func TestDirectoryLayout(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("qualytics/config.yaml", directory)
	put(t, b, ref, "one")
	if diff := cmp.Diff([]string{"..data", "..version", "config.yaml"}, namesIn(t, dir, "qualytics")); diff != "" {
		t.Errorf("after the first put (-want +got):\n%s", diff)
	}
	link, err := os.Readlink(filepath.Join(dir, "qualytics/config.yaml"))
	if err != nil || link != "..data/config.yaml" {
		t.Errorf("the name points to %q, %v", link, err)
	}
	for _, text := range []string{"two", "three", "four"} {
		put(t, b, ref, text)
		want := []string{"..data", "..previous", "..version", "..version", "config.yaml"}
		if diff := cmp.Diff(want, namesIn(t, dir, "qualytics")); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", text, diff)
		}
		if got := read(t, dir, "qualytics/config.yaml"); got != text {
			t.Errorf("a reader finds %q, want %q", got, text)
		}
	}
	if got := read(t, dir, "qualytics/..previous/config.yaml"); got != "three" {
		t.Errorf("previous is %q", got)
	}
}

// TestPreviousOfDirectory: more than Properties promise, for Target.Find.
func TestPreviousOfDirectory(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("q/config.yaml", directory)
	one := put(t, b, ref, "one")
	two := put(t, b, ref, "two")
	item, v, err := b.Get(t.Context(), ref, backends.Previous)
	if err != nil || v != one || item.Payload.Reveal() != "one" {
		t.Fatalf("previous at %q, %v", v, err)
	}
	remover, ok := backends.As[backends.Remover](b)
	if !ok {
		t.Fatal("no Remover")
	}
	if err := remover.Remove(t.Context(), ref, "no such version"); err != nil {
		t.Errorf("remove what is gone: %v", err)
	}
	if _, _, err := b.Get(t.Context(), ref, backends.Previous); err != nil {
		t.Errorf("previous after removing another: %v", err)
	}
	wantKind(t, "remove the current", remover.Remove(t.Context(), ref, two), backends.ErrConflict)
	for range 2 {
		if err := remover.Remove(t.Context(), ref, one); err != nil {
			t.Errorf("remove: %v", err)
		}
		_, _, err = b.Get(t.Context(), ref, backends.Previous)
		wantKind(t, "previous after its removal", err, backends.ErrNotFound)
	}
	if hasText(t, dir, "one") || read(t, dir, "q/config.yaml") != "two" {
		t.Error("the removed value is still on the disk, or the current one is not")
	}
	put(t, b, ref, "three")
	if _, v, err := b.Get(t.Context(), ref, backends.Previous); err != nil || v != two {
		t.Errorf("previous after the next put is %q, %v", v, err)
	}
}

// hasText searches every file below dir for a content.
func hasText(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && read(t, name) == text {
			found = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSinkIsChanged: a declaration that changes the sink leaves no gap for the
// reader and no old secret on the disk.
func TestSinkIsChanged(t *testing.T) {
	dir := fastDir(t)
	b := openIn(t, file.Options{Dir: dir})
	single, folder := at("q/config.yaml", file.TargetOptions{}), at("q/config.yaml", directory)
	put(t, b, single, "one")
	put(t, b, folder, "one")
	if diff := cmp.Diff([]string{"..data", "..version", "config.yaml"}, namesIn(t, dir, "q")); diff != "" {
		t.Errorf("as a directory (-want +got):\n%s", diff)
	}
	put(t, b, folder, "two")
	put(t, b, single, "two")
	if diff := cmp.Diff([]string{"config.yaml"}, namesIn(t, dir, "q")); diff != "" {
		t.Errorf("as a file (-want +got):\n%s", diff)
	}
	if hasText(t, dir, "one") || read(t, dir, "q/config.yaml") != "two" {
		t.Error("an old value is left, or the current one is not")
	}
	_, _, err := b.Get(t.Context(), single, backends.Previous)
	wantKind(t, "previous of a file", err, backends.ErrNotFound)
}

// TestOthersInTheFolderStay: what doesn't start with two dots isn't the sink's.
func TestOthersInTheFolderStay(t *testing.T) {
	dir := fastDir(t)
	b := openIn(t, file.Options{Dir: dir})
	byHand(t, filepath.Join(dir, "q/README"), "by hand")
	byHand(t, filepath.Join(dir, "q/config.yaml_tmp"), "by hand")
	put(t, b, at("q/single.env", file.TargetOptions{}), "single")
	put(t, b, at("q/config.yaml", directory), "one")
	put(t, b, at("q/config.yaml", directory), "two")
	for name, want := range map[string]string{
		"README": "by hand", "config.yaml_tmp": "by hand", "single.env": "single", "config.yaml": "two",
	} {
		if got := read(t, dir, "q", name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

// TestCrashLeavings: each thing that a crash can leave is removed by the next
// Put of a new process, and was never taken for a value.
func TestCrashLeavings(t *testing.T) {
	dir := fastDir(t)
	ref := at("q/config.yaml", directory)
	put(t, openIn(t, file.Options{Dir: dir}), ref, "one")
	q := filepath.Join(dir, "q")
	byHand(t, filepath.Join(q, ".handover-ABC.tmp"), "half")
	byHand(t, filepath.Join(dir, ".handover/.handover-DEF.tmp"), "half")
	byHand(t, filepath.Join(q, "..2026_11_23_15_04_05.ORPHANED/config.yaml"), "never current")
	if err := os.Symlink("..2026_11_23_15_04_05.ORPHANED", filepath.Join(q, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	current, err := os.Readlink(filepath.Join(q, "..data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(current, filepath.Join(q, "..previous")); err != nil { // between the two switches
		t.Fatal(err)
	}

	b := openIn(t, file.Options{Dir: dir})
	_, _, err = b.Get(t.Context(), ref, backends.Previous)
	wantKind(t, "previous after a crash", err, backends.ErrNotFound)
	put(t, b, ref, "two")
	if diff := cmp.Diff([]string{"..data", "..previous", "..version", "..version", "config.yaml"}, namesIn(t, q)); diff != "" {
		t.Errorf("after the next put (-want +got):\n%s", diff)
	}
	for _, left := range namesIn(t, dir, ".handover") {
		if strings.HasSuffix(left, ".tmp") {
			t.Errorf("%s is left", left)
		}
	}
	if hasText(t, dir, "never current") || hasText(t, dir, "half") {
		t.Error("a value of a crash is left on the disk")
	}
}
