package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/agent/web"
	"github.com/handover-agent/handover/rotation"
)

var now = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func at(d time.Duration) *time.Time {
	t := now.Add(d)
	return &t
}

// agent is a Source that tells what it is given.
type agent struct {
	doc                      report.Document
	notAlive, notReady, fail error
}

func (a agent) Alive() error { return a.notAlive }
func (a agent) Ready() error { return a.notReady }
func (a agent) Status(context.Context) (report.Document, error) {
	return a.doc, a.fail
}

// two is an agent with a slot at rest and a blocked one.
func two() agent {
	return agent{doc: report.Document{Agent: "acme-prod", Version: "1.2.3", Now: now, Running: true,
		Declaration:         &report.Declaration{LoadedAt: now.Add(-3 * time.Hour)},
		CredentialExpiresAt: at(90 * day),
		Counts:              map[rotation.SlotState]int{rotation.SlotCurrent: 1, rotation.SlotBlocked: 1},
		Slots: []rotation.Status{
			{Slot: "pipeline_automation@service/pipeline-production", State: rotation.SlotCurrent, Reason: rotation.AtRest,
				Generation: 3, TokenID: 456, ExpiresAt: at(364 * day), NextAt: at(2 * day), Next: "revoke",
				Targets: []rotation.TargetStatus{
					{Backend: "vault", Path: "connections/qualytics_default", Generation: 3, State: rotation.InStep},
					{Backend: "local", Path: "dbt.env", Generation: 2, State: rotation.Behind, Reason: rotation.TargetDenied}},
				Retired: []rotation.RetiredStatus{{Generation: 2, TokenID: 455, State: rotation.Grace,
					Reason: rotation.Superseded, Until: at(2 * day)}, {Generation: 1, State: rotation.Waiting, Reason: rotation.StillServed}}},
			{Slot: "bi@service/dashboards", State: rotation.SlotBlocked, Reason: rotation.AccountGone},
		}}}
}

// many is an agent with n blocked slots.
func many(n int) agent {
	a := agent{doc: report.Document{Agent: "acme-prod", Now: now, Counts: map[rotation.SlotState]int{rotation.SlotBlocked: n}}}
	for i := range n {
		a.doc.Slots = append(a.doc.Slots, rotation.Status{Slot: fmt.Sprintf("a@service/t%05d", i), State: rotation.SlotBlocked,
			Reason: rotation.AccountGone, Targets: []rotation.TargetStatus{{Backend: "vault", Path: fmt.Sprint("p", i)}}})
	}
	return a
}

func ask(t *testing.T, source web.Source, method, url string) *httptest.ResponseRecorder {
	t.Helper()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	answer := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	web.Handler(source, metrics).ServeHTTP(answer, request)
	return answer
}
