package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

const (
	// pruneBatch is the most events that a step deletes: a commit waits for
	// one step at most.
	pruneBatch = 500
	// prunePages is how many pages of as many events a step looks at that
	// deletes nothing.
	prunePages = 20
)

const (
	countOld = "SELECT count(*) FROM events WHERE at < $1"
	// The old events behind a mark: those of its own time, then those of later
	// ones. One comparison of both would not be found by the index as a whole.
	oldSame   = `SELECT id, at, slot FROM events WHERE at = $1 AND id > $2 ORDER BY id LIMIT $3`
	oldLater  = `SELECT id, at, slot FROM events WHERE at > $1 AND at < $2 ORDER BY at, id LIMIT $3`
	lastOfAct = `SELECT id, generation FROM events WHERE slot = $1 AND act = $2 ORDER BY id DESC LIMIT 1`
	itsIntent = `SELECT id FROM events WHERE slot = $1 AND id < $2 AND act = $3 AND generation = $4 ORDER BY id DESC LIMIT 1`
)

// Old counts the events before a time: what a [rotation.Pruning] goes through.
func (j *Journal) Old(ctx context.Context, before time.Time) (count int64, err error) {
	const op = "count old history in journal"
	limit, err := encodeTime(before)
	if err != nil {
		return 0, fail(op, j.path, nil, err)
	}
	err = j.read(ctx, op, func(db *sql.DB) error { return db.QueryRowContext(ctx, countOld, limit).Scan(&count) })
	return count, err
}

// Prune does one step of a [rotation.Pruning]. It looks first, beside whoever
// writes: what it finds to be old stays old. Then it deletes in one short
// transaction, which only the holder of the lease may do.
func (j *Journal) Prune(ctx context.Context, p rotation.Pruning) (rotation.Pruned, error) {
	const op = "prune history in journal"
	before, err := encodeTime(p.Before)
	if err != nil {
		return rotation.Pruned{}, fail(op, j.path, nil, err)
	}
	var step pruneStep
	if err := j.read(ctx, op, func(db *sql.DB) error { return step.look(ctx, db, before, p.From) }); err != nil {
		return rotation.Pruned{}, err
	}
	if p.DryRun || len(step.old) == 0 {
		return step.done, nil
	}
	err = j.writeFenced(ctx, op, func(w *writing) error {
		if p.Deleted == 0 {
			event := rotation.Event{Act: rotation.ActPruned, Actor: p.Actor, Detail: "acts before " + p.Before.UTC().Format(time.RFC3339)}
			if err := j.addEvent(w, event); err != nil {
				return err
			}
		}
		return deleteEvents(w, step.old)
	})
	if err != nil {
		return rotation.Pruned{}, err
	}
	return step.done, nil
}

func deleteEvents(w *writing, ids []int64) error {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	_, err := w.exec(fmt.Sprintf("DELETE FROM events WHERE id IN (%s)", strings.Join(list, ", ")))
	return err
}

// pruneStep is a step under way.
type pruneStep struct {
	old  []int64 // the events to delete
	done rotation.Pruned
	// keep is from which event on a slot's history stays.
	keep map[string]int64
}

// oldEvent is an event before the limit.
type oldEvent struct {
	id       int64
	at, slot cell
}

// look finds what a step deletes, or where the next one goes on.
func (s *pruneStep) look(ctx context.Context, db *sql.DB, before string, from rotation.Mark) error {
	s.keep, s.done.Mark = map[string]int64{}, from
	for range prunePages {
		page, err := oldPage(ctx, db, before, s.done.Mark)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := s.take(ctx, db, e); err != nil {
				return err
			}
		}
		s.done.Deleted = int64(len(s.old))
		s.done.Done = len(page) < pruneBatch
		if s.done.Done || len(s.old) > 0 {
			break
		}
	}
	return nil
}

// oldPage reads the next events before the limit, pruneBatch of them where
// there are as many.
func oldPage(ctx context.Context, db *sql.DB, before string, from rotation.Mark) ([]oldEvent, error) {
	page, err := oldEvents(ctx, db, nil, oldSame, from.At, from.ID)
	if err != nil || len(page) == pruneBatch {
		return page, err
	}
	return oldEvents(ctx, db, page, oldLater, from.At, before)
}

// oldEvents fills a page up with what a query finds.
func oldEvents(ctx context.Context, db *sql.DB, page []oldEvent, query string, args ...any) ([]oldEvent, error) {
	rows, err := db.QueryContext(ctx, query, append(args, pruneBatch-len(page))...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e oldEvent
		if err := rows.Scan(&e.id, &e.at, &e.slot); err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// take decides on one event.
func (s *pruneStep) take(ctx context.Context, db *sql.DB, e oldEvent) error {
	at, err := e.at.name()
	if err != nil { // of a table without its types: a mark is text
		return badRow("events", fmt.Sprint(e.id), "at", "", err)
	}
	s.done.Mark = rotation.Mark{At: at, ID: e.id}
	slot, err := e.slot.name()
	if err != nil || slot == "" { // an account's, or nobody's
		s.old = append(s.old, e.id)
		return nil //nolint:nilerr // a slot that no name finds has no rotation
	}
	from, known := s.keep[slot]
	if !known {
		if from, err = lastRotation(ctx, db, slot); err != nil {
			return err
		}
		s.keep[slot] = from
	}
	if e.id < from {
		s.old = append(s.old, e.id)
	} else {
		s.done.Kept++
	}
	return nil
}

// lastRotation is the event with which the last rotation of a slot begins, as
// rotation.Pruning says; beyond all events when there is none.
func lastRotation(ctx context.Context, db *sql.DB, slot string) (id int64, err error) {
	for _, act := range []rotation.Act{rotation.ActIssued, rotation.ActRebuilt} {
		var generation any // as it is: what a hand put there has no intent
		err := db.QueryRowContext(ctx, lastOfAct, slot, string(act)).Scan(&id, &generation)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil || act == rotation.ActRebuilt {
			return id, err
		}
		intent := id
		err = db.QueryRowContext(ctx, itsIntent, slot, id, string(rotation.ActIntended), generation).Scan(&intent)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, fmt.Errorf("slot %s: %w", slot, err)
		}
		return intent, nil
	}
	return math.MaxInt64, nil
}
