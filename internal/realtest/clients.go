package realtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// pythonPath names the folders that hold Python's clients of the stores, as
// PYTHONPATH does.
const pythonPath = "HANDOVER_TEST_PYTHONPATH"

// VaultCommand is a vault or bao program: the one that HANDOVER_TEST_VAULT_BIN
// names, else one of this machine.
func VaultCommand(tb T) string {
	tb.Helper()
	if bin := os.Getenv(vaultBin); bin != "" {
		return bin
	}
	for _, name := range []string{"bao", "vault"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin
		}
	}
	missing(tb, "%s is not set, and neither bao nor vault is installed", vaultBin)
	return ""
}

// Python is a Python that can import these modules.
type Python struct {
	// Program is the interpreter, and Env what it needs of the environment.
	Program string
	Env     []string
}

// NewPython finds a Python with these modules.
func NewPython(tb T, modules ...string) Python {
	tb.Helper()
	program, err := exec.LookPath("python3")
	if err != nil {
		missing(tb, "python3 is not installed")
	}
	p := Python{Program: program, Env: []string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=" + os.Getenv(pythonPath), "PYTHONUNBUFFERED=1"}}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", "import sys, "+strings.Join(modules, ", ")+"; print(sys.version.split()[0])")
	cmd.Env = p.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		missing(tb, "python3 can't import %s: install them, or name their folders in %s\n%s", strings.Join(modules, ", "), pythonPath, out)
	}
	tb.Logf("Python %s with %s", strings.TrimSpace(string(out)), strings.Join(modules, ", "))
	return p
}
