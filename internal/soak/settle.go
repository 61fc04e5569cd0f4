package main

import (
	"context"
	"strings"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// settleTimeout bounds the time from the end of the faults to rest: the longest
// back-off, five minutes, and a rotation.
const settleTimeout = 6 * time.Minute

// settle mends what the agent is to do: no more rotations. It waits until each
// slot has one token, live and served by all its targets, and no other token is
// left. It returns the number of others.
func (f *field) settle(ctx context.Context, q outside.Instance) (leftover int, err error) {
	leftover = -1
	f.terminate(ctx)
	f.must(f.declare(outside.Calm))
	f.keeper.start()
	err = outside.Await(ctx, settleTimeout, "rest", func() (bool, string) {
		all, err := q.Tokens(ctx)
		if err != nil {
			return false, err.Error()
		}
		var wrong []string
		leftover = 0
		for _, slot := range outside.JobSlots() {
			leftover += max(0, len(outside.Of(all, agentID, slot))-1)
			if text := outside.Unsettled(ctx, q, all, agentID, slot, f.consumers); text != "" {
				wrong = append(wrong, slot+": "+text)
			}
		}
		return len(wrong) == 0, strings.Join(wrong, "; ")
	})
	return leftover, err
}
