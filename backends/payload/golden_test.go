package payload_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// The golden files are written by hand from consumers.md: they are the
// contract, so nothing here writes them.
func TestRenderGolden(t *testing.T) {
	token := fakeJWT(t)
	for name, spec := range golden {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(mustRender(t, spec, issued(token)), token, placeholder)
			if diff := cmp.Diff(readGolden(t, name), got); diff != "" {
				t.Errorf("payload differs from the golden file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractGolden(t *testing.T) {
	token := fakeJWT(t)
	for name, spec := range golden {
		t.Run(name, func(t *testing.T) {
			f := mustNew(t, spec)
			text := strings.ReplaceAll(readGolden(t, name), placeholder, token)
			got, err := f.Extract(secret.New(text))
			if f.Lossy() {
				if !errors.Is(err, backends.ErrLossy) || !got.IsZero() {
					t.Errorf("a lossy format gave a token or the error %v, want ErrLossy", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Reveal() != token {
				t.Error("the extracted token is another one")
			}
		})
	}
}

func TestGoldenCoversEveryFormatAndFile(t *testing.T) {
	var formats []string
	for _, spec := range golden {
		if !slices.Contains(formats, spec.Format) {
			formats = append(formats, spec.Format)
		}
	}
	want := payload.Names()
	slices.Sort(formats)
	slices.Sort(want)
	if diff := cmp.Diff(want, formats); diff != "" {
		t.Errorf("formats with a golden file (-want +got):\n%s", diff)
	}
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) != len(golden) {
		t.Errorf("testdata has %d golden files, the table %d rows (%v)", len(files), len(golden), err)
	}
}

func TestOnlyTemplateIsLossy(t *testing.T) {
	for name, spec := range golden {
		if got, want := mustNew(t, spec).Lossy(), spec.Format == "template"; got != want {
			t.Errorf("%s: Lossy() = %v, want %v", name, got, want)
		}
	}
}
