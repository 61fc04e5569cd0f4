package rotation_test

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

func TestLabelRoundTrip(t *testing.T) {
	for _, n := range []uint64{1, 2, 9, 10, 1 << 40, rotation.MaxGeneration} {
		label := rotation.Label("pipeline-production", "acme-prod", n)
		if got, ok := rotation.ParseLabel(label, "pipeline-production", "acme-prod"); !ok || got != n {
			t.Errorf("%s is read as %d, %v", label, got, ok)
		}
	}
	if got := rotation.Label("pipeline-production", "acme-prod", 7); got != "pipeline-production.acme-prod.g7" {
		t.Errorf("the label is %q", got)
	}
}

func TestParseLabelRefusesWhatIsNotOurs(t *testing.T) {
	for _, label := range []string{
		"", "t", "t.a", "t.a.g", "t.a.g0", "t.a.g01", "t.a.g+1", "t.a.g-1", "t.a.g 1", "t.a.g1 ", "t.a.g1.g2", "t.a.gx", "t.a.1",
		"t.b.g1", "x.a.g1", "t.a.g9007199254740992", "t.a.g18446744073709551615", "t.a.g18446744073709551616", "t.a.g１", "T.a.g1", "t.a.G1",
	} {
		if n, ok := rotation.ParseLabel(label, "t", "a"); ok {
			t.Errorf("%q is read as g%d", label, n)
		}
	}
}

// FuzzSlotNames: whatever a token and an agent are called, their own label is
// read back, and no other one is.
func FuzzSlotNames(f *testing.F) {
	f.Add("pipeline-production", "acme-prod", uint64(7), "pipeline-production.acme-prod.g7")
	f.Add("a.b", "c", uint64(1), "a.b.c.g1")
	f.Add("", "", uint64(0), "..g")
	f.Fuzz(func(t *testing.T, token, agent string, n uint64, other string) {
		n = min(n, rotation.MaxGeneration)
		label := rotation.Label(token, agent, n)
		if got, ok := rotation.ParseLabel(label, token, agent); ok != (n > 0) || got != n {
			t.Errorf("%q is read as g%d, %v; want g%d", label, got, ok, n)
		}
		if got, ok := rotation.ParseLabel(other, token, agent); ok && rotation.Label(token, agent, got) != other {
			t.Errorf("%q is read as g%d, whose label is another one", other, got)
		}
		id := rotation.AccountID(token)
		local, ok := strings.CutSuffix(id, "@service")
		if !ok || strings.Trim(local, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("the id of %q is %q", token, id)
		}
		if slot := rotation.Slot(id, token); !strings.HasPrefix(slot, id+"/") {
			t.Errorf("the slot is %q", slot)
		}
	})
}

// TestAccountIDIsTheServers asks the simulator to make each account: it has a
// rule of its own, made from the same documents.
func TestAccountIDIsTheServers(t *testing.T) {
	server, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, want := range map[string]string{
		"Pipeline Automation":      "pipeline_automation@service",
		"API Access":               "api_access@service",
		"alation-sync":             "alationsync@service",
		"dbt (staging) #2":         "dbt_staging_2@service",
		"under_score":              "under_score@service",
		"  two  spaces  ":          "__two__spaces__@service",
		"tab\tand\u00a0nbsp":       "tab_and_nbsp@service",
		"Zürich Übertragung":       "zrich_bertragung@service",
		"ＦＵＬＬ width":               "_width@service",
		"K elvin":                  "k_elvin@service",
		"İstanbul":                 "istanbul@service",
		"a.b,c;d@e":                "abcde@service",
		"名前 x":                     "_x@service",
		"UPPER":                    "upper@service",
		strings.Repeat("long", 40): strings.Repeat("long", 40) + "@service",
	} {
		if got := rotation.AccountID(name); got != want {
			t.Errorf("the id of %q is %q, want %q", name, got, want)
		}
		made, err := server.CreateAccount(name, "Member")
		if err != nil {
			t.Errorf("the server refuses %q: %v", name, err)
		} else if made.ID != want {
			t.Errorf("the server makes %q of %q, want %q", made.ID, name, want)
		}
	}
}

func TestSplitLabel(t *testing.T) {
	for label, want := range map[string]struct {
		token      string
		generation uint64
	}{
		"one.acme.g3": {"one", 3}, "a.acme.g1.acme.g2": {"a.acme.g1", 2}, "x.y.acme.g12": {"x.y", 12},
		".acme.g1": {}, "one.acme.g0": {}, "one.acme.g": {}, "one.other.g3": {}, "one": {}, "": {}, "one.acme.g3x": {},
	} {
		token, generation, ours := rotation.SplitLabel(label, "acme")
		if ours != (want.generation > 0) || ours && (token != want.token || generation != want.generation) {
			t.Errorf("%q is split into %q and %d, %v", label, token, generation, ours)
		}
	}
}
