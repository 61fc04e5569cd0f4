package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// readEvery is the pause between two reads of one reader.
const readEvery = 15 * time.Millisecond

// fromFile is the consumer of a file of the site.
func (s *site) fromFile(path, slot string, parse func(string) (string, error)) outside.Consumer {
	return outside.FromFile(path, s.path(path), slot, parse)
}

// readers read targets again and again.
type readers struct{ *outside.Readers }

func startReaders(t *testing.T, q instance, consumers ...outside.Consumer) readers {
	t.Helper()
	r := readers{outside.StartReaders(q.Instance, readEvery, consumers...)}
	t.Cleanup(func() { r.End() })
	return r
}

// noneDead ends the readers and judges what they met: of many reads at each
// target, none may have found a dead token, and no store may have failed.
func (r readers) noneDead(t *testing.T, targets, least int) {
	t.Helper()
	await(t, patience, fmt.Sprintf("%d reads of each target", least), func() (bool, string) {
		now := r.Tally().Least()
		return now >= least, fmt.Sprintf("the slowest has %d", now)
	})
	met := r.End()
	t.Logf("%d dead reads of %d at %d targets, of which %d held the token for %s; %d more by readers that were stopped for too long",
		met.Dead, met.Sum(), len(met.Reads), met.Held, outside.Holding, met.Slow)
	if len(met.Reads) != targets {
		t.Errorf("%d targets were delivered to and read, want %d: %v", len(met.Reads), targets, met.Reads)
	}
	if met.Slow > met.Sum()/100 {
		t.Errorf("%d of %d reads were too slow to count", met.Slow, met.Sum())
	}
	if met.Dead > 0 || met.Unreachable > 0 {
		t.Errorf("%d reads were dead, %d met a store that failed", met.Dead, met.Unreachable)
	}
	for _, list := range [][]string{met.Deaths, met.Troubles} {
		for _, text := range list[:min(len(list), 10)] {
			t.Error(text)
		}
	}
}

// moreReads is the condition that each reader has read so many times more.
func (r readers) moreReads(more int) func() (bool, string) {
	least := r.Tally().Least() + more
	return func() (bool, string) {
		now := r.Tally().Least()
		return now >= least, fmt.Sprintf("the slowest has %d of %d", now, least)
	}
}
