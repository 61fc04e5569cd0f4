package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// answer is what a request gets. Handlers and faults make answers; ServeHTTP
// and Transport turn them into bytes.
type answer struct {
	status int
	header http.Header // may be nil
	body   []byte
	// cut: the connection is lost after this much of body, though all of it
	// was announced. 0 is no cut.
	cut int
	// stream replaces body: it is sent until it ends or nobody listens.
	stream io.Reader
	// lost: the connection ends without an answer.
	lost bool
}

// taker is a ResponseWriter that takes an answer as it is.
type taker interface{ take(answer) }

// ok answers v as JSON with 200.
func ok(v any) (answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, fmt.Errorf("encode answer: %w", err)
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// refusal is an error that the API answers with a status and a detail.
type refusal struct {
	status int
	// detail is a string, or the []problem of a 422.
	detail any
}

// Error says it in one line, for a person's act.
func (r *refusal) Error() string { return fmt.Sprintf("%d: %v", r.status, r.detail) }

// refuse makes a refusal with a text.
func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, detail: fmt.Sprintf(format, args...)}
}

// isStatus reports whether err is a refusal with that status.
func isStatus(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// failed is the answer to an error: a refusal's own, else 500 without the
// cause.
func failed(err error) answer {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{status: http.StatusInternalServerError, detail: "Internal Server Error"}
	}
	a, encodeErr := ok(map[string]any{"detail": r.detail})
	if encodeErr != nil {
		a.body = []byte(`{"detail":"Internal Server Error"}`)
	}
	a.status = r.status
	if r.status == http.StatusUnauthorized {
		a.header = http.Header{"Www-Authenticate": {"Bearer"}}
	}
	return a
}

// write sends a. The Date is the server's, not the machine's: a client takes
// its time from it.
func (s *Server) write(w http.ResponseWriter, a answer) {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("Date", s.now().Format(http.TimeFormat))
	if a.stream == nil && a.status != http.StatusNoContent {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if a.header.Get("Content-Type") == "" && (len(a.body) > 0 || a.stream != nil) {
		a.header.Set("Content-Type", "application/json")
	}
	if t, ok := w.(taker); ok {
		t.take(a)
		return
	}
	if a.lost {
		lose(w)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	s.writeBody(w, a)
}

// writeBody sends the body. Errors aren't reported: they mean that the client
// is gone.
func (s *Server) writeBody(w http.ResponseWriter, a answer) {
	switch {
	case a.stream != nil:
		_, _ = io.Copy(w, a.stream)
	case a.cut > 0:
		_, _ = w.Write(a.body[:a.cut])
		_ = http.NewResponseController(w).Flush()
		lose(w)
	default:
		_, _ = w.Write(a.body)
	}
}

// lose closes the connection under the request. Where that can't be had
// (HTTP/2), the client gets a 502 instead.
func lose(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
