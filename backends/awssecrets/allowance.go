package awssecrets

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

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
