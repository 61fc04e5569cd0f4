package backends_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
)

// plain is a wrapper that knows no optional interface.
type plain struct{ backends.Backend }

func (p plain) Unwrap() backends.Backend { return p.Backend }

// TestAs: a wrapper has a capability exactly when what it wraps has it.
func TestAs(t *testing.T) {
	staging := mem.New(mem.LikeAWS()).Backend()
	poor := mem.New(mem.Options{}).Backend()
	knowing := faulty.Wrap(staging, faulty.Nothing())
	tests := []struct {
		name string
		b    backends.Backend
		want any // nil when the capability is missing
	}{
		{"no backend", nil, nil},
		{"has it", staging, staging},
		{"lacks it", poor, nil},
		{"a wrapper that knows it, around one that has it", knowing, knowing},
		{"a wrapper that knows it, around one that lacks it", faulty.Wrap(poor, faulty.Nothing()), nil},
		{"a wrapper that doesn't know it, around one that has it", plain{staging}, staging},
		{"through two wrappers", plain{knowing}, knowing},
		{"a wrapper around nothing", plain{nil}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := backends.As[backends.Stager](test.b)
			if ok != (test.want != nil) || ok && any(got) != test.want {
				t.Errorf("found %T %v, want %T", got, ok, test.want)
			}
		})
	}
}

func TestRefAndStageNames(t *testing.T) {
	if got := place.String(); got != "vault/kv/ci" {
		t.Errorf("ref %q", got)
	}
	for stage, want := range map[backends.Stage]string{
		backends.Current: "current", backends.Previous: "previous", backends.Pending: "pending",
	} {
		if got := stage.String(); got != want {
			t.Errorf("stage %q, want %q", got, want)
		}
	}
}

func TestMetaIsZero(t *testing.T) {
	if !(backends.Meta{}).IsZero() {
		t.Error("the zero Meta knows something")
	}
	for name, m := range map[string]backends.Meta{
		"slot": {Slot: "a/b"}, "generation": {Generation: 1}, "id": {TokenID: 1},
		"token": {Token: "ab"}, "expiry": {Expires: time.Unix(0, 0)},
	} {
		if m.IsZero() {
			t.Errorf("a Meta with a %s knows nothing", name)
		}
	}
}
