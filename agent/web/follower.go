package web

import (
	"io"
	"net/http"
)

// Follower is a follower as it is shown. Its methods answer at once and are
// called at the same time; what they say holds no secret.
type Follower interface {
	// Ready returns nil, or why a consumer has nothing to read yet.
	Ready() error
	// Doubts are what isn't as it should be though it is ready, a line each.
	Doubts() []string
}

// FollowerHandler serves a follower for GET and HEAD:
//
//	/livez           200
//	/readyz          200 once every file holds a good value, with a line for each that isn't in step; else 503 and why
//	/metrics         for Prometheus
//	/api/v1/status   what status returns, as JSON
func FollowerHandler(f Follower, status func() any, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", health(func() error { return nil }))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := f.Ready()
		health(func() error { return err })(w, r)
		if err != nil {
			return
		}
		for _, doubt := range f.Doubts() {
			_, _ = io.WriteString(w, oneLine(doubt)+"\n") // a caller who left needs no answer
		}
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, status())
	})
	return guarded(mux)
}
