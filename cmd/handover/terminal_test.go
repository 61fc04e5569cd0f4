package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// A screen is drawn from its top, without what there is no room for.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := screen{to: &out, size: func() (int, int) { return 5, 4 }}
	if err := s.draw([]byte("äbcdefg\nb\n")); err != nil || out.String() != "\033[Häbcde\033[K\nb\033[K\n\033[J" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	if err := s.draw([]byte("a\nb\nc\nd\n")); err != nil || out.String() != "\033[Ha\033[K\nb\033[K\nand 2\033[K\n\033[J" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// A terminal that doesn't say how large it is has room all the same.
func TestScreenOfATerminalWithoutASize(t *testing.T) {
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	defer func() { _ = file.Close() }()
	if columns, lines := newScreen(file).size(); columns != 80 || lines != 24 {
		t.Errorf("%d times %d characters", columns, lines)
	}
	if newScreen(io.Discard) != nil {
		t.Error("what isn't a terminal gets a screen")
	}
}

// telling are documents, one for each look; then it ends.
func telling(cancel func(), docs ...any) func(context.Context) (report.Document, error) {
	return func(ctx context.Context) (report.Document, error) {
		if len(docs) == 0 {
			cancel()
			return report.Document{}, ctx.Err()
		}
		next := docs[0]
		docs = docs[1:]
		if err, failed := next.(error); failed {
			return report.Document{}, err
		}
		return next.(report.Document), nil
	}
}

func watchedStatus(t *testing.T, format string, drawn bool, docs ...any) (out, errs string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		w := statusWatch{app: &app{streams: streams{out: &stdout, err: &stderr}, output: format}, told: map[string]string{}}
		if drawn {
			w.screen = &screen{to: &stdout, size: func() (int, int) { return 200, 50 }}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		err = w.watch(ctx, time.Minute, telling(cancel, docs...))
		out, errs, took = stdout.String(), stderr.String(), time.Since(began)
	})
	return out, errs, took, err
}

// What changes is told once, a failure is told and outlived, and the end is no
// failure.
func TestWatchStatus(t *testing.T) {
	slot := rotation.Status{Slot: "a/b", State: rotation.SlotCurrent, Generation: 1, Targets: []rotation.TargetStatus{{State: rotation.InStep}}}
	first := report.Document{Agent: "acme", Now: leakedAt, Running: true, Slots: []rotation.Status{slot}}
	paused := first
	slot.State, slot.Reason = rotation.SlotPaused, rotation.Paused
	paused.Now, paused.Slots = leakedAt.Add(time.Minute), []rotation.Status{slot}
	gone := report.Document{Agent: "acme", Now: leakedAt.Add(time.Hour)}
	out, errs, took, err := watchedStatus(t, "table", false, first, first, errors.New("restarting"), paused, gone, gone)
	want := `2026-11-05T03:00:00Z agent acme: running
2026-11-05T03:00:00Z a/b: current, generation 1 at 1 of 1 target
2026-11-05T03:01:00Z a/b: paused, generation 1 at 1 of 1 target (paused)
2026-11-05T04:00:00Z agent acme: not running; this is what its journal says
2026-11-05T04:00:00Z a/b: not declared any more
`
	if out != want || errs != "handover: restarting\n" || took != 6*time.Minute || err != nil {
		t.Errorf("after %s, %v, %q:\n%s", took, err, errs, out)
	}
	if out, _, _, err := watchedStatus(t, "json", false, first, first); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, `{"agent":"acme"`) || err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, _, _ := watchedStatus(t, "yaml", false, first, first); strings.Count(out, "---\n") != 2 {
		t.Error(out)
	}
	if out, _, _, _ := watchedStatus(t, "table", true, first, paused); strings.Count(out, "\033[H") != 2 || !strings.Contains(out, "a/b   paused  1") {
		t.Error(out)
	}
	if _, _, _, err := watchedStatus(t, "table", false, errors.New("no declaration")); err == nil {
		t.Error("the first look failed, and that isn't told")
	}
}

// Of many slots an emergency tells how many are done, and the table at the end.
func TestEmergencyOfManySlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &saying{looks: [][]rotation.EmergencyReport{{}, {}}, began: time.Now()}
		var stored []rotation.Request
		for i := range many {
			e := overReport("")
			e.Slot, e.Requests = fmt.Sprintf("a/%d", i), []int64{int64(i)}
			stored = append(stored, rotation.Request{ID: int64(i), Slot: e.Slot, At: leakedAt})
			f.looks[1] = append(f.looks[1], e)
			if i < 5 {
				f.looks[0] = append(f.looks[0], e)
			} else {
				open := openReport()
				open.Slot, open.Requests = e.Slot, e.Requests
				f.looks[0] = append(f.looks[0], open)
			}
		}
		var errs bytes.Buffer
		w := newEmergencyWatch(&app{streams: streams{out: io.Discard, err: &errs}}, order{}, f, stored)
		if err := w.watch(t.Context()); err != nil || errs.String() != "5 of 20 slots are done\n20 of 20 slots are done\n" {
			t.Errorf("%v\n%s", err, errs.String())
		}
		errs.Reset()
		w.count.bar = &bar{to: &errs, total: many, what: "slots"}
		w.count.show(10)
		w.count.end()
		if errs.String() != "\r[###############               ]  50% of 20 slots\r\033[K" {
			t.Errorf("%q", errs.String())
		}
	})
}
