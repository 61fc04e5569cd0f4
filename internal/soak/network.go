package main

import "github.com/handover-agent/handover/internal/toxic"

// The wires: the agent calls Qualytics over one and the Vault over the other.
const (
	apiWire   = "api"
	vaultWire = "vault"
)

// draw says what is wrong with a wire. The knob draws the direction and the
// numbers.
func draw(name string, knob uint64) toxic.Fault {
	size := int64(knob>>1) % 1000 // of thousand
	settings := map[string]map[string]int64{
		"latency":    {"latency": 100 + 2*size, "jitter": size / 5},
		"bandwidth":  {"rate": 1 + size/100}, // kB/s
		"timeout":    {"timeout": max(0, size-500)},
		"reset_peer": {"timeout": size / 4},
		"slow_close": {"delay": 500 + 3*size},
		"limit_data": {"bytes": 2 * size},
	}
	return toxic.Fault{Type: name, Upstream: knob&1 == 1, Attributes: settings[name]}
}

// spoil makes a wire faulty until the returned function is called.
func spoil(w *toxic.Wire, name string, knob uint64) (mend func() error, err error) {
	if name == "down" {
		w.Cut()
		return w.Raise, nil
	}
	return w.Mend, w.Spoil(draw(name, knob))
}
