package metrics_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

var now = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *time.Time {
	t := now.Add(d)
	return &t
}

// full is a Document in which everything has something to tell.
func full() report.Document {
	return report.Document{Agent: "acme-prod", Now: now, Running: true, Unclaimed: 1,
		Held:                &report.Held{Until: now, Reason: rotation.APIThrottled},
		Declaration:         &report.Declaration{LoadedAt: now, Error: "agent.yaml:1:1: no"},
		CredentialExpiresAt: at(time.Hour),
		Credential:          &report.Credential{From: "vault/admin", Since: at(-time.Hour), Error: "it is refused"},
		Counts:              map[rotation.SlotState]int{rotation.SlotCurrent: 1, rotation.SlotDelivering: 1},
		Slots: []rotation.Status{
			{Slot: "a@service/one", State: rotation.SlotCurrent, ExpiresAt: at(48 * time.Hour), NextAt: at(24 * time.Hour),
				Targets: []rotation.TargetStatus{{Backend: "vault", Path: "ci", State: rotation.InStep}},
				Retired: []rotation.RetiredStatus{{State: rotation.Grace}, {State: rotation.Grace}, {State: rotation.Unclaimed}}},
			{Slot: "a@service/two", State: rotation.SlotDelivering, Hooks: []rotation.HookStatus{{Required: true}, {}, {Required: true}},
				Paused:  []rotation.PauseStatus{{Request: 1, Scope: "*"}, {Request: 2, Scope: "*"}, {Request: 3, Scope: "a@service/two"}},
				Targets: []rotation.TargetStatus{{Backend: "local", Path: "x/y.env", State: rotation.Behind}}},
		}}
}

func status(doc report.Document, err error) func(context.Context) (report.Document, error) {
	return func(context.Context) (report.Document, error) { return doc, err }
}

// used is Metrics of which every one has a sample.
func used() *metrics.Metrics {
	m := metrics.New(metrics.Options{Version: "1.2.3", Status: status(full(), nil)})
	for _, e := range []rotation.Event{
		{Act: rotation.ActIssued, Reason: rotation.Age},
		{Act: rotation.ActIssued, Reason: rotation.NeverIssued},
		{Act: rotation.ActIssued, Reason: rotation.Age},
		{Act: rotation.ActDelivered, Target: "vault/ci"},
		{Act: rotation.ActDeliverFailed, Target: "local/x/y.env", Reason: rotation.TargetDenied},
		{Act: rotation.ActRevoked, Reason: rotation.Retired},
		{Act: rotation.ActDeleted, Reason: rotation.Retired},
		{Act: rotation.ActHookDone},
		{Act: rotation.ActHookFailed, Reason: rotation.HookFailed},
		{Act: rotation.ActHookFailed, Reason: rotation.HookGivenUp},
	} {
		m.Event(e)
	}
	m.Call("GET /user-tokens/service", 200, 30*time.Millisecond)
	m.Call("GET /user-tokens/service", 503, time.Second)
	m.Call("PUT /user-tokens/{id}", 0, time.Minute)
	m.Notification("ops.acme.example", "dropped")
	m.Emergency(1400 * time.Millisecond)
	m.Pass(300*time.Millisecond, rotation.AtRest)
	return m
}

func scrape(t *testing.T, m interface{ Handler() http.Handler }) string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("scrape = %d: %s", answer.StatusCode, text)
	}
	return string(text)
}

func wantSamples(t *testing.T, text string, samples ...string) {
	t.Helper()
	for _, sample := range samples {
		if !strings.Contains("\n"+text, "\n"+sample+"\n") {
			name, _, _ := strings.Cut(strings.Fields(sample)[0], "{")
			t.Errorf("no sample %q; there is:\n%s", sample, grep(text, name))
		}
	}
}

func grep(text, name string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func TestWhatTheAgentDoes(t *testing.T) {
	wantSamples(t, scrape(t, used()),
		`handover_events_total{act="issued",reason="age"} 2`,
		`handover_hooks_total{result="done"} 1`,
		`handover_notifications_total{result="dropped",to="ops.acme.example"} 1`,
		`handover_hooks_total{result="failed"} 2`,
		`handover_events_total{act="delivered",reason="none"} 1`,
		`handover_events_total{act="deliver_failed",reason="target_denied"} 1`,
		`handover_rotations_total{reason="age"} 2`,
		`handover_rotations_total{reason="never_issued"} 1`,
		`handover_revocations_total 1`,
		`handover_deletions_total 1`,
		`handover_deliveries_total{backend="vault",result="delivered"} 1`,
		`handover_deliveries_total{backend="local",result="failed"} 1`,
		`handover_api_calls_total{call="GET /user-tokens/service",class="2xx"} 1`,
		`handover_api_calls_total{call="GET /user-tokens/service",class="5xx"} 1`,
		`handover_api_calls_total{call="PUT /user-tokens/{id}",class="none"} 1`,
		`handover_api_call_duration_seconds_bucket{call="GET /user-tokens/service",le="0.1"} 1`,
		`handover_api_call_duration_seconds_count{call="GET /user-tokens/service"} 2`,
		`handover_emergency_revoked_seconds_bucket{le="1"} 0`,
		`handover_emergency_revoked_seconds_bucket{le="2.5"} 1`,
		`handover_emergency_revoked_seconds_sum 1.4`,
		`handover_passes_total{reason="at_rest"} 1`,
		`handover_pass_duration_seconds_sum 0.3`,
	)
}

func TestHowTheSlotsStand(t *testing.T) {
	text := scrape(t, used())
	wantSamples(t, text,
		`handover_status_readable 1`,
		`handover_slots{state="blocked"} 0`,
		`handover_slots{state="new"} 0`,
		`handover_slots{state="issuing"} 0`,
		`handover_slots{state="delivering"} 1`,
		`handover_slots{state="current"} 1`,
		`handover_token_expiry_timestamp_seconds{slot="a@service/one"} 1.7940528e+09`,
		`handover_slot_next_act_timestamp_seconds{slot="a@service/one"} 1.7939664e+09`,
		`handover_target_in_step{backend="vault",path="ci",slot="a@service/one"} 1`,
		`handover_target_in_step{backend="local",path="x/y.env",slot="a@service/two"} 0`,
		`handover_required_hooks_waiting{slot="a@service/two"} 2`,
		`handover_retired_tokens{slot="a@service/one",state="grace"} 2`,
		`handover_retired_tokens{slot="a@service/one",state="unclaimed"} 1`,
		`handover_unclaimed_tokens 1`,
		`handover_slot_paused{scope="*",slot="a@service/two"} 1`,
		`handover_slot_paused{scope="a@service/two",slot="a@service/two"} 1`,
		`handover_held 1`,
		`handover_reload_success 0`,
		`handover_reload_success_timestamp_seconds 1.79388e+09`,
		`handover_credential_expiry_timestamp_seconds 1.7938836e+09`,
		`handover_credential_in_use 0`,
		`handover_credential_since_timestamp_seconds 1.7938764e+09`,
	)
	for _, absent := range []string{`handover_token_expiry_timestamp_seconds{slot="a@service/two"`,
		`handover_slot_next_act_timestamp_seconds{slot="a@service/two"`, `handover_retired_tokens{slot="a@service/two"`,
		`handover_slot_paused{scope="*",slot="a@service/one"`} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is told, and there is none", absent)
		}
	}
}

func TestAnAgentAtRest(t *testing.T) {
	doc := report.Document{Now: now, Declaration: &report.Declaration{LoadedAt: now}, Credential: &report.Credential{From: "vault/admin"}}
	text := scrape(t, metrics.New(metrics.Options{Status: status(doc, nil)}))
	wantSamples(t, text, `handover_held 0`, `handover_reload_success 1`, `handover_unclaimed_tokens 0`, `handover_credential_in_use 1`)
	if strings.Contains(text, "handover_credential_expiry") || strings.Contains(text, "handover_credential_since") {
		t.Error("the end of the credential is told, and isn't known")
	}
}

func TestAnUnreadableJournalLeavesTheRest(t *testing.T) {
	m := metrics.New(metrics.Options{Version: "1.2.3", Status: status(full(), errors.New("disk I/O error"))})
	m.Event(rotation.Event{Act: rotation.ActRevoked})
	text := scrape(t, m)
	wantSamples(t, text, `handover_status_readable 0`, `handover_revocations_total 1`)
	if strings.Contains(text, "handover_slots") {
		t.Error("slots are told of a status that couldn't be read")
	}
}

func TestBuildAndProcess(t *testing.T) {
	text := scrape(t, metrics.New(metrics.Options{Version: "1.2.3"}))
	for _, want := range []string{`version="1.2.3"} 1`, "\ngo_goroutines ", "\nprocess_resident_memory_bytes "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the scrape", want)
		}
	}
	if strings.Contains(text, "handover_status_readable") {
		t.Error("slots are told without a Status")
	}
}

// TestLabelsAreBounded: a mistake elsewhere can't make a series of each error.
func TestLabelsAreBounded(t *testing.T) {
	m := metrics.New(metrics.Options{Version: "\xff"})
	for _, bad := range []string{"connection to 10.0.0.1 refused", "Denied", strings.Repeat("a", 65), "\xff"} {
		m.Event(rotation.Event{Act: rotation.Act(bad), Reason: rotation.Reason(bad)})
		m.Pass(time.Second, rotation.Reason(bad))
	}
	m.Event(rotation.Event{Act: rotation.ActDelivered, Target: "\xff/x"})
	m.Call("GET /\xff", 777, time.Second)
	text := scrape(t, m)
	wantSamples(t, text,
		`handover_events_total{act="other",reason="other"} 4`,
		`handover_passes_total{reason="other"} 4`,
		`handover_deliveries_total{backend="?",result="delivered"} 1`,
		`handover_api_calls_total{call="GET /?",class="none"} 1`)
}

// TestABadLabelCostsItsOwnSampleAlone: a slot's name that isn't UTF-8.
func TestABadLabelCostsItsOwnSampleAlone(t *testing.T) {
	doc := full()
	doc.Slots[1].Slot = "a@service/\xff"
	wantSamples(t, scrape(t, metrics.New(metrics.Options{Status: status(doc, nil)})),
		`handover_target_in_step{backend="vault",path="ci",slot="a@service/one"} 1`)
}

func TestStatusIsAskedOnceAScrape(t *testing.T) {
	asked := 0
	m := metrics.New(metrics.Options{Status: func(ctx context.Context) (report.Document, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the status is asked for without a time limit")
		}
		asked++
		return full(), nil
	}})
	scrape(t, m)
	scrape(t, m)
	if asked != 2 {
		t.Errorf("asked %d times in 2 scrapes", asked)
	}
}

func TestConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, used()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
