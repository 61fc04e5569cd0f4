package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

const (
	// readEvery is the pause between two reads of one reader.
	readEvery = 25 * time.Millisecond
	// firstReads is how often each target is read before the faults begin.
	firstReads = 5
	// lastReads is how often each target is read after the slots have settled.
	lastReads = 20
)

// soak runs the agent under faults, in the folder o.dir, and prints what came
// of it. It reports whether all was well.
func soak(ctx context.Context, o options, out io.Writer) (bool, error) {
	log, err := os.Create(filepath.Join(o.dir, runLog))
	if err != nil {
		return false, err
	}
	defer func() { _ = log.Close() }() // it is for people
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	h := newHost(o.dir, log, giveUp)
	result := outcome{duration: o.duration, lanes: o.lanes(), slots: outside.JobSlots(), counts: map[kind]int{}, leftover: -1}
	h.do(func() { live(ctx, h, o, &result) })
	h.cleanup()
	result.failures = h.failed()
	if err := ctx.Err(); err != nil && !errors.Is(context.Cause(ctx), errGaveUp) {
		return false, errors.New("it was ended before its time")
	}
	result.print(out)
	return len(result.wrong()) == 0, nil
}

// live is the whole run: start, faults, rest.
func live(ctx context.Context, h *host, o options, result *outcome) {
	f := newField(h, o)
	h.Cleanup(func() { f.fill(result) })
	q, err := f.instance()
	h.must(err)
	for _, c := range f.consumers {
		result.targets = append(result.targets, c.Name)
	}
	h.must(f.declare(outside.Quick))
	f.keeper.start()
	reading := outside.StartReaders(q, readEvery, f.consumers...)
	h.Cleanup(func() {
		result.tally = reading.End()
		result.rotations = rotated(f.consumers, result.tally.Tokens)
		for _, text := range result.tally.Deaths {
			h.Logf("dead read: %s", text)
		}
	})
	watching := &watch{instance: q}
	watchCtx, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { watching.run(watchCtx) })
	h.Cleanup(func() {
		stop()
		watcher.Wait()
		result.highest, result.looks = watching.result()
	})
	h.must(reads(ctx, reading, len(f.consumers), firstReads))
	h.Logf("the faults begin")
	f.chaos(ctx, o)
	h.Logf("the faults have ended")
	began := time.Now()
	result.leftover, err = f.settle(ctx, q)
	result.settled = time.Since(began)
	if err != nil {
		h.Errorf("the slots didn't settle: %v", err)
	}
	h.Logf("at rest: %t", err == nil)
	h.must(reads(ctx, reading, len(f.consumers), lastReads))
	f.terminate(ctx)
}

// listen notes what the agent said that no fault explains.
func (f *field) listen() {
	log, err := os.Open(f.agentLog())
	if errors.Is(err, fs.ErrNotExist) { // it never began
		return
	}
	f.must(err)
	defer func() { _ = log.Close() }() // only read from
	said, err := troubles(log)
	f.must(err)
	for _, text := range said {
		f.Errorf("%s", text)
	}
}

// reads waits until each of the targets has been read so many times more.
func reads(ctx context.Context, reading *outside.Readers, targets, more int) error {
	least := 0
	if met := reading.Tally(); len(met.Reads) == targets {
		least = met.Least()
	}
	return outside.Await(ctx, startTimeout, "more reads of each target", func() (bool, string) {
		met := reading.Tally()
		return len(met.Reads) == targets && met.Least() >= least+more, fmt.Sprintf("they are %v", met.Reads)
	})
}

// chaos plays all lanes for the run's duration, and returns when all faults are
// mended.
func (f *field) chaos(ctx context.Context, o options) {
	timed, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	var playing sync.WaitGroup
	for i, l := range lanes() { // a lane keeps its number, whatever is left out
		kinds := o.without.from(l.kinds)
		if len(kinds) == 0 {
			continue
		}
		d := newDealer(o.seed, uint64(i), kinds)
		playing.Go(func() { f.play(timed, d) })
	}
	playing.Wait()
}

// fill puts into the outcome what the field has counted.
func (f *field) fill(result *outcome) {
	f.listen()
	for k, n := range f.counts {
		result.counts[k] = int(n.Load())
	}
	result.starts, result.exits = f.keeper.counts()
	f.keepJournal()
}
