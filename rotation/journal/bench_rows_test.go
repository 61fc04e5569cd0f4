package journal

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

var historyRows = flag.Int("history-rows", 100_000, "how many events the journal of BenchmarkLongHistory has")

const (
	longSlots = 10_000
	// rotationEvents is how many events a rotation leaves, by and large.
	rotationEvents = 20
)

// longJournal is a journal of 10,000 slots with that many events, a second
// apart: each slot rotates in its turn.
func longJournal(b *testing.B, rows int) *Journal {
	b.Helper()
	path := newPath(b)
	j := mustOpen(b, path, Options{KeepEvents: -1})
	tx, err := j.writer.Begin()
	if err != nil {
		b.Fatal(err)
	}
	for i := range longSlots {
		key := fmt.Sprintf("account_%05d@service/production", i)
		if err := slots.put(&writing{j: j, ctx: b.Context(), tx: tx}, row{key: key, revision: 1, body: encode(b, fullRecord(key))}, j.fence); err != nil {
			b.Fatal(err)
		}
	}
	_, err = tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
		INSERT INTO events (at, slot, account, act, reason, actor, generation, token_id, target, fingerprint, detail)
		SELECT strftime('%Y-%m-%dT%H:%M:%S.000000000Z', $2, i || ' seconds'), printf('account_%05d@service/production', i / $3 % $4), '',
			CASE i % $3 WHEN 0 THEN 'intended' WHEN 1 THEN 'issued' ELSE 'delivered' END, 'age', 'agent',
			i / $3 / $4 + 1, i, 'vault/connections/qualytics_default', '0123456789abcdef0123456789abcdef', '' FROM n`,
		rows, longStart.Format("2006-01-02 15:04:05"), rotationEvents, longSlots)
	if err != nil {
		b.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return mustOpenSynced(b, path, Options{})
}

var longStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// BenchmarkLongHistory has a history of -history-rows events beside 10,000
// slots: what a status reads, what history asks for, what a commit takes, and
// the pruning of half of it, with its slowest step: so long a commit waits.
func BenchmarkLongHistory(b *testing.B) {
	j := longJournal(b, *historyRows)
	end := longStart.Add(time.Duration(*historyRows) * time.Second)
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			for _, err := range j.Slots(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for name, filter := range map[string]rotation.HistoryFilter{"history": {}, "of-slot": {Slot: "account_05000@service/production"},
		"since-minute": {Since: end.Add(-time.Minute)}, "since-ever": {Since: longStart}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := j.History(b.Context(), filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("commit", func(b *testing.B) {
		for b.Loop() {
			commit(b, j, "account_05000@service/production")
		}
	})
	half := rotation.Pruning{Before: longStart.Add(end.Sub(longStart) / 2)}
	b.Run("prune-dry", func(b *testing.B) {
		dry := half
		dry.DryRun = true
		for b.Loop() {
			pruneWhole(b, j, dry, func() {})
		}
	})
	b.Run("prune", func(b *testing.B) {
		var steps, slowest time.Duration
		for b.Loop() {
			began := time.Now()
			pruneWhole(b, j, half, func() {
				slowest = max(slowest, time.Since(began))
				steps++
				began = time.Now()
			})
		}
		b.ReportMetric(float64(slowest.Microseconds())/1000, "ms/slowest-step")
		b.ReportMetric(float64(steps), "steps")
	})
}

// pruneWhole does all steps.
func pruneWhole(b *testing.B, j *Journal, p rotation.Pruning, after func()) {
	b.Helper()
	for {
		step, err := j.Prune(b.Context(), p)
		if err != nil {
			b.Fatal(err)
		}
		after()
		if step.Done {
			return
		}
		p.From, p.Deleted = step.Mark, p.Deleted+step.Deleted
	}
}
