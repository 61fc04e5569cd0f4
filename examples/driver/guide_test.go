package driver_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guide = "../../docs/new-backend.md"

var codeBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestGuideQuotesThisCode: what docs/new-backend.md shows is what is tested
// here.
func TestGuideQuotesThisCode(t *testing.T) {
	page, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	blocks := codeBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 6 {
		t.Errorf("%s has %d blocks of Go: it shows too little of a driver", guide, len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code.String(), block[1]) {
			t.Errorf("%s shows code that isn't here:\n%s", guide, block[1])
		}
	}
}
