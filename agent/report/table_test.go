package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const narrow = `agent acme-prod, not running; this is what its journal says, 2026-11-05T12:00:00Z
3 slots: 1 blocked, 1 new, 1 current; 2 unclaimed tokens

! bi@service/dashboards: blocked: account_gone; mend it, then: handover resume bi@service/dashboards
! pipeline_automation@service/pipeline-production: token 457 (g4) is unclaimed: if it is ours, handover resume --adopt pipeline_automation@service/pipeline-production; else it stays until its end, in 30d
! bi@service/dashboards: token 457 (g4) is unclaimed: if it is ours, handover resume --adopt bi@service/dashboards; else it stays until its end, in 30d

SLOT                                             STATE    GEN  TOKEN  NEXT          REASON
pipeline_automation@service/pipeline-production  current  3    456    revoke in 2d  at_rest
pipeline_automation@service/staging              new      -    -      -             never_issued
bi@service/dashboards                            blocked  3    456    revoke in 2d  account_gone
`

const wide = `SLOT                                             STATE      GEN  TOKEN  NEXT           REASON
pipeline_automation@service/pipeline-production  current    3    456    revoke in 2d   at_rest
  target vault/connections/qualytics_default     current    3    -      -              target_serves
  retired g2                                     grace      2    455    revoke in 2d   superseded
  retired g4                                     unclaimed  4    457    expire in 30d  unclaimed
pipeline_automation@service/staging              new        -    -      -              never_issued
  target local/staging.env                       behind     -    -      -              target_new
`

func render(t *testing.T, doc report.Document, wide bool) string {
	t.Helper()
	var out strings.Builder
	if err := report.WriteTable(&out, doc, wide); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriteTable(t *testing.T) {
	if diff := cmp.Diff(narrow, render(t, build(t), false)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteTableWide(t *testing.T) {
	got := render(t, build(t), true)
	if diff := cmp.Diff(wide, got[strings.Index(got, "SLOT "):][:len(wide)]); diff != "" {
		t.Error(diff)
	}
}

func TestWriteTableWideTellsRetriesAndDeletions(t *testing.T) {
	got := render(t, report.Document{Now: now, Slots: []rotation.Status{{Slot: "a/b", State: rotation.SlotDelivering,
		Targets: []rotation.TargetStatus{{Backend: "vault", Path: "ci", State: rotation.Behind, RetryAt: at(time.Minute)}},
		Retired: []rotation.RetiredStatus{{Generation: 1, State: rotation.Observing, Until: at(day)}, {Generation: 2, State: rotation.Waiting}},
	}}}, true)
	for _, want := range []string{"deliver in 1m", "delete in 1d", "retired g2       waiting     2    -      -"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestWriteTableOfARunningAgent(t *testing.T) {
	got := render(t, report.Document{Agent: "acme-prod", Running: true, Now: now}, false)
	want := "agent acme-prod, running, 2026-11-05T12:00:00Z\n0 slots\n\nno slots: the declaration declares no tokens\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWriteTableCountsFurtherProblems(t *testing.T) {
	doc := report.Document{Now: now}
	for i := range 25 {
		doc.Slots = append(doc.Slots, rotation.Status{Slot: fmt.Sprint("s", i), State: rotation.SlotBlocked})
	}
	got := render(t, doc, false)
	if n := strings.Count(got, "! s"); n != 20 {
		t.Errorf("%d problems are told, want 20", n)
	}
	if !strings.Contains(got, "! and 5 more problems\n") {
		t.Errorf("the rest isn't counted in:\n%s", got)
	}
}

// TestTextsCantSteerTheTerminal: a journal's texts can hold a server's words.
func TestTextsCantSteerTheTerminal(t *testing.T) {
	const evil = "a\x1b[2Jb\r\nc\u202ed"
	var out strings.Builder
	err := report.WriteHistory(&out, []rotation.Event{{At: now, Act: rotation.ActIssueFailed, Slot: evil, Detail: evil,
		Actor: evil, Target: evil, Reason: rotation.Reason(evil)}})
	if err != nil {
		t.Fatal(err)
	}
	table := render(t, report.Document{Agent: evil, Now: now, Declaration: &report.Declaration{Error: evil},
		Slots: []rotation.Status{{Slot: evil, State: rotation.SlotBlocked, Next: evil, NextAt: at(day), Reason: rotation.Reason(evil)}}}, true)
	for _, text := range []string{out.String(), table} {
		if strings.ContainsAny(text, "\x1b\r\u202e") {
			t.Errorf("a control character is left in %q", text)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 {
		t.Errorf("the history has %d lines, want 2", lines)
	}
}

func TestWriteHistory(t *testing.T) {
	events := []rotation.Event{
		{At: now, Account: "bi@service", Act: rotation.ActCreatedAccount, Actor: "agent"},
		{At: now.Add(time.Second), Slot: "bi@service/t", Act: rotation.ActIssued, Reason: rotation.Requested,
			Actor: "uid 1000 (ada)", Generation: 2, TokenID: 456},
		{At: now.Add(2 * time.Second), Slot: "bi@service/t", Act: rotation.ActDeliverFailed, Reason: rotation.TargetDenied,
			Actor: "agent", Generation: 2, Target: "vault/ci", Detail: "permission denied"},
	}
	const want = `TIME                  ACT              ON            GEN  TOKEN  REASON         ACTOR           DETAIL
2026-11-05T12:00:00Z  created_account  bi@service    -    -      -              agent           -
2026-11-05T12:00:01Z  issued           bi@service/t  2    456    requested      uid 1000 (ada)  -
2026-11-05T12:00:02Z  deliver_failed   bi@service/t  2    -      target_denied  agent           vault/ci permission denied
`
	var out strings.Builder
	if err := report.WriteHistory(&out, events); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestWritersFailWithTheirOutput(t *testing.T) {
	if err := report.WriteTable(brokenPipe{}, build(t), true); !errors.Is(err, errPipe) {
		t.Errorf("WriteTable = %v, want the writer's error", err)
	}
	if err := report.WriteTable(brokenPipe{}, report.Document{}, false); !errors.Is(err, errPipe) {
		t.Errorf("WriteTable of nothing = %v, want the writer's error", err)
	}
	if err := report.WriteHistory(brokenPipe{}, nil); !errors.Is(err, errPipe) {
		t.Errorf("WriteHistory = %v, want the writer's error", err)
	}
}
