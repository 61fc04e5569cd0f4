package control

import (
	"maps"
	"net/http"
	"slices"
)

// Protocol are the patterns of all calls.
func Protocol() []string { return slices.Collect(maps.Keys(new(Server).protocol())) }

// Bodies are what is sent and answered and has no exported type, by schema.
func Bodies() map[string]any {
	return map[string]any{"Orders": orders{}, "Order": order{}, "Requests": requests{}, "Scope": scope{}, "Pruning": pruning{}, "Refusal": refusal{}}
}

// Through lets a test look at what goes over the socket.
func (c *Client) Through(wrap func(http.RoundTripper) http.RoundTripper) {
	c.http.Transport = wrap(c.http.Transport)
}
