package qualytics

import (
	"context"

	"golang.org/x/time/rate"
)

// gate keeps the calls within the rate. Common calls queue for a turn, so that at
// most one of them has taken a place in the rate at a time; an urgent call takes
// its place at once, ahead of all that still queue.
type gate struct {
	rate *rate.Limiter
	turn chan struct{} // holds one token: whoever has it may take a place
}

func newGate(limit rate.Limit, burst int) *gate {
	return &gate{rate: rate.NewLimiter(limit, burst), turn: make(chan struct{}, 1)}
}

// wait returns when the call may start. It fails when ctx is done, or would be
// before its place comes.
func (g *gate) wait(ctx context.Context, urgent bool) error {
	if !urgent {
		select {
		case g.turn <- struct{}{}:
			defer func() { <-g.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return g.rate.Wait(ctx)
}

// Urgent is the same client for what can't wait: its calls go ahead of those of c
// that wait for the rate, and count against it. Closing either closes both.
func (c *Client) Urgent() *Client {
	urgent := *c
	urgent.urgent = true
	return &urgent
}
