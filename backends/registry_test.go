package backends_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

func TestRegistry(t *testing.T) {
	r, err := backends.NewRegistry(backends.Driver{Type: "vault"}, backends.Driver{Type: "file"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"file", "vault"}, r.Types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if _, ok := r["mem"]; ok {
		t.Error("a driver that was not given is known")
	}
}

func TestRegistryRefusesTwoOfOneType(t *testing.T) {
	_, err := backends.NewRegistry(backends.Driver{Type: "file"}, backends.Driver{Type: "file"})
	if err == nil || err.Error() != `two drivers of type "file"` {
		t.Errorf("got %v", err)
	}
}

func TestRegistryMayBeEmpty(t *testing.T) {
	r, err := backends.NewRegistry()
	if err != nil || len(r.Types()) != 0 {
		t.Errorf("types %v, error %v", r.Types(), err)
	}
}
