package rotationtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

var requestRules = []rule{
	{"RequestComesBack", requestComesBack},
	{"RequestNeedsKindAndSlot", requestNeedsKindAndSlot},
	{"RequestsAllInOrder", requestsAllInOrder},
	{"RequestsAllOrNone", requestsAllOrNone},
	{"RequestsOfNothing", requestsOfNothing},
	{"RequestsCancelled", requestsCancelled},
	{"RequestIsOpenAtFirst", requestIsOpenAtFirst},
	{"RequestsOfOneSlot", requestsOfOneSlot},
	{"PausesOfWiderScopes", pausesOfWiderScopes},
	{"RequestIDsRise", requestIDsRise},
	{"CloseRequest", closeRequest},
	{"CloseRequestAgain", closeRequestAgain},
	{"UnknownRequest", unknownRequest},
	{"RequestWithBrokenText", requestWithBrokenText},
}

func ask(slot string) rotation.Request {
	return rotation.Request{Kind: rotation.RequestRotate, Slot: slot, Reason: "leaked \"it\"", Actor: "uid 1000"}
}

func mustAsk(t *testing.T, j rotation.Journal, slot string) rotation.Request {
	t.Helper()
	q, err := j.AddRequest(t.Context(), ask(slot))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func requests(t *testing.T, j rotation.Journal, slot string) []rotation.Request {
	t.Helper()
	open, err := j.Requests(t.Context(), slot)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func requestComesBack(t *testing.T, j rotation.Journal) {
	added := mustAsk(t, j, slotA)
	if added.ID <= 0 || added.At.IsZero() {
		t.Fatalf("added %+v, want an ID and a time", added)
	}
	want := ask(slotA)
	want.ID, want.At = added.ID, added.At
	wantRequest(t, j, want, added)
	q := rotation.Request{Kind: rotation.RequestEmergency, Slot: slotB, Reason: "leaked", Actor: "uid 0", RevokeFirst: true,
		Deadline: 90 * time.Second, TokenID: 1<<62 + 1}
	added, err := j.AddRequest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.ID, q.At = added.ID, added.At
	wantRequest(t, j, q, added)
}

// wantRequest wants a request as it was added, as it is read, and as it is
// listed alone.
func wantRequest(t *testing.T, j rotation.Journal, want, added rotation.Request) {
	t.Helper()
	if diff := cmp.Diff(want, added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	got, err := j.Request(t.Context(), added.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]rotation.Request{want}, requests(t, j, want.Slot)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func requestNeedsKindAndSlot(t *testing.T, j rotation.Journal) {
	for _, q := range []rotation.Request{{}, {Kind: rotation.RequestResume}, {Slot: slotA}, {Kind: "dance", Slot: slotA},
		{Kind: rotation.RequestResume, Slot: "a\xff"}, {Kind: rotation.RequestRotate, Slot: slotA, TokenID: 7},
		{Kind: rotation.RequestRotate, Slot: slotA, RevokeFirst: true}, {Kind: rotation.RequestAdopt, Slot: slotA, Deadline: 1},
		{Kind: rotation.RequestEmergency, Slot: rotation.WholeAgent}, {Kind: rotation.RequestRotate, Slot: "a@service"},
		{Kind: rotation.RequestRevoke, Slot: slotA, RevokeFirst: true}, {Kind: rotation.RequestPause, Slot: slotA, TokenID: 1},
		{Kind: rotation.RequestEmergency, Slot: slotA, TokenID: -1}, {Kind: rotation.RequestEmergency, Slot: slotA, Deadline: -1}} {
		if _, err := j.AddRequest(t.Context(), q); err == nil {
			t.Errorf("%+v was taken", q)
		}
	}
	if open := requests(t, j, slotA); len(open) != 0 {
		t.Errorf("%d requests are open, want none", len(open))
	}
}

// requestsAllInOrder: what AddRequest says of one holds for each of many.
func requestsAllInOrder(t *testing.T, j rotation.Journal) {
	last := mustAsk(t, j, slotA).ID
	list := []rotation.Request{ask(slotB), ask(slotA), ask(slotB)}
	list[1].Kind, list[1].ID, list[1].Outcome, list[1].ClosedAt = rotation.RequestAdopt, 77, "done", time.Unix(1, 0)
	given := slices.Clone(list)
	added, err := j.AddRequests(t.Context(), list)
	if err != nil || len(added) != len(list) {
		t.Fatalf("%d requests added of %d, %v", len(added), len(list), err)
	}
	if diff := cmp.Diff(given, list); diff != "" {
		t.Errorf("the caller's list was changed (-want +got):\n%s", diff)
	}
	for i, q := range added {
		want := ask(list[i].Slot)
		want.Kind, want.ID, want.At = list[i].Kind, q.ID, q.At
		if diff := cmp.Diff(want, q); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
		if q.ID <= last || q.At.IsZero() {
			t.Errorf("request %d has ID %d after %d, and the time %v", i, q.ID, last, q.At)
		}
		last = q.ID
	}
	if diff := cmp.Diff([]rotation.Request{added[0], added[2]}, requests(t, j, slotB)); diff != "" {
		t.Errorf("slot B (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(added[1:2], requests(t, j, slotA)[1:]); diff != "" {
		t.Errorf("slot A (-want +got):\n%s", diff)
	}
}

func requestsAllOrNone(t *testing.T, j rotation.Journal) {
	added, err := j.AddRequests(t.Context(), []rotation.Request{ask(slotA), ask(slotB), {Kind: "dance", Slot: slotA}})
	if err == nil || len(added) != 0 {
		t.Errorf("%d requests added beside one that can't be, %v", len(added), err)
	}
	if open := append(requests(t, j, slotA), requests(t, j, slotB)...); len(open) != 0 {
		t.Errorf("%d requests are open, want none", len(open))
	}
}

func requestsOfNothing(t *testing.T, j rotation.Journal) {
	if added, err := j.AddRequests(t.Context(), nil); err != nil || len(added) != 0 {
		t.Errorf("no requests: %d added, %v", len(added), err)
	}
}

func requestsCancelled(t *testing.T, j rotation.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.AddRequests(ctx, []rotation.Request{ask(slotA)}); !errors.Is(err, context.Canceled) {
		t.Errorf("add with a done ctx: %v, want context.Canceled", err)
	}
	if open := requests(t, j, slotA); len(open) != 0 {
		t.Errorf("a done ctx stored %d requests", len(open))
	}
}

func requestIsOpenAtFirst(t *testing.T, j rotation.Journal) {
	q := ask(slotA)
	q.ID, q.ClosedAt, q.Outcome = 77, time.Unix(1, 0), "done"
	q.At = time.Date(2026, 5, 6, 7, 8, 9, 10, time.FixedZone("east", 3600))
	added, err := j.AddRequest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if added.ID == 77 || !added.ClosedAt.IsZero() || added.Outcome != "" {
		t.Errorf("added %+v, want an open request with an ID of the journal", added)
	}
	if !added.At.Equal(q.At) || added.At.Location() != time.UTC {
		t.Errorf("asked at %v, want %v in UTC", added.At, q.At)
	}
	if open := requests(t, j, slotA); len(open) != 1 {
		t.Errorf("%d requests are open, want 1", len(open))
	}
}

func requestsOfOneSlot(t *testing.T, j rotation.Journal) {
	first, other, second := mustAsk(t, j, slotA), mustAsk(t, j, slotB), mustAsk(t, j, slotA)
	if diff := cmp.Diff([]rotation.Request{first, second}, requests(t, j, slotA)); diff != "" {
		t.Errorf("slot A (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]rotation.Request{other}, requests(t, j, slotB)); diff != "" {
		t.Errorf("slot B (-want +got):\n%s", diff)
	}
	if open := requests(t, j, "no such"); len(open) != 0 {
		t.Errorf("an unknown slot has %d requests", len(open))
	}
}

// pausesOfWiderScopes: a pause of an account or of the whole agent concerns each
// of its slots, and no other one.
func pausesOfWiderScopes(t *testing.T, j rotation.Journal) {
	var added []rotation.Request
	for _, scope := range []string{rotation.WholeAgent, "pipeline_automation@service", slotA} {
		q, err := j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestPause, Slot: scope, Actor: "uid 0"})
		if err != nil {
			t.Fatal(err)
		}
		added = append(added, q)
	}
	added = append(added, mustAsk(t, j, slotA))
	wantOpen := func(want []rotation.Request) {
		t.Helper()
		open, err := j.OpenRequests(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, open); diff != "" {
			t.Errorf("all that are open (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(added, requests(t, j, slotA)); diff != "" {
		t.Errorf("slot A (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(added[:1], requests(t, j, slotB)); diff != "" {
		t.Errorf("slot B (-want +got):\n%s", diff)
	}
	wantOpen(added)
	if err := j.CloseRequest(t.Context(), added[0].ID, "resumed"); err != nil {
		t.Fatal(err)
	}
	wantOpen(added[1:])
	if open := requests(t, j, slotB); len(open) != 0 {
		t.Errorf("slot B: %v", open)
	}
}

func requestIDsRise(t *testing.T, j rotation.Journal) {
	var last int64
	for range 20 {
		q := mustAsk(t, j, slotA)
		if q.ID <= last {
			t.Fatalf("ID %d after %d", q.ID, last)
		}
		last = q.ID
		if err := j.CloseRequest(t.Context(), q.ID, "done"); err != nil {
			t.Fatal(err)
		}
	}
}

func closeRequest(t *testing.T, j rotation.Journal) {
	first, second := mustAsk(t, j, slotA), mustAsk(t, j, slotA)
	if err := j.CloseRequest(t.Context(), first.ID, "generation 4 issued"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rotation.Request{second}, requests(t, j, slotA)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	got, err := j.Request(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.ClosedAt.IsZero() || got.ClosedAt.Location() != time.UTC || got.Outcome != "generation 4 issued" {
		t.Errorf("closed at %v with %q", got.ClosedAt, got.Outcome)
	}
}

func closeRequestAgain(t *testing.T, j rotation.Journal) {
	q := mustAsk(t, j, slotA)
	if err := j.CloseRequest(t.Context(), q.ID, "first"); err != nil {
		t.Fatal(err)
	}
	before, err := j.Request(t.Context(), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.CloseRequest(t.Context(), q.ID, "second"); err != nil {
		t.Errorf("closing again: %v, want nil", err)
	}
	if after, err := j.Request(t.Context(), q.ID); err != nil || !cmp.Equal(before, after) {
		t.Errorf("closing again changed it (%v):\n%s", err, cmp.Diff(before, after))
	}
}

func unknownRequest(t *testing.T, j rotation.Journal) {
	mustAsk(t, j, slotA)
	for _, id := range []int64{-1, 0, 99} {
		if _, err := j.Request(t.Context(), id); !errors.Is(err, rotation.ErrNoRecord) {
			t.Errorf("request %d: %v, want ErrNoRecord", id, err)
		}
		if err := j.CloseRequest(t.Context(), id, "done"); !errors.Is(err, rotation.ErrNoRecord) {
			t.Errorf("close request %d: %v, want ErrNoRecord", id, err)
		}
	}
}

func requestWithBrokenText(t *testing.T, j rotation.Journal) {
	q := ask(slotA)
	q.Reason = "typed\xff\x00"
	added, err := j.AddRequest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	got, err := j.Request(t.Context(), added.ID)
	if err != nil || !utf8.ValidString(got.Reason) || got.Reason != added.Reason {
		t.Errorf("added with reason %q, read with %q, %v", added.Reason, got.Reason, err)
	}
}
