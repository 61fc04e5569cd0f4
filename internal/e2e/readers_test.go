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
	// fair is how long a reader may hold a token before it uses it. The
	// declared grace is 2 s; a reader that this machine stops for longer
	// than this is not the agent's doing. Such reads are counted apart.
	fair = time.Second
)

// readers read targets again and again: take the token, use it at once, never
// twice. From the first token on, each target must always hold one that works.
type readers struct {
	qualytics instance
	stop      context.CancelFunc
	all       sync.WaitGroup

	mu    sync.Mutex
	reads map[string]int // by consumer
	slow  int            // refused, and the reader was too slow to blame anybody
	dead  []string       // refused, or nothing there any more
	other []string       // the reader's own troubles
}

func startReaders(t *testing.T, q instance, consumers ...consumer) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &readers{qualytics: q, stop: cancel, reads: map[string]int{}}
	for _, c := range consumers {
		r.all.Go(func() { r.loop(ctx, c) })
	}
	t.Cleanup(r.end)
	return r
}

// end ends all readers and waits for them.
func (r *readers) end() {
	r.stop()
	r.all.Wait()
}

func (r *readers) loop(ctx context.Context, c consumer) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	delivered := false
	for {
		delivered = r.read(ctx, c, delivered)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read is one use of a target. It returns whether the target was delivered to.
func (r *readers) read(ctx context.Context, c consumer, delivered bool) bool {
	began := time.Now()
	token, err := c.read(ctx)
	if errors.Is(err, errAbsent) && !delivered {
		return false
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
	r.reads[c.name]++
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
	t.Logf("%d dead reads of %d at %d targets, %d more by readers that were too slow", len(r.dead), sum, len(r.reads), r.slow)
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
