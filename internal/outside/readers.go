package outside

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// Holding is how long the second reader of each target holds a token
	// before it uses it, as a consumer does that reads once per run: less
	// than the grace of Quick and Calm.
	Holding = time.Second
	// fair is how long a token may be held. That this machine stops a reader
	// for longer is not the agent's doing; such reads are counted apart.
	fair = 1500 * time.Millisecond
	// kept is how many lines are kept of each kind of trouble.
	kept = 100
)

// Tally is what readers met.
type Tally struct {
	// Reads is, by consumer, how often a token was read and used at once.
	Reads map[string]int
	// Tokens is, by consumer, how many different tokens were read.
	Tokens map[string]int
	// Held counts the reads that held the token for a while.
	Held int
	// Slow counts refused tokens that the reader had held for too long to
	// blame anybody.
	Slow int
	// Dead counts the reads that found a token that is refused, or another
	// account's, or nothing any more. Deaths tells of the first of them.
	Dead   int
	Deaths []string
	// Unreachable counts the attempts that were no reads, because a store or
	// the instance didn't answer. Troubles tells of the first of them.
	Unreachable int
	Troubles    []string
}

// Sum is the number of all reads.
func (t Tally) Sum() int {
	sum := t.Held
	for _, n := range t.Reads {
		sum += n
	}
	return sum
}

// Least is the number of reads of the consumer that made fewest.
func (t Tally) Least() int {
	least := -1
	for _, n := range t.Reads {
		if least < 0 || n < least {
			least = n
		}
	}
	return max(0, least)
}

// Readers read targets again and again, two at each: take the token, use it
// once, at once or after a while, never try again. From the first token on,
// each target must always hold one that works.
type Readers struct {
	instance Instance
	every    time.Duration
	stop     context.CancelFunc
	all      sync.WaitGroup

	mu     sync.Mutex
	tally  Tally
	tokens map[string]map[string]bool // fingerprints by consumer
}

// StartReaders starts two readers for each consumer. Each reads once in the
// given time, or as often as it can.
func StartReaders(q Instance, every time.Duration, consumers ...Consumer) *Readers {
	r := newReaders(q)
	r.every = every
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	for _, c := range consumers {
		r.all.Go(func() { r.loop(ctx, c, 0) })
		r.all.Go(func() { r.loop(ctx, c, Holding) })
	}
	return r
}

func newReaders(q Instance) *Readers {
	return &Readers{instance: q, tally: Tally{Reads: map[string]int{}}, tokens: map[string]map[string]bool{}}
}

// End ends all readers and returns what they met. It may be called again.
func (r *Readers) End() Tally {
	r.stop()
	r.all.Wait()
	return r.Tally()
}

// Tally returns what the readers have met so far.
func (r *Readers) Tally() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tally
	t.Reads, t.Tokens = map[string]int{}, map[string]int{}
	for name, n := range r.tally.Reads {
		t.Reads[name] = n
	}
	for name, seen := range r.tokens {
		t.Tokens[name] = len(seen)
	}
	return t
}

func (r *Readers) loop(ctx context.Context, c Consumer, hold time.Duration) {
	tick := time.NewTicker(r.every)
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
func (r *Readers) read(ctx context.Context, c Consumer, hold time.Duration, delivered bool) bool {
	began := time.Now()
	token, err := c.Read(ctx)
	if errors.Is(err, ErrAbsent) && !delivered {
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
		if account, code, err = r.instance.Whose(ctx, token); err != nil {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) { // its own end, or that of another one whose connection it was to share
		return delivered
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, ErrUnreachable) {
		r.tally.Unreachable++
		note(&r.tally.Troubles, "%s %s: %v", began.Format(time.StampMilli), c.Name, err)
		return delivered
	}
	r.count(c, hold, token)
	took := time.Since(began)
	wrong := ""
	switch {
	case errors.Is(err, ErrAbsent):
		wrong = "holds nothing any more"
	case err != nil:
		wrong = fmt.Sprintf("holds no token: %v", err)
	case code != http.StatusOK && took > fair:
		r.tally.Slow++
	case code != http.StatusOK:
		wrong = fmt.Sprintf("the token %s was refused with %d after %s", Fingerprint(token), code, took)
	case account != c.Account():
		wrong = fmt.Sprintf("holds the token %s of %s", Fingerprint(token), account)
	}
	if wrong != "" {
		r.tally.Dead++
		note(&r.tally.Deaths, "%s %s: %s", began.Format(time.StampMilli), c.Name, wrong)
	}
	return true
}

// count counts a read; the caller holds the lock.
func (r *Readers) count(c Consumer, hold time.Duration, token string) {
	if hold > 0 {
		r.tally.Held++
	} else {
		r.tally.Reads[c.Name]++
	}
	if token == "" {
		return
	}
	if r.tokens[c.Name] == nil {
		r.tokens[c.Name] = map[string]bool{}
	}
	r.tokens[c.Name][Fingerprint(token)] = true
}

// note keeps the first lines.
func note(lines *[]string, format string, args ...any) {
	if len(*lines) < kept {
		*lines = append(*lines, fmt.Sprintf(format, args...))
	}
}

// Fingerprint names a token as the agent's log and journal do: 16 bytes of its
// SHA-256.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:16])
}
