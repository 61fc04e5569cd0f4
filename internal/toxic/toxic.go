// Package toxic is a network that can be made faulty: a TCP proxy before a
// server, in this process (toxiproxy).
package toxic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// mendTimeout bounds the end of a toxic.
const mendTimeout = 20 * time.Second

// Wire is a TCP proxy that can be made faulty, in one way at a time.
type Wire struct {
	address string
	proxy   *toxiproxy.Proxy
}

// New serves at the address and passes on to upstream, both host:port. A port 0
// becomes a free one.
func New(address, upstream string) (*Wire, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log by the global logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &Wire{proxy: toxiproxy.NewProxy(server, "wire", address, upstream)}
	if err := w.Raise(); err != nil {
		return nil, err
	}
	w.address = w.proxy.Listen
	return w, nil
}

// Address is where it serves, host:port.
func (w *Wire) Address() string { return w.address }

// Cut takes the wire away: its connections end, and nobody listens. It is the
// wire's end too.
func (w *Wire) Cut() { w.proxy.Stop() }

// Raise brings a wire that was cut back, at its address.
func (w *Wire) Raise() error { return w.proxy.Start() }

// Fault is one thing that is wrong with a wire: a toxic of toxiproxy's.
type Fault struct {
	// Type is latency, timeout, reset_peer …
	Type string
	// Upstream: it is wrong with what the client sends, else with the answers.
	Upstream bool
	// Attributes are numbers, in milliseconds, bytes or kB/s.
	Attributes map[string]int64
}

// The toxics' names.
const (
	current = "current"
	harsh   = "harsh"
)

// Harsh has the connections that are made from now on end by a reset where a
// fault ends them, on TCP's level, and not by a close.
func (w *Wire) Harsh() error {
	return w.add(harsh, 0, Fault{Type: "reset_peer"}) // it is never due, and what toxiproxy prepares for it stays
}

// Spoil makes the wire faulty until Mend, connections that stand already too.
func (w *Wire) Spoil(f Fault) error { return w.add(current, 1, f) }

func (w *Wire) add(name string, toxicity int, f Fault) error {
	stream := "downstream"
	if f.Upstream {
		stream = "upstream"
	}
	text, err := json.Marshal(map[string]any{
		"name": name, "type": f.Type, "stream": stream, "toxicity": toxicity, "attributes": f.Attributes,
	})
	if err == nil {
		_, err = w.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	}
	if err != nil {
		return fmt.Errorf("spoil a wire: %w", err)
	}
	return nil
}

// Mend takes the fault away. What was held back goes on.
func (w *Wire) Mend() error {
	ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.proxy.Toxics.RemoveToxic(ctx, current) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("mend a wire: it didn't end within %s", mendTimeout)
	}
}
