package rotationtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/handover-agent/handover/rotation"
)

// Linear lets several callers use a journal and its lease at the same time, and
// checks that what they saw could have been seen one after the other: each act
// took place in one instant between its call and its return. It plays that many
// histories, of the seeds from 0. open and takeover are [Fence]'s.
//
// Left out is what the contract leaves open: a loop over Slots may or may not
// see what is committed meanwhile.
func Linear[J rotation.Journal](t *testing.T, histories uint64, open func(t *testing.T) J, takeover func(t *testing.T, j J) J) {
	together := 0
	for seed := range histories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			calls, err := playCallers(t.Context(), seed, open(t), func(j rotation.Journal) rotation.Journal { return takeover(t, j.(J)) })
			if err == nil {
				err = inSomeOrder(calls)
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			together += overlaps(calls)
		})
	}
	if together == 0 && !t.Failed() {
		t.Error("no two calls were under way together: nothing was tried")
	}
}

// overlaps counts the calls that began before the one before them ended.
func overlaps(calls []porcupine.Operation) (count int) {
	slices.SortFunc(calls, byCall)
	for i := 1; i < len(calls); i++ {
		if calls[i].Call < calls[i-1].Return {
			count++
		}
	}
	return count
}

func byCall(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }

const (
	callsEach = 25
	// takeovers is how often the lease changes hands in a history.
	takeovers = 3
)

// callers use one journal together. The first of them takes it over now and
// then, alone, so that the handles are in the order of their fences.
type callers struct {
	began time.Time

	mu      sync.Mutex
	handles []rotation.Journal
	asked   []int64 // requests that were stored
	calls   []porcupine.Operation
	failed  error
}

// playCallers lets callers do what the seed says, and returns what each call saw.
func playCallers(ctx context.Context, seed uint64, first rotation.Journal, takeover func(rotation.Journal) rotation.Journal) ([]porcupine.Operation, error) {
	c := &callers{began: time.Now(), handles: []rotation.Journal{first}}
	play := func(caller int) {
		random := rand.New(rand.NewPCG(seed, uint64(caller)))
		known := map[string]int64{} // the revisions that this caller last saw
		for i := range callsEach {
			if caller == 0 && i%(callsEach/takeovers) == callsEach/takeovers-1 {
				c.takeOver(takeover)
				continue
			}
			c.call(ctx, caller, c.draw(random, known), known)
		}
	}
	var others sync.WaitGroup
	for caller := 1; caller < writers; caller++ {
		others.Go(func() { play(caller) })
	}
	play(0) // in the goroutine of the test, for takeover may end it
	others.Wait()
	return c.calls, c.failed
}

func (c *callers) takeOver(takeover func(rotation.Journal) rotation.Journal) {
	c.mu.Lock()
	newest := c.handles[len(c.handles)-1]
	c.mu.Unlock()
	from := time.Since(c.began)
	later := takeover(newest)
	c.note(0, asked{act: actTakeover}, saw{}, from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, later)
}

// draw chooses a call: the newest handle more often than older ones, and mostly
// the revision that was last seen.
func (c *callers) draw(random *rand.Rand, known map[string]int64) asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := asked{act: acts[random.IntN(len(acts))], handle: len(c.handles) - 1, key: keys[random.IntN(len(keys))], value: random.Uint64N(1000)}
	if random.IntN(3) == 0 {
		a.handle = random.IntN(len(c.handles))
	}
	a.revision = known[a.key]
	if random.IntN(10) == 0 {
		a.revision += random.Int64N(3) - 1
	}
	a.id = 999_999 // nobody gave it out
	if len(c.asked) > 0 && random.IntN(10) > 0 {
		a.id = c.asked[random.IntN(len(c.asked))]
	}
	return a
}

// call does a call and notes what it saw.
func (c *callers) call(ctx context.Context, caller int, a asked, known map[string]int64) {
	c.mu.Lock()
	j := c.handles[a.handle]
	c.mu.Unlock()
	from := time.Since(c.began)
	runtime.Gosched() // so that calls overlap, however quick they are
	s, err := a.do(ctx, j)
	runtime.Gosched()
	for kind, word := range map[error]string{rotation.ErrStale: "stale", rotation.ErrFenced: "fenced", rotation.ErrNoRecord: "none"} {
		if errors.Is(err, kind) {
			s.refused, err = word, nil
		}
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed = errors.Join(c.failed, fmt.Errorf("%s: %w", a, err))
		return
	}
	if (a.act == actRead || a.act == actCommit) && s.refused == "" {
		known[a.key] = s.revision
	}
	c.note(caller, a, s, from)
}

func (c *callers) note(caller int, a asked, s saw, from time.Duration) {
	to := time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, porcupine.Operation{ClientId: caller, Input: a, Output: s, Call: int64(from), Return: int64(to)})
	if a.act == actAsk {
		c.asked = append(c.asked, s.ids...)
	}
}

// checkTime bounds the search for an order.
const checkTime = 30 * time.Second

// inSomeOrder looks for an order of the calls that explains what they saw.
func inSomeOrder(calls []porcupine.Operation) error {
	switch porcupine.CheckOperationsTimeout(plainJournal, calls, checkTime) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("no order of %d calls was found in %s, nor that there is none", len(calls), checkTime)
	}
	slices.SortFunc(calls, byCall)
	var text strings.Builder
	for _, o := range calls {
		fmt.Fprintf(&text, "\n%10d to %10d ns, caller %d: %s: %s", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	return fmt.Errorf("there is no order of these calls in which each sees what it saw:%s", text.String())
}
