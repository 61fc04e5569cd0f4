package world

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// dice draws by name: the n-th draw under one name is always the same for one
// seed, in whatever order the names come. So a world replays although its
// goroutines don't run in one order.
type dice struct {
	seed uint64
	mu   sync.Mutex
	seen map[string]uint64
}

func newDice(seed uint64) *dice { return &dice{seed: seed, seen: map[string]uint64{}} }

// next returns the source of the next draw under name.
func (d *dice) next(name string) *rand.Rand {
	d.mu.Lock()
	d.seen[name]++
	n := d.seen[name]
	d.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(d.seed, h.Sum64()^n*0x9e3779b97f4a7c15))
}

// between draws a duration in [least, most).
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
