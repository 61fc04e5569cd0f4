package metrics

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// slots makes the metrics of the slots anew at each scrape, from one Document.
// So none of them can be out of date, and one of a slot that left the
// declaration is gone at once.
type slots struct {
	status func(context.Context) (report.Document, error)
	log    *slog.Logger
}

func newSlots(status func(context.Context) (report.Document, error), log *slog.Logger) *slots {
	return &slots{status: status, log: log}
}

// The descriptions. Times are Unix seconds, in the API's time.
var (
	readable = desc("status_readable", "1 when the status could be read for this scrape, else 0 and no metric of slots.")
	states   = desc("slots", "Declared slots by state.", "state")
	tokenEnd = desc("token_expiry_timestamp_seconds",
		"When the slot's current token expires; absent for never and for none.", "slot")
	nextAct = desc("slot_next_act_timestamp_seconds",
		"When the slot's next planned act is due; absent for none.", "slot")
	inStep    = desc("target_in_step", "1 when the target serves the slot's current token, else 0.", "slot", "backend", "path")
	retired   = desc("retired_tokens", "Tokens of the slot that are on their way out, by state; absent for none.", "slot", "state")
	requires  = desc("required_hooks_waiting", "Required hooks of the slot that hold older tokens until they succeed; absent for none.", "slot")
	paused    = desc("slot_paused", "1 while a pause of that scope holds the slot; absent for none.", "slot", "scope")
	unclaimed = desc("unclaimed_tokens", "Tokens that wait for resume --adopt or for their end.")
	held      = desc("held", "1 while calls to Qualytics wait, else 0.")
	reload    = desc("reload_success", "1 when the last load of the declaration succeeded, else 0.")
	loaded    = desc("reload_success_timestamp_seconds", "When the declaration in force was loaded.")
	ownEnd    = desc("credential_expiry_timestamp_seconds",
		"When the agent's own credential expires; absent when that isn't known.")
	ownInUse = desc("credential_in_use",
		"1 when the agent works with what stands at its credential's place; 0: that is refused, or can't be read, and it goes on with another.")
	ownSince = desc("credential_since_timestamp_seconds",
		"When the agent's own credential came into use; absent before.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *slots) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readable, states, tokenEnd, nextAct, inStep, retired, requires, paused, unclaimed, held, reload, loaded,
		ownEnd, ownInUse, ownSince} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *slots) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	doc, err := s.status(ctx)
	out <- gauge(readable, truth(err == nil))
	if err != nil {
		s.log.Warn("slots not told to Prometheus", "error", err)
		return
	}
	collectAgent(out, doc)
	for _, status := range doc.Slots {
		collectSlot(out, status)
	}
}

func collectAgent(out chan<- prometheus.Metric, doc report.Document) {
	for _, state := range report.States() {
		out <- gauge(states, float64(doc.Counts[state]), string(state))
	}
	out <- gauge(unclaimed, float64(doc.Unclaimed))
	out <- gauge(held, truth(doc.Held != nil))
	if doc.Declaration != nil {
		out <- gauge(reload, truth(doc.Declaration.Error == ""))
		out <- gauge(loaded, seconds(doc.Declaration.LoadedAt))
	}
	if doc.CredentialExpiresAt != nil {
		out <- gauge(ownEnd, seconds(*doc.CredentialExpiresAt))
	}
	if c := doc.Credential; c != nil {
		out <- gauge(ownInUse, truth(c.Error == ""))
		if c.Since != nil {
			out <- gauge(ownSince, seconds(*c.Since))
		}
	}
}

func collectSlot(out chan<- prometheus.Metric, s rotation.Status) {
	if s.ExpiresAt != nil {
		out <- gauge(tokenEnd, seconds(*s.ExpiresAt), s.Slot)
	}
	if s.NextAt != nil {
		out <- gauge(nextAct, seconds(*s.NextAt), s.Slot)
	}
	for _, t := range s.Targets {
		out <- gauge(inStep, truth(t.State == rotation.InStep), s.Slot, t.Backend, t.Path)
	}
	waiting := 0
	for _, h := range s.Hooks {
		if h.Required {
			waiting++
		}
	}
	if waiting > 0 {
		out <- gauge(requires, float64(waiting), s.Slot)
	}
	for _, scope := range scopesOf(s.Paused) {
		out <- gauge(paused, 1, s.Slot, scope)
	}
	counts := make(map[rotation.State]int)
	for _, t := range s.Retired {
		counts[t.State]++
	}
	for state, n := range counts {
		out <- gauge(retired, float64(n), s.Slot, string(state))
	}
}

// scopesOf are the scopes of the pauses, each once.
func scopesOf(pauses []rotation.PauseStatus) []string {
	var scopes []string
	for _, p := range pauses {
		if !slices.Contains(scopes, p.Scope) {
			scopes = append(scopes, p.Scope)
		}
	}
	return scopes
}

// gauge makes one sample. One that Prometheus can't take, such as a label that
// isn't UTF-8, is told as an error of the scrape; the others go on.
func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	sample, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return sample
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
