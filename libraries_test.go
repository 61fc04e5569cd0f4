package handover_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// home says where a library may be imported: a library that many packages know
// can't be replaced.
type home struct {
	library string
	code    []string // the packages whose code imports it; none: tests alone
	tests   []string // nil: the tests of any package; else of these alone
}

var nowhere = []string{}

// homes are the libraries, each a line in docs/dependencies.md too.
var homes = []home{
	{"github.com/anishathalye/porcupine", []string{"rotation/rotationtest"}, nowhere},
	{"github.com/Azure/azure-sdk-for-go/sdk/azcore", []string{"backends/azurekeyvault", "backends/azurekeyvault/vaulttest"}, []string{"backends/azurekeyvault"}},
	{"github.com/Azure/azure-sdk-for-go/sdk/azidentity", []string{"backends/azurekeyvault"}, nowhere},
	{"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets", []string{"backends/azurekeyvault", "backends/azurekeyvault/vaulttest"},
		[]string{"backends/azurekeyvault"}},
	{"github.com/Shopify/toxiproxy/v2", []string{"internal/toxic"}, nowhere},
	{"github.com/aws/aws-sdk-go-v2", []string{"backends/awssecrets"}, nowhere},
	{"github.com/aws/aws-sdk-go-v2/config", []string{"backends/awssecrets"}, nowhere},
	{"github.com/aws/aws-sdk-go-v2/credentials", []string{"backends/awssecrets"}, nowhere},
	{"github.com/aws/aws-sdk-go-v2/service/secretsmanager", []string{"backends/awssecrets"}, nowhere},
	{"github.com/aws/aws-sdk-go-v2/service/sts", []string{"backends/awssecrets"}, nowhere},
	{"github.com/aws/smithy-go", []string{"backends/awssecrets"}, nowhere},
	{"github.com/cenkalti/backoff/v5", []string{"agent/hooks", "qualytics"}, nowhere},
	{"github.com/coreos/go-systemd/v22", []string{"agent/systemd"}, nowhere},
	{"github.com/elastic/go-seccomp-bpf", []string{"internal/confined"}, nowhere},
	{"github.com/fsnotify/fsnotify", []string{"agent/filewatch"}, nowhere},
	{"github.com/golang-jwt/jwt/v5", []string{"agent/follow", "qualytics", "qualytics/sim", "rotation", "rotation/rotationtest"}, nil},
	{"github.com/google/go-cmp", []string{"backends/backendtest", "rotation/rotationtest"}, nil},
	{"github.com/google/renameio/v2", []string{"cmd/handover", "qualytics/sim"}, nowhere},
	{"github.com/hashicorp/vault/api", []string{"backends/vault"}, []string{"backends/vault"}},
	{"github.com/hashicorp/vault/api/auth/approle", []string{"backends/vault"}, nowhere},
	{"github.com/hashicorp/vault/api/auth/aws", []string{"backends/vault"}, nowhere},
	{"github.com/hashicorp/vault/api/auth/kubernetes", []string{"backends/vault"}, nowhere},
	{"github.com/moby/moby/api", []string{"internal/realtest"}, nowhere},
	{"github.com/prometheus/client_golang", []string{"agent/metrics"}, nil},
	{"github.com/prometheus/common", nil, []string{"agent/metrics"}},
	{"github.com/rogpeppe/go-internal", nil, []string{"cmd/handover"}},
	{"github.com/rs/zerolog", []string{"internal/toxic"}, nowhere},
	{"github.com/santhosh-tekuri/jsonschema/v6", nil, nil},
	{"github.com/spf13/cobra", []string{"cmd/handover"}, []string{"cmd/handover"}},
	{"github.com/spf13/pflag", nil, []string{"cmd/handover"}},
	{"github.com/testcontainers/testcontainers-go", []string{"internal/realtest"}, nowhere},
	{"go.uber.org/goleak", []string{"backends/backendtest"}, nil},
	{"golang.org/x/sync", []string{"agent", "agent/plan"}, nil},
	{"golang.org/x/sys", []string{"agent/control", "backends/file", "internal/confined", "internal/soak", "rotation/journal"}, nil},
	{"golang.org/x/term", []string{"cmd/handover"}, nowhere},
	{"golang.org/x/time", []string{"backends/awssecrets", "backends/wire", "qualytics"}, nowhere},
	{"gopkg.in/yaml.v3", []string{"agent/config"}, nil},
	{"k8s.io/api", nil, []string{"deploy/kubernetes"}},
	{"modernc.org/sqlite", []string{"rotation/journal"}, []string{"rotation/journal", "cmd/handover", "internal/e2e"}},
	{"pgregory.net/rapid", nil, nil},
	{"sigs.k8s.io/yaml", nil, []string{"agent", "agent/control", "deploy/kubernetes"}},
}

// homeOf returns the library that a package belongs to: the one with the
// longest path.
func homeOf(path string) (best home, ok bool) {
	for _, h := range homes {
		if (path == h.library || strings.HasPrefix(path, h.library+"/")) && len(h.library) > len(best.library) {
			best, ok = h, true
		}
	}
	return best, ok
}

// strayed returns the imports of libraries away from their homes.
func strayed(units map[string]unit) []string {
	var found []string
	stray := func(from, path string, allowed func(home) bool) {
		first, _, _ := strings.Cut(path, "/")
		if _, ours := units[path]; ours || !strings.Contains(first, ".") { // ours, or the standard library
			return
		}
		h, known := homeOf(path)
		switch {
		case !known:
			found = append(found, fmt.Sprintf("%s imports %s: it has no line in homes", from, path))
		case !allowed(h):
			where := strings.Join(h.code, ", ")
			if where == "" {
				where = "tests"
			}
			found = append(found, fmt.Sprintf("%s imports %s: its home is %s", from, path, where))
		}
	}
	for _, u := range units {
		for _, i := range u.Imports {
			stray(u.Path, i, func(h home) bool { return slices.Contains(h.code, u.Path) })
		}
		for _, i := range u.Tests {
			stray("a test of "+u.Path, i, func(h home) bool { return h.tests == nil || slices.Contains(h.tests, u.Path) })
		}
	}
	return found
}

// direct returns the libraries that go.mod names as our own choice.
func direct(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var paths []string
	for _, r := range mod.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	if len(paths) == 0 {
		t.Fatal("go.mod names no direct dependency: run `go mod tidy`")
	}
	return paths
}

// listed are the libraries that docs/dependencies.md explains: the rows of the
// tables under its first two headings.
var listed = regexp.MustCompile("(?m)^\\| `([^` ]+\\.[^` ]+/[^` ]+)` \\|")

// go.mod, docs/dependencies.md and homes name the same libraries.
func TestEveryLibraryIsExplained(t *testing.T) {
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained, housed []string
	for _, row := range listed.FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, row[1])
	}
	for _, h := range homes {
		housed = append(housed, h.library)
	}
	required := direct(t)
	for _, pair := range []struct {
		have, want         []string
		haveName, wantName string
	}{
		{required, explained, "go.mod", "docs/dependencies.md"},
		{explained, required, "docs/dependencies.md", "go.mod as a direct dependency"},
		{required, housed, "go.mod", "homes"},
		{housed, required, "homes", "go.mod as a direct dependency"},
	} {
		for _, library := range pair.have {
			if !slices.Contains(pair.want, library) {
				t.Errorf("%s is in %s and not in %s", library, pair.haveName, pair.wantName)
			}
		}
	}
}
