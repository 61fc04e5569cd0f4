package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	// readEvery is the pause between two reads of one reader.
	readEvery = 15 * time.Millisecond
	// holding is how long the second reader of each target holds a token
	// before it uses it, as a consumer does that reads once per run: less
	// than the declared grace, which is 2 s.
	holding = time.Second
	// fair is how long a token may be held. That this machine stops a reader
	// for longer is not the agent's doing; such reads are counted apart.
	fair = 1500 * time.Millisecond
)

// readers read targets again and again, two at each: take the token, use it
// once, at once or after a while, never try again. From the first token on,
// each target must always hold one that works.
type readers struct {
	qualytics instance
	stop      context.CancelFunc
	all       sync.WaitGroup

	mu    sync.Mutex
	reads map[string]int // by consumer, those that used the token at once
	held  int            // reads that held it for a while
	slow  int            // refused, and the reader was too slow to blame anybody
	dead  []string       // refused, or nothing there any more
	other []string       // the reader's own troubles
}

func startReaders(t *testing.T, q instance, consumers ...consumer) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &readers{qualytics: q, stop: cancel, reads: map[string]int{}}
	for _, c := range consumers {
		r.all.Go(func() { r.loop(ctx, c, 0) })
		r.all.Go(func() { r.loop(ctx, c, holding) })
	}
	t.Cleanup(r.end)
	return r
}

// end ends all readers and waits for them.
func (r *readers) end() {
	r.stop()
	r.all.Wait()
}

func (r *readers) loop(ctx context.Context, c consumer, hold time.Duration) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	delivered := false
	for {
		delivered = r.read(ctx, c, hold, delivered)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read is one use of a target. It returns whether the target was delivered to.
func (r *readers) read(ctx context.Context, c consumer, hold time.Duration, delivered bool) bool {
	began := time.Now()
	token, err := c.read(ctx)
	if errors.Is(err, errAbsent) && !delivered {
		return false
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	var account string
	var code int
	if err == nil {
		account, code, err = r.qualytics.whose(ctx, token)
	}
	took := time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return delivered
	case errors.Is(err, errAbsent):
		r.dead = append(r.dead, fmt.Sprintf("%s %s holds nothing any more", began.Format(time.StampMilli), c.name))
	case err != nil:
		r.other = append(r.other, fmt.Sprintf("%s: %v", c.name, err))
	case code != http.StatusOK && took > fair:
		r.slow++
	case code != http.StatusOK:
		r.dead = append(r.dead, fmt.Sprintf("%s %s: the token was refused with %d after %s", began.Format(time.StampMilli), c.name, code, took))
	case account != c.account:
		r.dead = append(r.dead, fmt.Sprintf("%s holds a token of %s", c.name, account))
	}
	if hold > 0 {
		r.held++
	} else {
		r.reads[c.name]++
	}
	return true
}

// count is how many reads the consumer has made that read least.
func (r *readers) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	least := -1
	for _, n := range r.reads {
		if least < 0 || n < least {
			least = n
		}
	}
	return least
}

// noneDead ends the readers and judges what they met: of many reads at each
// target, none may have found a dead token.
func (r *readers) noneDead(t *testing.T, targets, least int) {
	t.Helper()
	r.end()
	sum := 0
	for name, n := range r.reads {
		sum += n
		if n < least {
			t.Errorf("%s was read %d times, want %d at least", name, n, least)
		}
	}
	t.Logf("%d dead reads of %d at %d targets, of which %d held the token for %s; %d more by readers that were stopped for too long",
		len(r.dead), sum+r.held, len(r.reads), r.held, holding, r.slow)
	if len(r.reads) != targets {
		t.Errorf("%d targets were delivered to and read, want %d: %v", len(r.reads), targets, r.reads)
	}
	if r.slow > sum/100 {
		t.Errorf("%d of %d reads were too slow to count", r.slow, sum)
	}
	for _, list := range [][]string{r.dead, r.other} {
		for _, text := range list[:min(len(list), 10)] {
			t.Error(text)
		}
	}
}
