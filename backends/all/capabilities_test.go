package all_test

import (
	"log/slog"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/awssecrets"
	"github.com/handover-agent/handover/backends/azurekeyvault"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/vault"
)

// TestSimulatedStoresAreTheDrivers: what the simulated world plays of each
// driver is what the driver says of itself, and can do. Whether that is true of
// the product, the conformance suite asks on a real server.
func TestSimulatedStoresAreTheDrivers(t *testing.T) {
	like := mem.Like()
	for _, d := range all.Drivers() {
		t.Run(d.Type, func(t *testing.T) {
			played, ok := like[d.Type]
			if !ok {
				t.Fatal("mem.Like plays no store of this type")
			}
			delete(like, d.Type)
			driver := open(t, d, options(t, d))
			if diff := cmp.Diff(abilities(mem.New(played).Backend()), abilities(driver)); diff != "" {
				t.Errorf("what is played and what the driver can do (-played +driver):\n%s", diff)
			}
			if diff := cmp.Diff(abilities(driver).Properties, plain(d.Properties(options(t, d)))); diff != "" {
				t.Errorf("what is said of the opened backend and before (-opened +before):\n%s", diff)
			}
		})
	}
	for kind := range like {
		t.Errorf("mem.Like plays %q, which is no driver", kind)
	}
}

// able is all that the engine chooses by.
type able struct {
	Properties                         backends.Properties
	Stages, Describes, Checks, Removes bool
}

func abilities(b backends.Backend) able {
	a := able{Properties: plain(b.Properties())}
	_, a.Stages = backends.As[backends.Stager](b)
	_, a.Describes = backends.As[backends.Describer](b)
	_, a.Checks = backends.As[backends.Checker](b)
	_, a.Removes = backends.As[backends.Remover](b)
	return a
}

// plain is p without the rule for names, which is each store's own, and without
// what the folder of a test is on.
func plain(p backends.Properties) backends.Properties {
	p.Path, p.Volatile = backends.PathRule{}, false
	return p
}

// options are the driver's with nothing given but what must be.
func options(t *testing.T, d backends.Driver) any {
	t.Helper()
	given := d.Options()
	switch o := given.(type) {
	case *vault.Options:
		o.Address, o.Auth.Method, o.Auth.Token = "https://vault.internal:8200", "token", secret.Source{Env: "VAULT_TOKEN"}
	case *awssecrets.Options:
		o.Region = "us-east-1"
	case *azurekeyvault.Options:
		o.URL = "https://acme.vault.azure.net"
	case *file.Options:
		o.Dir = t.TempDir()
	default:
		t.Fatalf("no options are known for %s", reflect.TypeOf(given))
	}
	return given
}

// open makes the backend, which needs no network.
func open(t *testing.T, d backends.Driver, options any) backends.Backend {
	t.Helper()
	b, err := d.Open(t.Context(), backends.Env{Name: "b", AgentID: "acme", Log: slog.New(slog.DiscardHandler)}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
