// Package web is what the agent shows over HTTP: its health, its metrics, its
// status as JSON and as a page for people. All of it is for reading; nothing
// can be changed here. No secret is in it, but the names of accounts and places
// are: it belongs on a loopback address or an inner network.
//
//	/livez           200 while the process works, else 503 with one line why
//	/readyz          200 while it can do its job, else 503 with one line why
//	/metrics         for Prometheus
//	/api/v1/status   the report.Document; ?state= and ?q= choose slots
//	/                the page; the same choice
package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// Source is the agent as it is shown. Its methods are called at the same time;
// their errors hold no secret.
type Source interface {
	// Alive returns nil, or why the process should be started anew. It
	// answers at once.
	Alive() error
	// Ready returns nil, or why the agent can't do its job now. It answers
	// at once.
	Ready() error
	// Status tells how the agent stands.
	Status(ctx context.Context) (report.Document, error)
}

// Handler serves the source for GET and HEAD. metrics answers at /metrics; nil:
// there are none.
func Handler(source Source, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", health(source.Alive))
	mux.Handle("GET /readyz", health(source.Ready))
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	mux.Handle("GET /api/v1/status", status(source))
	mux.Handle("GET /{$}", page(source))
	return guarded(mux)
}

// guarded sets what every answer has: browsers are to keep nothing, to guess no
// types, and to load and run nothing but the page's own style.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func health(ask func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := ask(); err != nil {
			http.Error(w, oneLine(err.Error()), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // a caller who left needs no answer
	}
}

// oneLine makes one line of a text: what isn't printable becomes a space.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}

func status(source Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		filter, err := filterOf(r)
		if err != nil {
			answer(w, http.StatusBadRequest, refusal{err.Error()})
			return
		}
		doc, err := source.Status(r.Context())
		if err != nil {
			answer(w, http.StatusServiceUnavailable, refusal{err.Error()})
			return
		}
		doc.Slots = doc.Select(filter)
		answer(w, http.StatusOK, doc)
	}
}

// refusal is the body of an answer of 400 or above.
type refusal struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a caller who left needs no answer
}

// filterOf reads ?state= and ?q=.
func filterOf(r *http.Request) (report.Filter, error) {
	query := r.URL.Query()
	filter := report.Filter{State: rotation.SlotState(query.Get("state")), Text: strings.TrimSpace(query.Get("q"))}
	if filter.State != "" && !slices.Contains(report.States(), filter.State) {
		return report.Filter{}, fmt.Errorf("there is no state %q: choose one of %q", filter.State, report.States())
	}
	return filter, nil
}
