package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const pipeline = "pipeline_automation@service"

// source has three slots: one settled, one without a record, one of a blocked
// account.
func source() (report.Source, *records) {
	slot := rotation.Slot(pipeline, "pipeline-production")
	blocked := rotation.Slot("bi@service", "dashboards")
	journal := &records{
		slots: map[string]rotation.Record{
			slot:    settled(slot, "vault/connections/qualytics_default"),
			blocked: settled(blocked, "local/bi.env"),
		},
		accounts: map[string]rotation.AccountRecord{
			pipeline:     {ID: pipeline, UserID: 7},
			"bi@service": {ID: "bi@service", UserID: 8, Blocked: rotation.AccountGone},
		},
	}
	return report.Source{Agent: "acme-prod", Version: "1.2.3", Journal: journal, Policies: []rotation.Policy{
		policy(pipeline, "pipeline-production", "vault/connections/qualytics_default"),
		policy(pipeline, "staging", "local/staging.env"),
		policy("bi@service", "dashboards", "local/bi.env"),
	}}, journal
}

func build(t *testing.T) report.Document {
	t.Helper()
	src, _ := source()
	doc, err := report.Build(t.Context(), src, now)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestBuildTellsEverySlotInOrder(t *testing.T) {
	doc := build(t)
	var got []string
	for _, s := range doc.Slots {
		got = append(got, s.Slot+" "+string(s.State)+" "+string(s.Reason))
	}
	want := []string{
		pipeline + "/pipeline-production current at_rest",
		pipeline + "/staging new never_issued",
		"bi@service/dashboards blocked account_gone",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	counts := map[rotation.SlotState]int{rotation.SlotNew: 1, rotation.SlotIssuing: 0, rotation.SlotDelivering: 0,
		rotation.SlotCurrent: 1, rotation.SlotBlocked: 1, rotation.SlotPaused: 0, rotation.SlotRemoved: 0}
	if diff := cmp.Diff(counts, doc.Counts); diff != "" {
		t.Error(diff)
	}
	if doc.Unclaimed != 2 {
		t.Errorf("unclaimed = %d, want 2", doc.Unclaimed)
	}
}

func TestBuildReadsAnAccountOnce(t *testing.T) {
	src, journal := source()
	if _, err := report.Build(t.Context(), src, now); err != nil {
		t.Fatal(err)
	}
	slices.Sort(journal.asked)
	if diff := cmp.Diff([]string{"bi@service", pipeline}, journal.asked); diff != "" {
		t.Error(diff)
	}
}

// Slots that aren't declared have records too, for as long as they are kept.
func TestBuildLeavesOthersOut(t *testing.T) {
	src, journal := source()
	other := rotation.Slot("ci@service", "gone")
	journal.slots[other] = settled(other, "local/ci.env")
	journal.badSlots = map[string]*rotation.BadRow{other: {Table: "slots", Err: errors.New("nonsense")}}
	doc, err := report.Build(t.Context(), src, now)
	if err != nil || len(doc.Slots) != 3 || doc.Counts[rotation.SlotBlocked] != 1 {
		t.Errorf("%d slots, %v, %v; want the three that are declared", len(doc.Slots), doc.Counts, err)
	}
	if slices.Contains(journal.asked, "ci@service") {
		t.Error("the account of a slot that isn't declared was read")
	}
}

// A row that can't be read blocks what it is of, and says which place.
func TestBuildTellsBadRows(t *testing.T) {
	slot, staging := rotation.Slot(pipeline, "pipeline-production"), rotation.Slot(pipeline, "staging")
	bad := &rotation.BadRow{Table: "slots", Key: slot, Column: "body", Field: "high", Err: errors.New("there is text, want a number")}
	for name, test := range map[string]struct {
		spoil func(*report.Source, *records)
		want  []string // the slots that are blocked by it
	}{
		"slot":    {func(_ *report.Source, r *records) { r.badSlots = map[string]*rotation.BadRow{slot: bad} }, []string{slot}},
		"account": {func(_ *report.Source, r *records) { r.badAccounts = map[string]*rotation.BadRow{pipeline: bad} }, []string{slot, staging}},
		"found by a pass": {func(s *report.Source, _ *records) { s.BadRows = map[string]*rotation.BadRow{staging: bad} },
			[]string{staging}},
	} {
		t.Run(name, func(t *testing.T) {
			src, journal := source()
			test.spoil(&src, journal)
			doc, err := report.Build(t.Context(), src, now)
			if err != nil {
				t.Fatal(err)
			}
			var blocked []string
			for _, s := range doc.Slots {
				if s.Reason == rotation.JournalUnreadable {
					blocked = append(blocked, s.Slot)
				}
			}
			if diff := cmp.Diff(test.want, blocked); diff != "" {
				t.Errorf("blocked (-want +got):\n%s", diff)
			}
			if doc.Counts[rotation.SlotBlocked] != len(test.want)+1 { // and the one of a blocked account
				t.Errorf("counts %v", doc.Counts)
			}
			var told []string
			for _, p := range doc.Problems() {
				if strings.Contains(p.Text, "journal_unreadable") {
					told = append(told, p.String())
				}
			}
			if len(told) != len(test.want) {
				t.Errorf("problems %q, want one for each of %q", told, test.want)
			}
			for i, text := range told {
				if !strings.Contains(text, bad.Error()) || !strings.Contains(text, "handover resume "+test.want[i]) {
					t.Errorf("%q doesn't say which place, or what to do", text)
				}
			}
		})
	}
}

func TestBuildFailsWithTheJournal(t *testing.T) {
	broken := errors.New("disk I/O error")
	for place, breakIt := range map[string]func(*records){
		"read the journal: disk":               func(r *records) { r.failSlot = broken },
		"read the journal: account bi@service": func(r *records) { r.failAccount = broken },
	} {
		t.Run(place, func(t *testing.T) {
			src, journal := source()
			breakIt(journal)
			doc, err := report.Build(t.Context(), src, now)
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), place) {
				t.Errorf("error = %v, want the cause and the place", err)
			}
			if doc.Slots != nil {
				t.Error("a failed Build gave slots")
			}
		})
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src, _ := source()
	if _, err := report.Build(ctx, src, now); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestBuildOfNothingHasAnEmptyList(t *testing.T) {
	doc, err := report.Build(t.Context(), report.Source{Journal: &records{}}, now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"slots":[]`) {
		t.Errorf("%s has no empty list of slots", text)
	}
}

// TestJSONKeys holds the keys that design.md gives ("The command line").
func TestJSONKeys(t *testing.T) {
	text, err := json.Marshal(build(t))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Slots []map[string]any `json:"slots"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	slot := doc.Slots[0]
	wantKeys(t, slot, "slot", "state", "reason", "generation", "token_id", "expires_at", "next_at", "targets", "retired")
	wantKeys(t, slot["targets"].([]any)[0].(map[string]any), "backend", "path", "generation", "state")
	wantKeys(t, slot["retired"].([]any)[0].(map[string]any), "generation", "token_id", "state", "until")
	if diff := cmp.Diff("connections/qualytics_default", slot["targets"].([]any)[0].(map[string]any)["path"]); diff != "" {
		t.Error(diff)
	}
}

func wantKeys(t *testing.T, object map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := object[key]; !ok {
			t.Errorf("no key %q in %v", key, object)
		}
	}
}

func TestDocumentSurvivesJSON(t *testing.T) {
	doc := build(t)
	doc.Running, doc.CredentialExpiresAt = true, at(day)
	doc.Held = &report.Held{Until: now.Add(day), Reason: rotation.APIThrottled}
	doc.Declaration = &report.Declaration{LoadedAt: now, Error: "agent.yaml:1:1: no"}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var back report.Document
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc, back); diff != "" {
		t.Error(diff)
	}
}

func TestSelect(t *testing.T) {
	doc := build(t)
	tests := map[string]struct {
		filter report.Filter
		want   []string
	}{
		"all":             {report.Filter{}, []string{"pipeline-production", "staging", "dashboards"}},
		"state":           {report.Filter{State: rotation.SlotBlocked}, []string{"dashboards"}},
		"name":            {report.Filter{Text: "PIPELINE_auto"}, []string{"pipeline-production", "staging"}},
		"target":          {report.Filter{Text: "vault/conn"}, []string{"pipeline-production"}},
		"state and name":  {report.Filter{State: rotation.SlotNew, Text: "production"}, nil},
		"no such state":   {report.Filter{State: "frozen"}, nil},
		"part of targets": {report.Filter{Text: "local/"}, []string{"staging", "dashboards"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range doc.Select(test.filter) {
				_, token, _ := strings.Cut(s.Slot, "/")
				got = append(got, token)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBuildTellsPauses(t *testing.T) {
	src, journal := source()
	journal.open = []rotation.Request{
		{ID: 1, Kind: rotation.RequestRotate, Slot: pipeline + "/pipeline-production"},
		{ID: 2, Kind: rotation.RequestPause, Slot: pipeline, Actor: "uid 0", Reason: "audit", At: now},
		{ID: 3, Kind: rotation.RequestPause, Slot: pipeline + "/staging", Actor: "uid 7", At: now},
	}
	journal.failOpen = &rotation.BadRow{Table: "requests", Key: "4", Err: errors.New("x")} // its slot tells it
	doc, err := report.Build(t.Context(), src, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range doc.Slots {
		line := fmt.Sprint(s.State, " ", s.Reason)
		for _, p := range s.Paused {
			line += fmt.Sprintf(", %d by %s of %s: %s", p.Request, p.Actor, p.Scope, p.Reason)
		}
		got = append(got, line)
	}
	want := []string{
		"paused paused, 2 by uid 0 of " + pipeline + ": audit",
		"paused paused, 2 by uid 0 of " + pipeline + ": audit, 3 by uid 7 of " + pipeline + "/staging: ",
		"blocked account_gone",
	}
	if diff := cmp.Diff(want, got); diff != "" || doc.Counts[rotation.SlotPaused] != 2 {
		t.Errorf("%d paused (-want +got):\n%s", doc.Counts[rotation.SlotPaused], diff)
	}
	got = nil
	for _, p := range doc.Problems()[:2] {
		got = append(got, p.String())
	}
	want = []string{
		"account " + pipeline + " is paused by uid 0 for 0s: audit; 'handover resume " + pipeline + "' ends it",
		pipeline + "/staging is paused by uid 7 for 0s; 'handover resume " + pipeline + "/staging' ends it",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(doc.Paused) != 2 {
		t.Errorf("%d pauses are told (-want +got):\n%s", len(doc.Paused), diff)
	}
	if e, _ := report.Explain(doc, pipeline+"/pipeline-production", nil); len(e.Problems) == 0 || e.Problems[0] != want[0] ||
		slices.Contains(e.Problems, want[1]) {
		t.Errorf("explain tells %q; one of the pauses is of another slot", e.Problems)
	}
	journal.failOpen = errors.New("disk")
	if _, err := report.Build(t.Context(), src, now); err == nil {
		t.Error("a journal that can't be read is told as one without pauses")
	}
}
