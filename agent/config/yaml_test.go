package config_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends/secret"
)

func TestYAMLHasTheKeysAndTheOrderOfJSON(t *testing.T) {
	type part struct {
		Zeta  string     `json:"zeta"`
		Alpha int        `json:"alpha"`
		At    *time.Time `json:"at"`
		None  []string   `json:"none"`
		Empty []string   `json:"empty"`
	}
	at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	got, err := config.YAML(map[string]any{"parts": []part{{Zeta: "yes", Alpha: 1, At: &at, Empty: []string{}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `parts:
  - zeta: "yes"
    alpha: 1
    at: "2026-11-05T12:00:00Z"
    none: null
    empty: []
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// TestYAMLKeepsText: text that YAML would take for something else comes back as
// the text that it was.
func TestYAMLKeepsText(t *testing.T) {
	for _, text := range []string{"", "no", "null", "12", "1e3", "0x1F", "2026-11-05", "~", "a: b", "- a", "#x", "<&>",
		"two\nlines\n", " spaces ", "tab\t", "\x1b[31m", "\u2028", "\U0001F600", "ends in \\", `"quoted"`, "|", "%", "@x", "[", "é"} {
		out, err := config.YAML(map[string]string{"text": text})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var back map[string]any
		if err := yaml.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		if diff := cmp.Diff(map[string]any{"text": text}, back); diff != "" {
			t.Errorf("%q became %q:\n%s", text, out, diff)
		}
	}
}

func TestYAMLKeepsNumbers(t *testing.T) {
	out, err := config.YAML(json.RawMessage(`{"large":9007199254740993,"small":-1,"part":1.5,"yes":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("large: 9007199254740993\nsmall: -1\npart: 1.5\n\"yes\": true\n", string(out)); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLRefusesASecret(t *testing.T) {
	out, err := config.YAML(map[string]any{"token": secret.New("a secret text")})
	if err == nil || len(out) > 0 {
		t.Errorf("a secret was written: %q, %v", out, err)
	}
}
