package rotation

import (
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// TestHoldsGoesByTheValue: an old version is destroyed for what is known of its
// value. Metadata of ours over another's value doesn't make that ours.
func TestHoldsGoesByTheValue(t *testing.T) {
	ours, sent, another := secret.New("eyJ.ours.x"), secret.New("a payload that was sent"), secret.New("eyJ.another.x")
	rec := Record{Slot: "a@service/t", Generations: []Generation{{Number: 3, TokenID: 7, Fingerprint: ours.Fingerprint()}},
		Targets: map[string]TargetRecord{"store/x": {Payloads: []Payload{{Fingerprint: sent.Fingerprint(), Generation: 3}}}}}
	meta := backends.Meta{Slot: rec.Slot, Generation: 3, TokenID: 7, Token: ours.Fingerprint()}
	for name, test := range map[string]struct {
		seen backends.Reading
		want bool
	}{
		"the token":                   {backends.Reading{Present: true, Token: ours}, true},
		"what was sent":               {backends.Reading{Present: true, Payload: sent.Fingerprint()}, true},
		"another's under our meta":    {backends.Reading{Present: true, Token: another, Meta: meta}, false},
		"without a token, our meta":   {backends.Reading{Present: true, Payload: another.Fingerprint(), Meta: meta}, false},
		"nothing":                     {backends.Reading{Meta: meta}, false},
		"another's, and nothing else": {backends.Reading{Present: true, Token: another}, false},
	} {
		if got := rec.holds("store/x", test.seen); (got != nil) != test.want {
			t.Errorf("%s: ours %v, want %v", name, got != nil, test.want)
		}
	}
}
