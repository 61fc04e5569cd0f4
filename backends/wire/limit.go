package wire

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/time/rate"
)

// Limit keeps the calls of one backend under the declared number and rate. It is
// safe for concurrent use.
type Limit struct {
	turns chan struct{}
	rate  *rate.Limiter
}

// NewLimit allows most calls at the same time, and a second's worth of them in
// one go.
func NewLimit(most int, perSecond float64) *Limit {
	return &Limit{turns: make(chan struct{}, most), rate: rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond)))}
}

// Enter waits for a turn. The caller calls leave when its call has ended. A ctx
// that ends, or would end before the turn comes, is the error.
func (l *Limit) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case l.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-l.turns }
	if err := l.rate.Wait(ctx); err != nil {
		leave()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("rate leaves no turn in time: %w", context.DeadlineExceeded)
	}
	return leave, nil
}
