package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// fullRecord is a slot in mid-rotation with three targets, some 2 KiB.
func fullRecord(slot string) rotation.Record {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	rec := rotation.Record{Slot: slot, High: 6, Current: 6, DueAt: now, Targets: map[string]rotation.TargetRecord{}}
	for n := uint64(1); n <= 6; n++ {
		rec.Generations = append(rec.Generations, rotation.Generation{
			Number: n, Label: fmt.Sprintf("production.acme.g%d", n), TokenID: int64(n), State: rotation.Gone,
			Fingerprint: "0123456789abcdef0123456789abcdef", Claimed: true, IssuedAt: now, Expires: now,
		})
	}
	rec.Generations[5].State = rotation.Live
	for _, key := range []string{"vault connections/a", "aws connections/a", "local a.env"} {
		rec.Targets[key] = rotation.TargetRecord{State: rotation.InStep, Serves: 6, SeenAt: now, Since: now}
	}
	return rec
}

// filled is a closed journal of that many slots. It is written past Commit,
// which would sync each one.
func filled(b *testing.B, count int) string {
	b.Helper()
	path := newPath(b)
	j := mustOpen(b, path, Options{})
	tx, err := j.writer.Begin()
	if err != nil {
		b.Fatal(err)
	}
	for i := range count {
		key := fmt.Sprintf("account_%05d@service/production", i)
		rec := fullRecord(key)
		body := encode(b, rec)
		if err := slots.put(&writing{j: j, ctx: b.Context(), tx: tx}, row{key: key, revision: 1, body: body}, j.fence); err != nil {
			b.Fatal(err)
		}
		for range 20 {
			if err := j.addEvent(&writing{j: j, ctx: b.Context(), tx: tx}, event(key)); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkCommit(b *testing.B) {
	j := mustOpenSynced(b, newPath(b), Options{})
	rec := fullRecord(slot)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if rec, err = j.Commit(b.Context(), rec, event(slot)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	j := mustOpen(b, filled(b, 10000), Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Slot(b.Context(), "account_05000@service/production"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSlots10000(b *testing.B) {
	j := mustOpen(b, filled(b, 10000), Options{})
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range j.Slots(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, count := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			path := filled(b, count)
			for b.Loop() {
				j, err := Open(context.Background(), path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if err := j.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHistory(b *testing.B) {
	j := mustOpen(b, filled(b, 10000), Options{})
	for b.Loop() {
		if _, err := j.History(b.Context(), rotation.HistoryFilter{Slot: "account_05000@service/production"}); err != nil {
			b.Fatal(err)
		}
	}
}

func encode(b *testing.B, rec rotation.Record) []byte {
	b.Helper()
	body, err := json.Marshal(rec)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// BenchmarkRequests10000 is `rotate --all` on 10,000 slots: what it takes to
// store its requests, with the disk's syncs.
func BenchmarkRequests10000(b *testing.B) {
	list := make([]rotation.Request, 10000)
	for i := range list {
		list[i] = rotation.Request{Kind: rotation.RequestRotate, Slot: fmt.Sprintf("account_%05d@service/production", i), Actor: "uid 0"}
	}
	for b.Loop() {
		j := mustOpenSynced(b, newPath(b), Options{})
		if _, err := j.AddRequests(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommitTogether has 16 callers commit at the same time, as many as
// the agent has passes.
func BenchmarkCommitTogether(b *testing.B) {
	j := mustOpenSynced(b, newPath(b), Options{})
	var callers sync.WaitGroup
	next := make(chan struct{})
	for i := range 16 {
		rec := fullRecord(fmt.Sprintf("a@service/%d", i))
		callers.Go(func() {
			for range next {
				var err error
				if rec, err = j.Commit(b.Context(), rec, event(rec.Slot)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		next <- struct{}{}
	}
	close(next)
	callers.Wait()
}
