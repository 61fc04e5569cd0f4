package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
)

// FuzzDurationFlag: a command takes what a declaration takes, and refuses all
// else as a wrong call.
func FuzzDurationFlag(f *testing.F) {
	for _, text := range []string{"7d", "1w2d", "1h30m", "0s", "", "7", "-7d", "1y", "200000d", "\x00", "7d\n", "--", "7d -o json"} {
		f.Add(text)
	}
	missing := filepath.Join(f.TempDir(), "agent.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		var flag durationFlag
		want, refused := config.ParseDuration(text)
		if err := flag.Set(text); (err != nil) != (refused != nil) || time.Duration(flag) != want {
			t.Errorf("%q: %s, %v; want %s, %v", text, &flag, err, want, refused)
		}
		var again durationFlag
		if err := again.Set(flag.String()); err != nil || again != flag {
			t.Errorf("%q is shown as %s, which is read as %s (%v)", text, &flag, &again, err)
		}
		code, out, errs := call(t, "history", "--since="+text, "-c", missing)
		wantCode := exitDeclaration // there is none
		if refused != nil {
			wantCode = exitUsage
		}
		if code != wantCode || out != "" || !strings.HasSuffix(errs, "\n") {
			t.Errorf("%q: code %d, stdout %q, stderr %q; want %d", text, code, out, errs, wantCode)
		}
	})
}
