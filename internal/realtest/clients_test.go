package realtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// A Python with the modules is found, by the declared folders too; one without
// them is missing.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "handover_module.py"), []byte("found = True\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pythonPath, dir)
	if p := NewPython(t, "json", "handover_module"); p.Program == "" || !slices.Contains(p.Env, "PYTHONPATH="+dir) {
		t.Errorf("it is %+v", p)
	}
	r := &recorder{TB: t}
	if NewPython(r, "handover_module_of_nobody"); r.ended == "" {
		t.Error("a module that isn't there was found")
	}
}

func TestVaultCommand(t *testing.T) {
	t.Setenv(vaultBin, "/declared/bao")
	if got := VaultCommand(t); got != "/declared/bao" {
		t.Errorf("it is %s, want what was declared", got)
	}
	t.Setenv(vaultBin, "")
	t.Setenv("PATH", t.TempDir())
	r := &recorder{TB: t}
	if VaultCommand(r); r.ended == "" {
		t.Error("a program was found where there is none")
	}
}
