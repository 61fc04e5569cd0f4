package main

import (
	"context"
	"sync"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// watchEvery is the pause between two looks at the list of tokens.
const watchEvery = 100 * time.Millisecond

// watch looks at the list of tokens again and again.
type watch struct {
	instance outside.Instance

	mu      sync.Mutex
	highest int // of the live tokens of one slot
	looks   int
}

// run looks until ctx is done. An instance that doesn't answer is asked again.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if all, err := w.instance.Tokens(ctx); err == nil {
			w.count(all)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (w *watch) count(all []outside.Listed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	for _, slot := range outside.JobSlots() {
		live := 0
		for _, token := range outside.Of(all, agentID, slot) {
			if token.Active {
				live++
			}
		}
		w.highest = max(w.highest, live)
	}
}

func (w *watch) result() (highest, looks int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.highest, w.looks
}
