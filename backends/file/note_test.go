package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// described puts a payload with metadata of generation n.
func described(t *testing.T, b backends.Backend, ref backends.Ref, text string, n uint64) backends.Item {
	t.Helper()
	payload := secret.New(text)
	item := backends.Item{Payload: payload, Meta: backends.Meta{Slot: "a/b", Generation: n, TokenID: 7, Token: payload.Fingerprint()}}
	if _, err := b.Put(t.Context(), ref, item, backends.Absent); err != nil {
		t.Fatal(err)
	}
	return item
}

func wantMeta(t *testing.T, b backends.Backend, ref backends.Ref, at backends.Stage, want backends.Meta) {
	t.Helper()
	item, _, err := b.Get(t.Context(), ref, at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, item.Meta); diff != "" {
		t.Errorf("metadata at %s (-want +got):\n%s", at, diff)
	}
}

// noteOf is the one note in dir.
func noteOf(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ".handover", "*.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("notes: %v, %v", found, err)
	}
	return found[0]
}

// TestNoteDescribesBothSidesOfACrash: the note is written before the file, so
// a crash between the two leaves the old value, and it is still known.
func TestNoteDescribesBothSidesOfACrash(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{})
	first := described(t, b, ref, "one", 1)
	second := described(t, b, ref, "two", 2)
	byHand(t, filepath.Join(dir, "a.env"), "one") // as if the second rename had not been
	wantMeta(t, b, ref, backends.Current, first.Meta)
	byHand(t, filepath.Join(dir, "a.env"), "two")
	wantMeta(t, b, ref, backends.Current, second.Meta)
}

// TestNoteKeepsTheCurrentValue: writes that fail after the note don't push out
// what is known of the value that still stands there.
func TestNoteKeepsTheCurrentValue(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{})
	first := described(t, b, ref, "one", 1)
	for n, text := range []string{"two", "three", "four", "five"} {
		described(t, b, ref, text, uint64(n+2))
		byHand(t, filepath.Join(dir, "a.env"), "one")
	}
	wantMeta(t, b, ref, backends.Current, first.Meta)
	if n := strings.Count(read(t, noteOf(t, dir)), `"payload"`); n != 3 {
		t.Errorf("the note describes %d payloads, want 3", n)
	}
}

func TestPreviousHasItsMetadata(t *testing.T) {
	b, ref := openIn(t, file.Options{Dir: fastDir(t)}), at("q/a.env", directory)
	described(t, b, ref, "one", 1)
	second := described(t, b, ref, "two", 2)
	third := described(t, b, ref, "three", 3)
	wantMeta(t, b, ref, backends.Previous, second.Meta)
	wantMeta(t, b, ref, backends.Current, third.Meta)
}

// TestBadNoteSaysNothing: what isn't a note is no reason to stop, and the next
// Put replaces it.
func TestBadNoteSaysNothing(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut": `{"path":"a.env","described":[{"pay`, "no JSON": "\x00\xff", "another shape": `[1,2]`,
		"another payload": `{"described":[{"payload":"00112233445566778899aabbccddeeff","meta":{"generation":9}}]}`,
		"huge":            strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := fastDir(t)
			b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{})
			item := described(t, b, ref, "one", 1)
			byHand(t, noteOf(t, dir), text)
			wantMeta(t, b, ref, backends.Current, backends.Meta{})
			described(t, b, ref, "one", 1)
			wantMeta(t, b, ref, backends.Current, item.Meta)
		})
	}
}

// TestUnreadableNoteIsAnError: that nothing is known and that it can't be read
// are two things.
func TestUnreadableNoteIsAnError(t *testing.T) {
	dir := publicDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{Mode: 0o644})
	described(t, b, ref, "one", 1)
	if err := os.Chmod(filepath.Join(dir, ".handover"), 0); err != nil {
		t.Fatal(err)
	}
	_, _, err := asNobody(b).Get(t.Context(), ref, backends.Current)
	wantKind(t, "get", err, backends.ErrDenied)
	if err := os.Chmod(filepath.Join(dir, ".handover"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestNoteHoldsNoSecret: fingerprints and ids alone.
func TestNoteHoldsNoSecret(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("deep/a.env", file.TargetOptions{})
	item := described(t, b, ref, "a-payload-that-is-easy-to-find", 1)
	text := read(t, noteOf(t, dir))
	if strings.Contains(text, "easy-to-find") {
		t.Error("the note holds the payload")
	}
	if !strings.Contains(text, string(item.Payload.Fingerprint())) || !strings.Contains(text, "deep/a.env") {
		t.Errorf("the note doesn't name path and fingerprint: %s", text)
	}
	info, err := os.Stat(noteOf(t, dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
