// Package handover_test keeps the rules that hold for the whole tree: who may
// import whom, where each library and each revealed secret stands, and what no
// file may contain.
package handover_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/handover-agent/handover"

// unit is a package as `go list` tells of it. Packages of this module go by
// their folder: "agent/config".
type unit struct {
	Path    string
	Imports []string // of the code
	Tests   []string // of the tests
	Deps    []string // all that the code needs, however far away
}

// tree lists the packages of this module.
func tree(t *testing.T) map[string]unit {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list",
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	units := map[string]unit{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath                               string
			Imports, TestImports, XTestImports, Deps []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.ImportPath == module { // this very package
			continue
		}
		u := unit{Path: folder(p.ImportPath), Imports: folders(p.Imports),
			Tests: folders(append(p.TestImports, p.XTestImports...)), Deps: folders(p.Deps)}
		units[u.Path] = u
	}
	if len(units) < 15 {
		t.Fatalf("go list found %d packages, that can't be all", len(units))
	}
	return units
}

func folder(path string) string { return strings.TrimPrefix(path, module+"/") }

func folders(paths []string) []string {
	short := make([]string, len(paths))
	for i, p := range paths {
		short[i] = folder(p)
	}
	return short
}

// layer says which packages of this module a package may import.
type layer struct {
	path string
	may  []string
	why  string
}

const (
	driverWhy = "a driver knows the contract and its product; what drivers share stands in Target, and on the network in wire"
	partWhy   = "a part of the agent knows what it reports or serves, and never the agent: agent alone composes its parts"
)

// layers is the drawing of design.md, "Packages". A package that isn't here is
// refused until somebody has thought about its place.
var layers = []layer{
	{"cmd/handover", []string{"agent", "agent/config", "agent/control", "agent/doctor", "agent/filewatch", "agent/follow", "agent/pace", "agent/plan", "agent/report",
		"agent/systemd", "backends", "backends/all", "backends/secret", "qualytics/sim", "rotation", "rotation/journal"},
		"the command line is flags, output and exit codes; it reads and prunes a stopped agent's journal, and all else is the agent's"},
	{"agent", []string{"agent/config", "agent/control", "agent/doctor", "agent/filewatch", "agent/hooks", "agent/metrics", "agent/notify", "agent/pace", "agent/plan", "agent/report", "agent/web",
		"backends", "backends/secret", "qualytics", "rotation", "rotation/journal"},
		"the agent composes its parts and gets its drivers from the declaration"},
	{"agent/config", []string{"backends", "backends/payload", "backends/secret", "rotation"},
		"drivers give their options' types through the Registry: config knows none of them, and works without a network"},
	{"agent/control", []string{"agent/report", "rotation"}, partWhy},
	{"agent/doctor", []string{"backends", "rotation"}, partWhy},
	{"agent/filewatch", nil, "it watches any file"},
	{"agent/follow", []string{"agent/config", "agent/hooks", "agent/metrics", "agent/web", "backends", "backends/secret"},
		"a follower is a process of its own: it has no journal, no client of Qualytics, and decides nothing of a token's life"},
	{"agent/hooks", []string{"backends/secret", "backends/wire"}, "a hook is told of a change, and knows nothing of who changed what; a webhook is reached as stores are"},
	{"agent/metrics", []string{"agent/report", "rotation"}, partWhy},
	{"agent/notify", []string{"agent/report", "rotation"}, partWhy},
	{"agent/pace", nil, "a clock knows nothing of what it times"},
	{"agent/plan", []string{"backends", "backends/secret", "rotation"}, partWhy},
	{"agent/report", []string{"backends", "rotation"}, partWhy},
	{"agent/systemd", nil, "it tells systemd what it is told"},
	{"agent/web", []string{"agent/report", "rotation"}, partWhy},
	{"rotation", []string{"backends", "backends/secret"},
		"the core owns the interfaces that it consumes: no driver, journal or client below it"},
	{"rotation/journal", []string{"backends/secret", "rotation"}, "a journal stores what rotation decides"},
	{"rotation/rotationtest", []string{"backends", "backends/mem", "backends/payload", "backends/secret", "rotation"},
		"the suites and scripts of the core know no journal and no client"},
	{"rotation/rotationtest/world", []string{"backends", "backends/mem", "backends/payload", "backends/secret", "rotation",
		"rotation/rotationtest"}, "the simulated world tests the core, whatever journal or client there is"},
	{"rotation/rotationtest/mutants", nil, "it changes the core's text and has go build it; it needs none of its code"},
	{"qualytics", []string{"backends/secret", "rotation"}, "a client implements rotation.Issuer and knows no store"},
	{"qualytics/sim", []string{"backends/secret"},
		"the simulator is written to Qualytics' documents, not to what our client expects"},
	{"backends", []string{"backends/secret"}, "the contract of all drivers knows none of them"},
	{"backends/secret", nil, "everything holds secrets, so their type is a leaf"},
	{"backends/payload", []string{"backends", "backends/secret"}, "a format knows shapes, not stores"},
	{"backends/all", []string{"backends", "backends/awssecrets", "backends/azurekeyvault", "backends/file", "backends/vault"},
		"the one visible list of drivers"},
	{"backends/awssecrets", []string{"backends", "backends/secret", "backends/wire"}, driverWhy},
	{"backends/azurekeyvault", []string{"backends", "backends/secret", "backends/wire"}, driverWhy},
	{"backends/azurekeyvault/vaulttest", nil, "a stand-in for Key Vault knows nothing of who asks it"},
	{"backends/file", []string{"backends", "backends/secret"}, driverWhy},
	{"backends/mem", []string{"backends", "backends/secret"}, driverWhy},
	{"backends/vault", []string{"backends", "backends/secret", "backends/wire"}, driverWhy},
	{"backends/wire", nil, "how a store on a network is reached; what its answers mean, a driver says"},
	{"deploy/kubernetes", nil, "manifests, and a test that holds them to the program"},
	{"examples/driver", []string{"backends", "backends/secret", "backends/wire"}, driverWhy},
	{"backends/faulty", []string{"backends"}, "faults wrap any driver"},
	{"backends/backendtest", []string{"backends", "backends/secret"}, "the suite runs on every driver, and favours none"},
	{"backends/backendtest/wiretest", []string{"backends", "backends/secret", "internal/toxic"}, "the suite runs on every driver with a network, and favours none"},
	{"internal/confined", nil, "it runs any program under a unit's limits"},
	{"internal/e2e", nil, "it runs the program as its users do, from outside"},
	{"internal/outside", []string{"internal/realtest"}, "it looks at the program as its users do, with none of its code"},
	{"internal/realtest", nil, "it starts servers and knows nothing of who asks them"},
	{"internal/soak", []string{"internal/outside", "internal/realtest", "internal/toxic"}, "it runs the program under faults, from outside"},
	{"internal/toxic", nil, "a network knows nothing of who speaks over it"},
}

// crossings returns the imports that layers doesn't allow.
func crossings(units map[string]unit) []string {
	var found []string
	for _, u := range units {
		at := slices.IndexFunc(layers, func(l layer) bool { return l.path == u.Path })
		if at < 0 {
			found = append(found, u.Path+" has no line in layers: say what it may import, and why")
			continue
		}
		for _, i := range u.Imports {
			if _, ours := units[i]; ours && !slices.Contains(layers[at].may, i) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", u.Path, i, layers[at].why))
			}
		}
	}
	return found
}

// ban is a package that others must not need, however far away.
type ban struct {
	from []string // a package, or with /… all below it
	not  []string // the same, or a package outside
	why  string
}

var bans = []ban{
	{[]string{"rotation", "agent/config"},
		[]string{"backends/awssecrets", "backends/azurekeyvault", "backends/file", "backends/mem", "backends/vault", "rotation/journal",
			"qualytics", "net/http", "database/sql", "github.com/aws/aws-sdk-go-v2", "github.com/Azure/azure-sdk-for-go/sdk/azcore",
			"github.com/hashicorp/vault/api", "modernc.org/sqlite"},
		"what decides and what declares is pure: no driver, no journal, no client, no network"},
	{[]string{"backends/awssecrets", "backends/azurekeyvault", "backends/file", "backends/mem", "backends/vault", "backends/payload"},
		[]string{"rotation", "agent/…", "qualytics"},
		"what is plugged in doesn't know what it is plugged into"},
	{[]string{"agent/config", "agent/control", "agent/follow", "agent/hooks", "agent/metrics", "agent/notify", "agent/pace", "agent/plan", "agent/report", "agent/web"},
		[]string{"agent"}, "imports never run upward"},
	{[]string{"agent/follow"}, []string{"qualytics", "rotation/journal"}, "a follower can issue nothing and revoke nothing"},
	{[]string{"cmd/handover"},
		[]string{"testing", "examples/driver", "backends/azurekeyvault/vaulttest", "backends/faulty", "backends/mem", "backends/backendtest", "backends/backendtest/wiretest",
			"rotation/rotationtest", "rotation/rotationtest/…", "internal/e2e", "internal/outside", "internal/realtest", "internal/toxic"},
		"the program contains nothing that tests and examples are made of"},
	{[]string{"qualytics", "qualytics/sim", "backends/…", "rotation"}, []string{"gopkg.in/yaml.v3"},
		"YAML is how the declaration is written, and nothing else's matter"},
}

// among reports whether path is one of the patterns.
func among(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, tree := strings.CutSuffix(p, "…")
		return path == p || tree && strings.HasPrefix(path, below)
	})
}

// banned returns what packages need and must not.
func banned(units map[string]unit) []string {
	var found []string
	for _, u := range units {
		for _, b := range bans {
			if !among(u.Path, b.from) {
				continue
			}
			for _, d := range u.Deps {
				if among(d, b.not) {
					found = append(found, fmt.Sprintf("%s needs %s: %s", u.Path, d, b.why))
				}
			}
		}
	}
	return found
}

// testOnly are the packages that only tests and each other may import.
var testOnly = []string{"backends/azurekeyvault/vaulttest", "backends/backendtest", "backends/backendtest/wiretest",
	"backends/faulty", "rotation/rotationtest", "rotation/rotationtest/world",
	"rotation/rotationtest/mutants",
	"internal/e2e", "internal/outside", "internal/realtest", "internal/soak", "internal/toxic"}

// leaked returns the imports of test packages by code.
func leaked(units map[string]unit) []string {
	var found []string
	for _, u := range units {
		for _, i := range u.Imports {
			if among(i, testOnly) && !among(u.Path, testOnly) {
				found = append(found, fmt.Sprintf("%s imports %s: faults and suites belong to tests", u.Path, i))
			}
		}
	}
	return found
}

// rules are all rules on packages, by name.
var rules = map[string]func(map[string]unit) []string{
	"layers":    crossings,
	"bans":      banned,
	"test only": leaked,
	"homes":     strayed,
}

func TestImports(t *testing.T) {
	units := tree(t)
	for name, violations := range rules {
		t.Run(name, func(t *testing.T) {
			for _, v := range slices.Sorted(slices.Values(violations(units))) {
				t.Error(v)
			}
		})
	}
	for _, l := range layers {
		if _, there := units[l.path]; !there {
			t.Errorf("layers has a line for %s, and there is no such package", l.path)
		}
	}
}

// Each rule is broken once, and says so.
func TestBrokenImports(t *testing.T) {
	whole := tree(t)
	for _, test := range []struct {
		rule, from, imports, want string
		test                      bool // the tests of from import it
	}{
		{rule: "layers", from: "rotation", imports: "rotation/journal", want: "rotation imports rotation/journal: the core owns"},
		{rule: "layers", from: "agent/config", imports: "backends/vault", want: "agent/config imports backends/vault: drivers give"},
		{rule: "layers", from: "backends/file", imports: "backends/mem", want: "backends/file imports backends/mem: a driver knows"},
		{rule: "layers", from: "agent/web", imports: "agent", want: "agent/web imports agent: a part"},
		{rule: "layers", from: "agent/new", imports: "fmt", want: "agent/new has no line in layers"},
		{rule: "bans", from: "rotation", imports: "net/http", want: "rotation needs net/http: what decides"},
		{rule: "bans", from: "agent/config", imports: "github.com/hashicorp/vault/api", want: "agent/config needs github.com/hashicorp/vault/api"},
		{rule: "bans", from: "backends/vault", imports: "rotation", want: "backends/vault needs rotation: what is plugged in"},
		{rule: "bans", from: "backends/vault", imports: "agent/pace", want: "backends/vault needs agent/pace: what is plugged in"},
		{rule: "bans", from: "agent/follow", imports: "qualytics", want: "agent/follow needs qualytics: a follower can issue nothing"},
		{rule: "bans", from: "agent/report", imports: "agent", want: "agent/report needs agent: imports never"},
		{rule: "bans", from: "cmd/handover", imports: "testing", want: "cmd/handover needs testing: the program"},
		{rule: "bans", from: "qualytics", imports: "gopkg.in/yaml.v3", want: "qualytics needs gopkg.in/yaml.v3: YAML"},
		{rule: "bans", from: "cmd/handover", imports: "examples/driver", want: "cmd/handover needs examples/driver: the program"},
		{rule: "test only", from: "agent", imports: "backends/faulty", want: "agent imports backends/faulty: faults"},
		{rule: "test only", from: "qualytics", imports: "rotation/rotationtest", want: "qualytics imports rotation/rotationtest"},
		{rule: "homes", from: "agent", imports: "gopkg.in/yaml.v3", want: "agent imports gopkg.in/yaml.v3: its home is agent/config"},
		{rule: "homes", from: "rotation", imports: "modernc.org/sqlite/lib", want: "its home is rotation/journal"},
		{rule: "homes", from: "agent", imports: "github.com/hashicorp/vault/api", test: true, want: "its home is backends/vault"},
		{rule: "homes", from: "agent", imports: "pgregory.net/rapid", want: "its home is tests"},
		{rule: "homes", from: "qualytics", imports: "example.com/new/library", want: "example.com/new/library: it has no line in homes"},
	} {
		t.Run(test.rule+" "+test.from+" "+test.imports, func(t *testing.T) {
			units := maps.Clone(whole)
			u := units[test.from]
			u.Path = test.from
			if test.test {
				u.Tests = append(slices.Clone(u.Tests), test.imports)
			} else {
				u.Imports, u.Deps = append(slices.Clone(u.Imports), test.imports), append(slices.Clone(u.Deps), test.imports)
			}
			units[test.from] = u
			for _, v := range rules[test.rule](units) {
				if strings.Contains(v, test.want) {
					return
				}
			}
			t.Errorf("%s imports %s, and the rule %q doesn't say %q", test.from, test.imports, test.rule, test.want)
		})
	}
}
