package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends/secret"
)

func TestSourceRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("HANDOVER_TEST_SET", " "+plain+"\n")
	t.Setenv("HANDOVER_TEST_EMPTY", "")
	big := write("big", strings.Repeat(plain, 64<<10/len(plain)+1))
	tests := map[string]struct {
		source secret.Source
		want   string // the value, or
		says   string // what the error says behind the place
	}{
		"file":              {secret.Source{File: write("f", plain)}, plain, ""},
		"file with newline": {secret.Source{File: write("n", "\n"+plain+"\r\n")}, plain, ""},
		"largest file":      {secret.Source{File: write("l", strings.Repeat("x", 64<<10))}, strings.Repeat("x", 64<<10), ""},
		"variable":          {secret.Source{Env: "HANDOVER_TEST_SET"}, plain, ""},
		"empty file":        {secret.Source{File: write("e", "")}, "", "it is empty"},
		"blank file":        {secret.Source{File: write("b", " \n\t\n")}, "", "it is empty"},
		"large file":        {secret.Source{File: big}, "", "it is larger than 65536 bytes, so it is no credential"},
		"missing file":      {secret.Source{File: filepath.Join(dir, "none")}, "", "no such file or directory"},
		"a folder":          {secret.Source{File: dir}, "", "is a directory"},
		"unset variable":    {secret.Source{Env: "HANDOVER_TEST_UNSET"}, "", "it is not set"},
		"empty variable":    {secret.Source{Env: "HANDOVER_TEST_EMPTY"}, "", "it is empty"},
		"neither":           {secret.Source{}, "", "neither a file nor an environment variable is named"},
		"both":              {secret.Source{File: big, Env: "HANDOVER_TEST_SET"}, "", "both file and env are given; keep one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.source.Read()
			if tt.says == "" {
				if err != nil || got.Reveal() != tt.want {
					t.Fatalf("got a value of %d bytes and the error %v", got.Len(), err)
				}
				return
			}
			if !got.IsZero() || err == nil {
				t.Fatal("got a value or no error")
			}
			if want := "read credential from " + tt.source.String() + ": " + tt.says; err.Error() != want {
				t.Errorf("error\n got %q\nwant %q", err, want)
			}
			mustHide(t, "the error", err.Error())
		})
	}
}

func TestSourceReadsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credential")
	source := secret.Source{File: path}
	if _, err := source.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is written: got the error %v, want fs.ErrNotExist", err)
	}
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := source.Read(); err != nil || got.Reveal() != text {
			t.Errorf("got another value than the %s, or the error %v", text, err)
		}
	}
}

func TestSourceNamesItsPlace(t *testing.T) {
	for want, source := range map[string]secret.Source{
		"file /run/x":            {File: "/run/x"},
		"environment variable X": {Env: "X"},
		"no source":              {},
	} {
		if got := source.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if source.IsZero() != (want == "no source") || source.Validate() != nil {
			t.Errorf("%s: IsZero or Validate is wrong", want)
		}
	}
	if (secret.Source{File: "a", Env: "b"}).Validate() == nil {
		t.Error("two places pass")
	}
}

// The declaration's keys and its help come from the tags.
func TestSourceTags(t *testing.T) {
	typ := reflect.TypeFor[secret.Source]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("yaml") != strings.ToLower(f.Name) || f.Tag.Get("doc") == "" {
			t.Errorf("%s has the tags %s", f.Name, f.Tag)
		}
	}
}
