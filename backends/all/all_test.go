package all_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/all"
)

func TestRegistry(t *testing.T) {
	registry, err := all.Registry()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"aws-secrets-manager", "azure-key-vault", "file", "vault"}, registry.Types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

// TestDriversAreWhole: what the declaration's check calls is there, and takes
// the options that the driver makes.
func TestDriversAreWhole(t *testing.T) {
	for _, d := range all.Drivers() {
		t.Run(d.Type, func(t *testing.T) {
			if d.Options == nil || d.Properties == nil || d.Place == nil || d.Open == nil {
				t.Fatal("a field of the driver is missing")
			}
			options := d.Options()
			rule := d.Properties(options).Path
			if rule.Pattern == nil || rule.Says == "" {
				t.Errorf("the path rule is not said: %+v", rule)
			}
			ref := backends.Ref{Backend: "b", Path: "a/b"}
			other := backends.Ref{Backend: "b", Path: "a/c"}
			if d.TargetOptions != nil {
				ref.Options, other.Options = d.TargetOptions(), d.TargetOptions()
			}
			if d.Place(options, ref) == d.Place(options, other) {
				t.Errorf("two places have one name, %s", d.Place(options, ref))
			}
		})
	}
}
