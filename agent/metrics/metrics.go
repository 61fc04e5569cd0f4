// Package metrics tells Prometheus what the agent does and how its slots stand.
// docs/metrics.md describes each metric; a test holds the two together. Labels
// come from the declaration and from constants, so that their number is
// bounded; none holds a secret.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const namespace = "handover"

// Options make Metrics.
type Options struct {
	// Version is the program's, for handover_build_info.
	Version string
	// Status is asked once a scrape; nil: nothing is told of the slots.
	Status func(context.Context) (report.Document, error)
	// Log takes what goes wrong in a scrape; nil is silence.
	Log *slog.Logger
}

// Metrics is a registry of its own with all of the agent's metrics. Its methods
// are safe for concurrent use and don't block.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger

	events     *prometheus.CounterVec
	rotations  *prometheus.CounterVec
	revoked    prometheus.Counter
	deleted    prometheus.Counter
	deliveries *prometheus.CounterVec
	hooks      *prometheus.CounterVec
	notices    *prometheus.CounterVec
	calls      *prometheus.CounterVec
	callTime   *prometheus.HistogramVec
	emergency  prometheus.Histogram
	passes     *prometheus.CounterVec
	passTime   prometheus.Histogram
}

// scrapeTimeout bounds the work of one scrape: Prometheus' own default is 10 s.
const scrapeTimeout = 10 * time.Second

// New makes the registry. It starts nothing.
func New(o Options) *Metrics {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		log:        log,
		events:     counters("events_total", "Committed events of the history.", "act", "reason"),
		rotations:  counters("rotations_total", "Tokens issued, by why they were due; never_issued is a slot's first.", "reason"),
		revoked:    counter("revocations_total", "Tokens that the agent revoked."),
		deleted:    counter("deletions_total", "Tokens that the agent deleted."),
		deliveries: counters("deliveries_total", "Deliveries to a target that ended.", "backend", "result"),
		hooks:      counters("hooks_total", "Hooks of the declaration that ended.", "result"),
		notices:    counters("notifications_total", "Notifications by what became of them.", "to", "result"),
		calls:      counters("api_calls_total", "Attempts to call the Qualytics API.", "call", "class"),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "api_call_duration_seconds",
			Help: "How long attempts to call the Qualytics API took.", Buckets: buckets}, []string{"call"}),
		emergency: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "emergency_revoked_seconds",
			Help: "From the command of an emergency to the death of the last token that leaked.", Buckets: buckets}),
		passes: counters("passes_total", "Passes over a slot, by what they ended with.", "reason"),
		passTime: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "pass_duration_seconds",
			Help: "How long passes over a slot took.", Buckets: buckets}),
	}
	m.registry.MustRegister(build(o.Version), m.events, m.rotations, m.revoked, m.deleted, m.deliveries, m.hooks, m.notices, m.calls, m.callTime,
		m.emergency, m.passes, m.passTime, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.Status != nil {
		m.registry.MustRegister(newSlots(o.Status, log))
	}
	return m
}

// buckets are in seconds: from a journal on a fast disk to a call that is
// tried until its time limit.
var buckets = []float64{0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

// Handler answers a scrape. What can't be told is left out and logged; the
// rest is told.
func (m *Metrics) Handler() http.Handler { return handler(m.registry, m.log) }

func handler(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             scrapeTimeout,
	})
}

// Event counts a committed event. It is made for rotation.Options.OnEvent.
func (m *Metrics) Event(e rotation.Event) {
	m.events.WithLabelValues(word(string(e.Act)), word(string(e.Reason))).Inc()
	backend, _, _ := strings.Cut(valid(e.Target), "/")
	switch e.Act {
	case rotation.ActIssued:
		m.rotations.WithLabelValues(word(string(e.Reason))).Inc()
	case rotation.ActRevoked:
		m.revoked.Inc()
	case rotation.ActDeleted:
		m.deleted.Inc()
	case rotation.ActDelivered:
		m.deliveries.WithLabelValues(backend, "delivered").Inc()
	case rotation.ActDeliverFailed:
		m.deliveries.WithLabelValues(backend, "failed").Inc()
	case rotation.ActHookDone:
		m.hooks.WithLabelValues("done").Inc()
	case rotation.ActHookFailed:
		m.hooks.WithLabelValues("failed").Inc()
	}
}

// Notification counts a notification for a receiver that was "sent", "failed" or
// "dropped". It is made for notify.Options.Count.
func (m *Metrics) Notification(to, result string) {
	m.notices.WithLabelValues(valid(to), result).Inc()
}

// Call counts an attempt to call the API. call is its method and route, status
// the HTTP status, 0 when there was no answer. It is made for
// qualytics.Options.Observe.
func (m *Metrics) Call(call string, status int, took time.Duration) {
	call = valid(call)
	m.calls.WithLabelValues(call, class(status)).Inc()
	m.callTime.WithLabelValues(call).Observe(took.Seconds())
}

// Pass counts a pass over a slot that ended with reason.
func (m *Metrics) Pass(took time.Duration, reason rotation.Reason) {
	m.passes.WithLabelValues(word(string(reason))).Inc()
	m.passTime.Observe(took.Seconds())
}

// Emergency counts an emergency that is over and revoked something: after is
// how long that took from the command on.
func (m *Metrics) Emergency(after time.Duration) { m.emergency.Observe(after.Seconds()) }

// valid is text as a label may be: a client that is given other bytes panics.
func valid(text string) string { return strings.ToValidUTF8(text, "?") }

// class is a status without its last two digits: "2xx"; "none" when there was
// no answer.
func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}

// maxWord bounds a label that is to be a constant, in bytes.
const maxWord = 64

// word lets constants through, such as "target_unreachable". A text of another
// shape would be a mistake that makes a new series each time: it is "other".
func word(text string) string {
	if text == "" {
		return "none"
	}
	if len(text) > maxWord || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "other"
	}
	return text
}
