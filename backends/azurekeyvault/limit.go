package azurekeyvault

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/time/rate"
)

// limit keeps the calls of one backend under the declared number and rate.
type limit struct {
	turns chan struct{}
	rate  *rate.Limiter
}

// newLimit allows a second's worth of calls in one go.
func newLimit(most int, perSecond float64) *limit {
	return &limit{
		turns: make(chan struct{}, most),
		rate:  rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond))),
	}
}

// enter waits for a turn. The caller calls leave when its call has ended.
func (l *limit) enter(ctx context.Context) (leave func(), err error) {
	if err := l.rate.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("no turn in time, for rate holds it back: %w", context.DeadlineExceeded)
	}
	select {
	case l.turns <- struct{}{}:
		return func() { <-l.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
