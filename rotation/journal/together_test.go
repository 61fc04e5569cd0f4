package journal

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// inOne has callers wait for the journal at the same time, so that one
// transaction serves all of them, and returns when all have ended.
func inOne(j *Journal, callers ...func()) {
	j.queue.turn <- struct{}{}
	var all sync.WaitGroup
	for _, caller := range callers {
		all.Go(caller)
	}
	synctest.Wait()
	<-j.queue.turn
	all.Wait()
}

// bubble plays with a journal of its own inside a bubble, where all callers are
// known to wait.
func bubble(t *testing.T, play func(t *testing.T, j *Journal)) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		play(t, j)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

// transactions counts those in the write-ahead log, which nothing has folded
// into the file yet: the frame that ends one tells the size of the file
// (sqlite.org/fileformat2.html, "The Write-Ahead Log").
func transactions(t *testing.T, j *Journal) int {
	t.Helper()
	log, err := os.ReadFile(j.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	const head, frameHead = 32, 24
	frame := frameHead + int(binary.BigEndian.Uint32(log[8:]))
	count := 0
	for at := head; at+frame <= len(log); at += frame {
		if binary.BigEndian.Uint32(log[at+4:]) > 0 {
			count++
		}
	}
	return count
}

func committing(ctx context.Context, t *testing.T, j *Journal, rec rotation.Record, want error) func() {
	return func() {
		got, err := j.Commit(ctx, rec, event(rec.Slot))
		if !errors.Is(err, want) || err == nil && got.Revision != rec.Revision+1 {
			t.Errorf("%s: revision %d, %v; want %v", rec.Slot, got.Revision, err, want)
		}
	}
}

func many(n int) (recs []rotation.Record) {
	for i := range n {
		recs = append(recs, rotation.Record{Slot: fmt.Sprintf("a@service/%d", i)})
	}
	return recs
}

// wantStored wants exactly these slots, each with one event.
func wantStored(t *testing.T, j *Journal, recs ...rotation.Record) {
	t.Helper()
	stored := 0
	for _, err := range j.Slots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	events, err := j.History(t.Context(), rotation.HistoryFilter{})
	if err != nil || stored != len(recs) || len(events) != len(recs) {
		t.Errorf("%d slots, %d events, %v; want %d", stored, len(events), err, len(recs))
	}
	for _, rec := range recs {
		if _, err := j.Slot(t.Context(), rec.Slot); err != nil {
			t.Error(err)
		}
	}
}

func TestCallersThatWaitShareATransaction(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal) {
		recs, before := many(8), transactions(t, j)
		var callers []func()
		for _, rec := range recs {
			callers = append(callers, committing(t.Context(), t, j, rec, nil))
		}
		inOne(j, callers...)
		if got := transactions(t, j) - before; got != 1 {
			t.Errorf("%d transactions for %d callers", got, len(recs))
		}
		wantStored(t, j, recs...)
	})
}

// TestOneActFailsAlone: beside others, and without a trace of its own.
func TestOneActFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal) {
		recs := many(5)
		stale := rotation.Record{Slot: "stale", Revision: 7}
		timeless := rotation.Record{Slot: "timeless"}
		inOne(j, committing(t.Context(), t, j, recs[0], nil), committing(t.Context(), t, j, stale, rotation.ErrStale),
			committing(t.Context(), t, j, recs[1], nil), func() {
				late := event(timeless.Slot) // its record is stored before this is refused
				late.At = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
				if _, err := j.Commit(t.Context(), timeless, late); err == nil {
					t.Error("an event of the year 10,000 was stored")
				}
			}, committing(t.Context(), t, j, recs[2], nil))
		wantStored(t, j, recs[:3]...)
	})
}

// TestABrokenTransactionFailsAll: SQLite ends the whole transaction when the
// disk is full in the midst of it.
func TestABrokenTransactionFailsAll(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal) {
		recs := many(3)
		if _, err := j.writer.Exec("PRAGMA max_page_count = 1"); err != nil { // no more than there are
			t.Fatal(err)
		}
		inOne(j, committing(t.Context(), t, j, recs[0], ErrFull), func() {
			big := event(recs[1].Slot)
			big.Detail = strings.Repeat("x", 1<<20)
			if _, err := j.Commit(t.Context(), recs[1], big); !errors.Is(err, ErrFull) {
				t.Errorf("%v, want that the disk is full", err)
			}
		}, committing(t.Context(), t, j, recs[2], ErrFull))
		wantStored(t, j)
		if _, err := j.writer.Exec("PRAGMA max_page_count = 1000000"); err != nil {
			t.Fatal(err)
		}
		inOne(j, committing(t.Context(), t, j, recs[0], nil), committing(t.Context(), t, j, recs[2], nil))
		wantStored(t, j, recs[0], recs[2])
	})
}

// TestWaitEndsWithItsCtx: also while others wait on.
func TestWaitEndsWithItsCtx(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal) {
		recs := many(3)
		ctx, cancel := context.WithCancel(t.Context())
		inOne(j, committing(t.Context(), t, j, recs[0], nil), committing(ctx, t, j, recs[1], context.Canceled),
			committing(t.Context(), t, j, recs[2], nil), cancel)
		wantStored(t, j, recs[0], recs[2])
	})
}

// TestFenceIsOfTheAct: of those that share a transaction, what only the holder
// of the lease may do fails, and a wish is passed on.
func TestFenceIsOfTheAct(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal) {
		if _, err := j.writer.Exec("UPDATE fence SET value = value + 1"); err != nil {
			t.Fatal(err)
		}
		recs := many(2)
		inOne(j, committing(t.Context(), t, j, recs[0], rotation.ErrFenced), func() {
			q := rotation.Request{Kind: rotation.RequestRotate, Slot: slot}
			if stored, err := j.AddRequest(t.Context(), q); err != nil || stored.ID == 0 {
				t.Errorf("request %d, %v", stored.ID, err)
			}
		}, committing(t.Context(), t, j, recs[1], rotation.ErrFenced))
		wantStored(t, j)
	})
}

// TestWaitForTheFileEndsWithItsCtx: whoever waits for a program that keeps the
// file locked gives up alone; who came behind gets its turn.
func TestWaitForTheFileEndsWithItsCtx(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	if _, err := j.writer.Exec("PRAGMA busy_timeout = 3600000"); err != nil { // an hour: what ends the wait is the ctx
		t.Fatal(err)
	}
	foreign, err := sql.Open("sqlite", "file:"+j.path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Close() }()
	keeps, err := foreign.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	recs := many(3)
	var patient, hasty sync.WaitGroup
	for i := range recs {
		if i == 1 {
			patient.Go(committing(t.Context(), t, j, recs[i], nil))
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		hasty.Go(committing(ctx, t, j, recs[i], context.DeadlineExceeded))
	}
	hasty.Wait()
	if err := keeps.Rollback(); err != nil {
		t.Fatal(err)
	}
	patient.Wait()
	wantStored(t, j, recs[1])
}

// TestActOfACtxThatEndedIsNotBegun: another caller took it too late.
func TestActOfACtxThatEndedIsNotBegun(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late := &act{ctx: ctx, ended: make(chan struct{}), do: func(*writing) error {
		t.Error("it was begun")
		return nil
	}}
	j.queue.join(late)
	commit(t, j, slot)
	if <-late.ended; !errors.Is(late.err, context.Canceled) {
		t.Errorf("it ended with %v", late.err)
	}
}

// TestOneCtxEndsAlone ends the ctx of one of two callers at any moment: the
// other's commit stands.
func TestOneCtxEndsAlone(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	hasty, patient := many(2)[0], many(2)[1]
	for i := range 300 {
		var both sync.WaitGroup
		both.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
			defer cancel()
			hasty, _ = j.Commit(ctx, hasty, event(hasty.Slot))
		})
		both.Go(func() {
			var err error
			if patient, err = j.Commit(t.Context(), patient, event(patient.Slot)); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
	}
	for _, want := range []rotation.Record{hasty, patient} {
		rec, err := j.Slot(t.Context(), want.Slot)
		if err != nil && want.Revision > 0 || rec.Revision != want.Revision {
			t.Errorf("%s is at revision %d, %v; want %d", want.Slot, rec.Revision, err, want.Revision)
		}
	}
}

// TestFileRemovedInMidAct: the commit went into a file that has lost its name.
func TestFileRemovedInMidAct(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	err := j.write(t.Context(), "act on", func(*writing) error { return os.Remove(j.path) })
	wantKind(t, err, ErrRemoved, j.path)
}
