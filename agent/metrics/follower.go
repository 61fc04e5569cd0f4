package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Followed is how one file of a follower stands.
type Followed struct {
	// To is the file, "backend/path".
	To string
	// InStep: it holds what its store was last seen to hold. Delivered: it
	// holds a good value at least.
	InStep, Delivered bool
	// Seen is when the store last answered, Expires the token's end; the zero
	// time is not known.
	Seen, Expires time.Time
}

// FollowerOptions make a Follower.
type FollowerOptions struct {
	// Version is the program's, for handover_build_info.
	Version string
	// Entries is asked once a scrape.
	Entries func() []Followed
	// Log takes what goes wrong in a scrape; nil is silence.
	Log *slog.Logger
}

// Follower is a registry of its own with all metrics of a follower. Its methods
// are safe for concurrent use and don't block.
type Follower struct {
	registry *prometheus.Registry
	log      *slog.Logger
	entries  func() []Followed
	looks    *prometheus.CounterVec
	copies   *prometheus.CounterVec
	hooks    *prometheus.CounterVec
}

// NewFollower makes the registry. It starts nothing.
func NewFollower(o FollowerOptions) *Follower {
	f := &Follower{
		registry: prometheus.NewRegistry(),
		log:      o.Log,
		entries:  o.Entries,
		looks:    counters("follow_looks_total", "Looks at a store, by what they ended with; in_step is the good end.", "result"),
		copies:   counters("follow_copies_total", "Values that were written to a file.", "to"),
		hooks:    counters("follow_hooks_total", "Hooks that have ended.", "to", "result"),
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.registry.MustRegister(build(o.Version), f.looks, f.copies, f.hooks, f, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return f
}

// build is the metric that names the program.
func build(version string) *prometheus.GaugeVec {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help: "Always 1; the labels name the build."}, []string{"version", "go_version"})
	info.WithLabelValues(valid(version), runtime.Version()).Set(1)
	return info
}

// Handler answers a scrape.
func (f *Follower) Handler() http.Handler { return handler(f.registry, f.log) }

// Looked counts a look that ended with a reason.
func (f *Follower) Looked(reason string) { f.looks.WithLabelValues(word(reason)).Inc() }

// Copied counts a value that was written.
func (f *Follower) Copied(to string) { f.copies.WithLabelValues(valid(to)).Inc() }

// Hook counts a hook that ended.
func (f *Follower) Hook(to string, succeeded bool) {
	result := "failed"
	if succeeded {
		result = "done"
	}
	f.hooks.WithLabelValues(valid(to), result).Inc()
}

var (
	followInStep    = desc("follow_in_step", "1 when the file holds what its store was last seen to hold, else 0.", "to")
	followDelivered = desc("follow_delivered", "1 when the file holds a value that a consumer can use, else 0.", "to")
	followSeen      = desc("follow_seen_timestamp_seconds", "When the store last answered; absent before it did.", "to")
	followEnd       = desc("follow_token_expiry_timestamp_seconds", "When the token in the file expires; absent for never, and when that isn't known.", "to")
)

// Describe implements prometheus.Collector.
func (f *Follower) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{followInStep, followDelivered, followSeen, followEnd} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (f *Follower) Collect(out chan<- prometheus.Metric) {
	for _, e := range f.entries() {
		to := valid(e.To)
		out <- gauge(followInStep, truth(e.InStep), to)
		out <- gauge(followDelivered, truth(e.Delivered), to)
		if !e.Seen.IsZero() {
			out <- gauge(followSeen, seconds(e.Seen), to)
		}
		if !e.Expires.IsZero() {
			out <- gauge(followEnd, seconds(e.Expires), to)
		}
	}
}
