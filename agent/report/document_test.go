package report_test

import (
	"context"
	"encoding/json"
	"errors"
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
		rotation.SlotCurrent: 1, rotation.SlotBlocked: 1}
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
	if diff := cmp.Diff([]string{pipeline, "bi@service"}, journal.asked); diff != "" {
		t.Error(diff)
	}
}

func TestBuildFailsWithTheJournal(t *testing.T) {
	broken := errors.New("disk I/O error")
	for name, breakIt := range map[string]func(*records){
		"slot":    func(r *records) { r.failSlot = broken },
		"account": func(r *records) { r.failAccount = broken },
	} {
		t.Run(name, func(t *testing.T) {
			src, journal := source()
			breakIt(journal)
			doc, err := report.Build(t.Context(), src, now)
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), name+" "+pipeline) {
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
