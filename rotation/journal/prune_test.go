package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

var pruneDay = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// tale is a history in short: "slot act generation day", a word for each, ""
// for none. Day 0 is pruneDay; a slot "@x" is an account.
type tale []string

func (l tale) write(t *testing.T, j *Journal) {
	t.Helper()
	recs := map[string]rotation.Record{}
	accounts := map[string]rotation.AccountRecord{}
	for _, text := range l {
		var on, act string
		var generation uint64
		var days float64
		if _, err := fmt.Sscan(text, &on, &act, &generation, &days); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		e := rotation.Event{At: pruneDay.Add(time.Duration(days * 24 * float64(time.Hour))), Act: rotation.Act(act), Generation: generation, Detail: text}
		var err error
		if id, ok := strings.CutPrefix(on, "@"); ok {
			e.Account = id
			rec := accounts[id]
			rec.ID = id
			accounts[id], err = j.CommitAccount(t.Context(), rec, e)
		} else {
			e.Slot = on
			rec := recs[on]
			rec.Slot = on
			recs[on], err = j.Commit(t.Context(), rec, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// left is what a journal still tells of a tale, and how often it was pruned.
func left(t *testing.T, j *Journal) (l tale, prunings int) {
	t.Helper()
	events, err := j.History(t.Context(), rotation.HistoryFilter{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Act == rotation.ActPruned {
			prunings++
			continue
		}
		l = append(l, e.Detail)
	}
	return l, prunings
}

// pruneAll does all steps, and checks what holds of each.
func pruneAll(t *testing.T, j *Journal, p rotation.Pruning) (deleted, kept int64) {
	t.Helper()
	for range 10_000 {
		step, err := j.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if step.Deleted > pruneBatch {
			t.Fatalf("a step deletes %d events, want %d at most", step.Deleted, pruneBatch)
		}
		if step.Mark == p.From && !step.Done {
			t.Fatalf("a step ends where it began, at %+v", step.Mark)
		}
		deleted, kept = deleted+step.Deleted, kept+step.Kept
		p.From, p.Deleted = step.Mark, deleted
		if step.Done {
			return deleted, kept
		}
	}
	t.Fatal("it never ends")
	return 0, 0
}

func TestPruneKeepsTheLastRotation(t *testing.T) {
	for name, test := range map[string]struct {
		told tale
		want string // the indexes that stay
	}{
		"of two rotations the last": {tale{"s rebuilt 0 1", "s intended 1 2", "s issued 1 3", "s delivered 1 3", "s seen 1 4",
			"s intended 2 5", "s issue_failed 2 5", "s issued 2 6", "s delivered 2 6", "s moved 1 7", "s seen 2 8"}, "5 6 7 8 9 10"},
		"and what is newer": {tale{"s intended 1 1", "s issued 1 1", "s seen 1 2", "s seen 1 20"}, "0 1 2 3"},
		"an intent without its issue is newer than the last": {tale{"s intended 1 1", "s issued 1 1", "s seen 1 2", "s intended 2 3"}, "0 1 2 3"},
		"a burnt number before it":                           {tale{"s intended 1 1", "s burnt 1 1", "s intended 2 2", "s issued 2 2"}, "2 3"},
		"an issue whose intent is gone":                      {tale{"s seen 1 1", "s issued 4 2", "s seen 4 3"}, "1 2"},
		"never issued: since it was rebuilt":                 {tale{"s found 1 1", "s rebuilt 1 2", "s seen 1 3"}, "1 2"},
		"rebuilt after an issue":                             {tale{"s seen 1 1", "s intended 1 1", "s issued 1 1", "s rebuilt 1 2"}, "1 2 3"},
		"neither":                                            {tale{"s seen 1 1", "s blocked 1 2"}, ""},
		"each slot for itself":                               {tale{"s issued 1 1", "r issued 1 1", "s issued 2 2", "r seen 1 2", "q seen 1 2"}, "1 2 3"},
		"accounts keep nothing":                              {tale{"@a created_account 0 1", "@a updated_account 0 9", "s issued 1 1", "@a account_failed 0 30"}, "2 3"},
		"times out of order":                                 {tale{"s seen 1 30", "s seen 1 1", "s seen 1 31", "s issued 1 3", "s seen 1 2"}, "0 2 3 4"},
		"nothing is old":                                     {tale{"s seen 1 11", "s issued 1 12"}, "0 1"},
		"nothing at all":                                     {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			test.told.write(t, j)
			var want tale
			for _, i := range strings.Fields(test.want) {
				var at int
				if _, err := fmt.Sscan(i, &at); err != nil {
					t.Fatal(err)
				}
				want = append(want, test.told[at])
			}
			p := rotation.Pruning{Before: pruneDay.Add(10 * 24 * time.Hour), Actor: "uid 7", DryRun: true}
			would, kept := pruneAll(t, j, p)
			if got, _ := left(t, j); !cmp.Equal(test.told, got) {
				t.Fatal("a dry run changed the history")
			}
			p.DryRun = false
			deleted, keptNow := pruneAll(t, j, p)
			if would != deleted || kept != keptNow || deleted != int64(len(test.told)-len(want)) {
				t.Errorf("%d deleted and %d kept, a dry run told %d and %d; want %d deleted", deleted, keptNow, would, kept, len(test.told)-len(want))
			}
			got, prunings := left(t, j)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what stays (-want +got):\n%s", diff)
			}
			if told := prunings > 0; told != (deleted > 0) || prunings > 1 {
				t.Errorf("the history tells of %d prunings, and %d events were deleted", prunings, deleted)
			}
			if again, _ := pruneAll(t, j, p); again > 0 {
				t.Errorf("a second run deleted %d more", again)
			}
		})
	}
}

// drawTale makes a history of a few slots and an account, more or less in order
// of time.
func drawTale(random *rand.Rand, count int) tale {
	acts := []rotation.Act{rotation.ActIntended, rotation.ActIssued, rotation.ActSeen, rotation.ActSeen, rotation.ActDelivered,
		rotation.ActRebuilt, rotation.ActMoved}
	l := make(tale, count)
	for i := range l {
		on := []string{"a", "b", "c", "@x"}[random.IntN(4)]
		l[i] = fmt.Sprintf("%s %s %d %d", on, acts[random.IntN(len(acts))], random.IntN(4), i*30/count+random.IntN(3))
	}
	return l
}

// staying is rotation.Pruning's promise once more, in the plainest way.
func staying(l tale, limit int) tale {
	type event struct {
		on, act    string
		generation uint64
		day        int
	}
	events := make([]event, len(l))
	from := map[string]int{}
	for i, text := range l {
		e := &events[i]
		_, _ = fmt.Sscan(text, &e.on, &e.act, &e.generation, &e.day)
	}
	for _, slot := range []string{"a", "b", "c"} {
		from[slot] = len(l)
		of := func(act rotation.Act, before int) int {
			for i := before - 1; i >= 0; i-- {
				if events[i].on == slot && events[i].act == string(act) {
					return i
				}
			}
			return -1
		}
		issued := of(rotation.ActIssued, len(l))
		if issued < 0 {
			if rebuilt := of(rotation.ActRebuilt, len(l)); rebuilt >= 0 {
				from[slot] = rebuilt
			}
			continue
		}
		from[slot] = issued
		for i := of(rotation.ActIntended, issued); i >= 0; i = of(rotation.ActIntended, i) {
			if events[i].generation == events[issued].generation {
				from[slot] = i
				break
			}
		}
	}
	var stays tale
	for i, e := range events {
		first, slot := from[e.on]
		if e.day >= limit || slot && i >= first {
			stays = append(stays, l[i])
		}
	}
	return stays
}

func TestPruneAnyHistory(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		j := mustOpen(t, newPath(t), Options{})
		l := drawTale(random, 1+random.IntN(60))
		l.write(t, j)
		limit := random.IntN(34)
		pruneAll(t, j, rotation.Pruning{Before: pruneDay.Add(time.Duration(limit) * 24 * time.Hour)})
		got, _ := left(t, j)
		if diff := cmp.Diff(staying(l, limit), got); diff != "" {
			t.Fatalf("seed %d, limit %d: what stays of\n%s\n(-want +got):\n%s", seed, limit, strings.Join(l, "\n"), diff)
		}
	}
}

// longHistory has many old events of one slot, then its last rotation.
func longHistory(t testing.TB, j *Journal, old int) {
	t.Helper()
	tx, err := j.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i := range old + 2 {
		e := rotation.Event{At: pruneDay.Add(time.Duration(i/1000) * time.Second), Slot: slot, Act: rotation.ActSeen, Actor: "agent"}
		switch i - old {
		case 0:
			e.Act, e.Generation = rotation.ActIntended, 1
		case 1:
			e.Act, e.Generation = rotation.ActIssued, 1
		}
		if err := j.addEvent(&writing{j: j, ctx: context.Background(), tx: tx}, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestPruneInSteps: thousands of events of one time are gone through in parts,
// and the agent commits between them.
func TestPruneInSteps(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	const old = 3*pruneBatch + 17
	longHistory(t, j, old)
	p := rotation.Pruning{Before: pruneDay.Add(time.Hour), Actor: "uid 7"}
	if count, err := j.Old(t.Context(), p.Before); err != nil || count != old+2 {
		t.Errorf("%d events are old, %v; want %d", count, err, old+2)
	}
	steps, rec := 0, rotation.Record{Slot: slot}
	for done := false; !done; steps++ {
		step, err := j.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		p.From, p.Deleted, done = step.Mark, p.Deleted+step.Deleted, step.Done
		if rec, err = j.Commit(t.Context(), rec, event(slot)); err != nil {
			t.Fatal(err)
		}
	}
	if p.Deleted != old || steps != 4 {
		t.Errorf("%d deleted in %d steps, want %d in 4", p.Deleted, steps, old)
	}
	events, err := j.History(t.Context(), rotation.HistoryFilter{Limit: 100})
	if err != nil || len(events) != 2+1+steps { // the rotation, the pruning, the commits
		t.Errorf("%d events are left, %v; want %d", len(events), err, 3+steps)
	}
	i := slices.IndexFunc(events, func(e rotation.Event) bool { return e.Act == rotation.ActPruned })
	if i < 0 || events[i].Actor != "uid 7" || events[i].Detail != "acts before 2026-06-01T01:00:00Z" {
		t.Errorf("events %+v, want one that tells who pruned, and what", events)
	}
}

// TestPruneLooksOn: a step that finds nothing to delete ends all the same, so
// that no step takes long.
func TestPruneLooksOn(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	longHistory(t, j, 0)
	const kept = pruneBatch*prunePages + 40
	tx, err := j.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for range kept - 2 {
		if err := j.addEvent(&writing{j: j, ctx: t.Context(), tx: tx}, rotation.Event{At: pruneDay, Slot: slot, Act: rotation.ActSeen}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	step, err := j.Prune(t.Context(), rotation.Pruning{Before: pruneDay.Add(time.Hour)})
	if err != nil || step.Done || step.Kept != pruneBatch*prunePages || step.Deleted != 0 {
		t.Errorf("the first step: %+v, %v; want %d looked at, and more to come", step, err, pruneBatch*prunePages)
	}
	if deleted, all := pruneAll(t, j, rotation.Pruning{Before: pruneDay.Add(time.Hour)}); deleted != 0 || all != kept {
		t.Errorf("%d deleted, %d kept; want 0 and %d", deleted, all, kept)
	}
}

// TestPruneBesideANewRotation: a slot that rotates meanwhile makes its older
// events free, and loses nothing that is newer.
func TestPruneBesideANewRotation(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	tale{"s intended 1 1", "s issued 1 1", "r seen 0 0"}.write(t, j)
	p := rotation.Pruning{Before: pruneDay.Add(10 * 24 * time.Hour)}
	step, err := j.Prune(t.Context(), p)
	if err != nil || step.Deleted != 1 || step.Kept != 2 {
		t.Fatalf("%+v, %v; want the other slot's event deleted", step, err)
	}
	rec, err := j.Slot(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Commit(t.Context(), rec, rotation.Event{Slot: "s", Act: rotation.ActIssued, Generation: 2, At: pruneDay.Add(20 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if deleted, kept := pruneAll(t, j, p); deleted != 2 || kept != 0 {
		t.Errorf("%d deleted and %d kept after the slot rotated, want the two of generation 1 deleted", deleted, kept)
	}
}

func TestPruneIsTheLeaseholdersAct(t *testing.T) {
	first := mustOpen(t, newPath(t), Options{})
	tale{"s seen 1 1"}.write(t, first)
	p := rotation.Pruning{Before: pruneDay.Add(10 * 24 * time.Hour)}
	look := mustLook(t, first.path)
	_, err := look.Prune(t.Context(), p)
	wantKind(t, err, ErrReadOnly, first.path)
	dry := p
	dry.DryRun = true
	if step, err := look.Prune(t.Context(), dry); err != nil || step.Deleted != 1 {
		t.Errorf("a dry run beside the agent: %+v, %v; want 1 to be deleted", step, err)
	}
	if _, err := first.writer.Exec("UPDATE fence SET value = value + 1"); err != nil { // as a second agent does
		t.Fatal(err)
	}
	if _, err := first.Prune(t.Context(), p); !errors.Is(err, rotation.ErrFenced) {
		t.Errorf("prune after the lease is over: %v, want ErrFenced", err)
	}
	if got, _ := left(t, look); len(got) != 1 {
		t.Errorf("events %q, want the one that may not be deleted", got)
	}
}

func TestPruneBadRequests(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	tale{"s seen 1 1"}.write(t, j)
	if _, err := j.Prune(t.Context(), rotation.Pruning{Before: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("a year that doesn't sort was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Prune(ctx, rotation.Pruning{Before: pruneDay.Add(100 * 24 * time.Hour)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v with a done ctx", err)
	}
	if got, _ := left(t, j); len(got) != 1 {
		t.Errorf("events %q, want the one", got)
	}
}

// TestPruneAroundBadEvents: what can't be read stays, and holds nothing up.
func TestPruneAroundBadEvents(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	tale{"s seen 1 1", "s seen 1 1", "s seen 1 1", "s seen 1 1", "s issued 1 2"}.write(t, j)
	if _, err := j.writer.Exec("UPDATE events SET at = 'x' WHERE id = 1; UPDATE events SET at = x'00' WHERE id = 2; " +
		"UPDATE events SET slot = x'00', generation = 'x' WHERE id = 3"); err != nil {
		t.Fatal(err)
	}
	if deleted, kept := pruneAll(t, j, rotation.Pruning{Before: pruneDay.Add(10 * 24 * time.Hour)}); deleted != 2 || kept != 1 {
		t.Errorf("%d deleted, %d kept; want 2 and 1", deleted, kept)
	}
}
