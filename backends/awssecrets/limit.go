package awssecrets

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limit keeps the calls of one backend under the declared number and rate.
type limit struct {
	turns chan struct{}
	rate  *rate.Limiter
}

// newLimit allows a second's worth of calls at once.
func newLimit(most int, perSecond float64) *limit {
	return &limit{turns: make(chan struct{}, most), rate: rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond)))}
}

// enter waits for a turn. The caller calls leave when its call has ended.
func (l *limit) enter(ctx context.Context) (leave func(), err error) {
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

// AWS keeps every version of the last day and asks for no more than one new one
// in ten minutes, sustained. A few more at once do no harm.
const (
	putEvery = 10 * time.Minute
	putBurst = 30
)

// allowance counts the new versions of each secret, so that a quarrel with
// another writer doesn't use up the secret's versions. It is safe for
// concurrent use.
type allowance struct {
	mu   sync.Mutex
	each map[string]*rate.Limiter
}

func newAllowance() *allowance { return &allowance{each: map[string]*rate.Limiter{}} }

// take counts a new version. When there are too many it returns how long to
// wait, and counts nothing.
func (a *allowance) take(path string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	limiter, ok := a.each[path]
	if !ok {
		limiter = rate.NewLimiter(rate.Every(putEvery), putBurst)
		a.each[path] = limiter
	}
	r := limiter.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}
