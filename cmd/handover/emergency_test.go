package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

var leakedAt = time.Date(2026, 11, 5, 3, 0, 0, 0, time.UTC)

// saying is a teller that tells one thing after the other; the last goes on.
type saying struct {
	looks  [][]rotation.EmergencyReport
	asked  [][]string
	closed rotation.Request
	fails  error
	began  time.Time
}

func (f *saying) Emergencies(_ context.Context, slots []string) (report.Emergencies, error) {
	f.asked = append(f.asked, slots)
	at := min(len(f.asked), len(f.looks)) - 1
	return report.Emergencies{Now: leakedAt.Add(time.Since(f.began)), Emergencies: f.looks[at]}, f.fails
}

func (f *saying) Request(_ context.Context, id int64) (rotation.Request, error) {
	r := f.closed
	r.ID = id
	return r, f.fails
}

func ptr(t time.Time) *time.Time { return &t }

// openReport is one that was just taken up: a token lives, a target is left.
func openReport() rotation.EmergencyReport {
	return rotation.EmergencyReport{Slot: "a/b", Requests: []int64{7}, TakenUpAt: ptr(leakedAt), Deadline: ptr(leakedAt.Add(30 * time.Second)),
		Alive: []rotation.AliveToken{{TokenID: 1, Generation: 1}}, Targets: []rotation.EmergencyTarget{{Backend: "v", Path: "p", Reason: rotation.TargetOlder}}}
}

// overReport is one that is over; left is why a target is, "" for none.
func overReport(left rotation.Reason) rotation.EmergencyReport {
	e := openReport()
	e.Over, e.Outcome, e.Alive = true, "revoked 1 tokens", nil
	e.Generation, e.NewTokenID = 2, 9
	e.Revoked = []rotation.RevokedToken{{TokenID: 1, Generation: 1, At: leakedAt.Add(2 * time.Second)}}
	e.Targets[0] = rotation.EmergencyTarget{Backend: "v", Path: "p", Delivered: left == "", At: ptr(leakedAt.Add(time.Second)), Reason: left}
	return e
}

// watched is how the watch of one request ends, in declared time.
func watched(f *saying, o order) (out, errs string, took time.Duration, err error) {
	f.began = time.Now()
	var stdout, stderr bytes.Buffer
	a := &app{streams: streams{out: &stdout, err: &stderr}}
	w := newEmergencyWatch(a, o, f, []rotation.Request{{ID: 7, Slot: "a/b", At: leakedAt, Deadline: 30 * time.Second}})
	if err = w.watch(context.Background()); err == nil {
		err = w.answer()
	}
	return stdout.String(), stderr.String(), time.Since(f.began), err
}

func TestWatchEmergency(t *testing.T) {
	none := []rotation.EmergencyReport{}
	other := overReport("")
	other.Requests = []int64{8}
	blocked := overReport(rotation.Leaked)
	blocked.Blocked = rotation.IssueRefused
	for name, test := range map[string]struct {
		told   saying
		wait   bool
		code   int
		within [2]time.Duration
		says   string
	}{
		"all delivered": {saying{looks: [][]rotation.EmergencyReport{none, {openReport()}, {overReport("")}}},
			false, exitDone, [2]time.Duration{2 * glance, 2 * glance}, "a/b: revoked 1 tokens\n"},
		"a target is left, and says why at the second look": {
			saying{looks: [][]rotation.EmergencyReport{{overReport(rotation.TargetOlder)}, {overReport(rotation.TargetUnreachable)}}},
			false, exitPartly, [2]time.Duration{glance, glance}, "target_unreachable"},
		"the target that is left is waited for": {
			saying{looks: [][]rotation.EmergencyReport{{overReport(rotation.TargetUnreachable)}, {overReport(rotation.TargetUnreachable)}, {overReport(rotation.TargetUnreachable)}, {overReport("")}}},
			true, exitDone, [2]time.Duration{3 * glance, 3 * glance}, "a/b: revoked 1 tokens\n"},
		"a value that isn't ours isn't waited for": {saying{looks: [][]rotation.EmergencyReport{{overReport(rotation.TargetHoldsForeign)}}},
			true, exitPartly, [2]time.Duration{glance, glance}, "target_holds_foreign_value"},
		"a blocked slot isn't waited for": {saying{looks: [][]rotation.EmergencyReport{{blocked}}},
			true, exitPartly, [2]time.Duration{glance, glance}, "it gets no new token before 'handover resume a/b': issue_refused"},
		"Qualytics doesn't answer": {saying{looks: [][]rotation.EmergencyReport{{openReport()}}},
			false, exitPartly, [2]time.Duration{30 * time.Second, 31 * time.Second}, "a/b: not over: 1 token alive, 1 target left\n"},
		"nobody takes it up": {saying{looks: [][]rotation.EmergencyReport{none}},
			false, exitPartly, [2]time.Duration{30 * time.Second, 31 * time.Second}, "a/b: not taken up yet\n"},
		"carried out between two questions": {
			saying{looks: [][]rotation.EmergencyReport{none, {overReport("")}}, closed: rotation.Request{ClosedAt: leakedAt, Outcome: "over"}},
			false, exitDone, [2]time.Duration{glance, glance}, "a/b: revoked 1 tokens\n"},
		"another one has taken its place": {
			saying{looks: [][]rotation.EmergencyReport{{other}}, closed: rotation.Request{ClosedAt: leakedAt, Outcome: "over"}},
			false, exitPartly, [2]time.Duration{glance, glance}, "a/b: over\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, errs, took, err := watched(&test.told, order{wait: test.wait})
				code := exitDone
				if e := (*exit)(nil); errors.As(err, &e) {
					code = e.code
				} else if err != nil {
					t.Fatal(err)
				}
				if code != test.code || took < test.within[0] || took > test.within[1] {
					t.Errorf("exit %d after %s, want %d after %s", code, took, test.code, test.within)
				}
				if !strings.Contains(out, test.says) {
					t.Errorf("it says\n%s\nand not %q\n%s", out, test.says, errs)
				}
			})
		})
	}
}

// As long as something goes on, the deadline doesn't end the watch.
func TestWatchEmergencyGoesOnWithTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		news := openReport()
		news.Generation, news.NewTokenID = 2, 9
		f := &saying{}
		for range int(28 * time.Second / glance) {
			f.looks = append(f.looks, []rotation.EmergencyReport{openReport()})
		}
		f.looks = append(f.looks, []rotation.EmergencyReport{news})
		_, _, took, err := watched(f, order{})
		if err == nil || took < 38*time.Second || took > 39*time.Second {
			t.Errorf("ended after %s with %v; the last news came at 28 s", took, err)
		}
	})
}

// Each thing is told once; what failed to be told is an error.
func TestEmergencyNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := openReport()
		away.Targets[0].RetryAt = ptr(leakedAt)
		away.Alive[0].RetryAt = ptr(leakedAt)
		f := &saying{looks: [][]rotation.EmergencyReport{{openReport()}, {openReport()}, {away}, {away}, {overReport("")}}}
		_, errs, _, err := watched(f, order{})
		want := "a/b: taken up; deadline 2026-11-05T03:00:30Z\na/b: v/p is away or refuses: target_serves_another_generation\n" +
			"a/b: token 1 (g1) could not be revoked yet\na/b: issued token 9 (g2)\na/b: delivered to v/p\na/b: revoked token 1 (g1)\n" +
			"a/b: over: revoked 1 tokens\n"
		if errs != want || err != nil {
			t.Errorf("%v\n%s\nwant\n%s", err, errs, want)
		}
		f.fails = io.ErrUnexpectedEOF
		if _, _, _, err := watched(f, order{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v, want that it can't be asked", err)
		}
	})
}

// What is done isn't asked for again.
func TestWatchAsksForWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := openReport()
		second.Slot, second.Requests = "a/c", []int64{8}
		ended := overReport("")
		ended.Slot, ended.Requests = "a/c", []int64{8}
		f := &saying{looks: [][]rotation.EmergencyReport{{overReport(""), second}, {ended}}, began: time.Now()}
		a := &app{streams: streams{out: io.Discard, err: io.Discard}}
		w := newEmergencyWatch(a, order{}, f, []rotation.Request{{ID: 7, Slot: "a/b"}, {ID: 8, Slot: "a/c"}})
		if err := w.watch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(f.asked) != 2 || len(f.asked[0]) != 2 || len(f.asked[1]) != 1 || f.asked[1][0] != "a/c" {
			t.Errorf("asked for %q", f.asked)
		}
		if err := w.answer(); err != nil {
			t.Errorf("%v; both are done", err)
		}
	})
}
