package all_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/awssecrets"
	"github.com/handover-agent/handover/backends/azurekeyvault"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/vault"
)

var update = flag.Bool("update", false, "write testdata/skips.golden anew")

// opened are backends of every type, by the name that the golden file has for
// them. Opening asks no store.
func opened(t *testing.T) map[string]backends.Backend {
	t.Helper()
	options := map[string]any{
		"aws-secrets-manager": &awssecrets.Options{Region: "us-east-1"},
		"azure-key-vault":     &azurekeyvault.Options{URL: "https://acme.vault.azure.net"},
		"file":                &file.Options{Dir: t.TempDir()},
		"vault": &vault.Options{Address: "http://127.0.0.1:8200",
			Auth: vault.Auth{Method: "token", Token: secret.Source{Env: "NO_SUCH_TOKEN"}}},
	}
	made := map[string]backends.Backend{}
	for _, d := range all.Drivers() {
		env := backends.Env{Name: d.Type, AgentID: "test", Log: slog.New(slog.DiscardHandler)}
		b, err := d.Open(t.Context(), env, options[d.Type])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		made[d.Type] = b
	}
	return made
}

// TestSkips: what a store can't do is declared, and the conformance suite leaves
// that out and nothing else. Whoever adds to the list has to say so here.
func TestSkips(t *testing.T) {
	made := opened(t)
	var text strings.Builder
	for _, d := range all.Drivers() {
		for _, skip := range backendtest.Skips(made[d.Type]) {
			fmt.Fprintf(&text, "%-20s %-28s needs %s\n", d.Type, skip.Subtest, skip.Needs)
		}
	}
	name := filepath.Join("testdata", "skips.golden")
	if *update {
		if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("what the suite skips (-golden +now):\n%s", diff)
	}
}

// TestPlayedStores: the stores in memory that the simulated world plays can do
// just what the drivers can.
func TestPlayedStores(t *testing.T) {
	made := opened(t)
	for kind, options := range map[string]mem.Options{
		"aws-secrets-manager": mem.LikeAWS(), "azure-key-vault": mem.LikeAzure(), "file": mem.LikeFile(), "vault": mem.LikeVault(),
	} {
		played, real := mem.New(options).Backend(), made[kind]
		if diff := cmp.Diff(backendtest.Skips(real), backendtest.Skips(played)); diff != "" {
			t.Errorf("%s: the suite skips (-driver +played):\n%s", kind, diff)
		}
		if have, want := played.Properties().MaxPayload, real.Properties().MaxPayload; have != want {
			t.Errorf("%s: the played store takes %d bytes, the driver %d", kind, have, want)
		}
	}
}
