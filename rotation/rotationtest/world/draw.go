package world

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// dice draws by name: the n-th draw under one name is always the same for one
// seed, in whatever order the names come. So a world replays although its
// goroutines don't run in one order, and stays the same around a fault that is
// left out.
type dice struct {
	seed uint64
	mu   sync.Mutex
	seen map[string]uint64
}

func newDice(seed uint64) *dice { return &dice{seed: seed, seen: map[string]uint64{}} }

// next returns the source of the next draw under name.
func (d *dice) next(name string) *rand.Rand {
	r, _ := d.draw(name)
	return r
}

// draw is next, and tells which draw under that name it is.
func (d *dice) draw(name string) (r *rand.Rand, n uint64) {
	d.mu.Lock()
	d.seen[name]++
	n = d.seen[name]
	d.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(d.seed, h.Sum64()^n*0x9e3779b97f4a7c15)), n
}

// id names a draw.
func id(name string, n uint64) string { return fmt.Sprintf("%s #%d", name, n) }

// pick draws one of the kinds by weight.
func pick(r *rand.Rand, from []weighted) Fault {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	at := r.IntN(total)
	for _, w := range from {
		if at -= w.weight; at < 0 {
			return w.fault
		}
	}
	return ""
}

// spell draws how long something is away, up to most: minutes as often as
// hours, and hours as often as days.
func spell(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(float64(time.Minute) * math.Pow(float64(most/time.Minute), r.Float64()))
}

// between draws a duration in [least, most).
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
