package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// The wires: the agent calls Qualytics over one and the Vault over the other.
const (
	apiWire   = "api"
	vaultWire = "vault"
)

// mendTimeout bounds the end of a toxic.
const mendTimeout = 20 * time.Second

// wire is a TCP proxy that can be made faulty.
type wire struct {
	address string
	proxy   *toxiproxy.Proxy
}

// newWire serves at the address and passes on to upstream, both host:port.
func newWire(name, address, upstream string) (*wire, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log by the global logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{address: address, proxy: toxiproxy.NewProxy(server, name, address, upstream)}
	return w, w.proxy.Start()
}

func (w *wire) close() { w.proxy.Stop() }

// toxic is what is told to toxiproxy.
func toxic(name string, knob uint64) string {
	stream := []string{"downstream", "upstream"}[knob&1]
	size := (knob >> 1) % 1000 // of thousand
	settings := map[string]string{
		"latency":    fmt.Sprintf(`"latency": %d, "jitter": %d`, 100+2*size, size/5),
		"bandwidth":  fmt.Sprintf(`"rate": %d`, 1+size/100), // kB/s
		"timeout":    fmt.Sprintf(`"timeout": %d`, max(0, int(size)-500)),
		"reset_peer": fmt.Sprintf(`"timeout": %d`, size/4),
		"slow_close": fmt.Sprintf(`"delay": %d`, 500+3*size),
		"limit_data": fmt.Sprintf(`"bytes": %d`, 2*size),
	}
	return fmt.Sprintf(`{"name": "it", "type": %q, "stream": %q, "attributes": {%s}}`, name, stream, settings[name])
}

// spoil makes the wire faulty until the returned function is called.
func (w *wire) spoil(name string, knob uint64) (mend func() error, err error) {
	if name == "down" {
		w.proxy.Stop()
		return w.proxy.Start, nil
	}
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic(name, knob))); err != nil {
		return nil, fmt.Errorf("spoil a wire: %w", err)
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.proxy.Toxics.RemoveToxic(ctx, "it") }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return fmt.Errorf("mend a wire: %s didn't end within %s", name, mendTimeout)
		}
	}, nil
}
