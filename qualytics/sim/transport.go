package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// ErrConnectionLost is what a request gets in-process where a socket would
// have been closed under it. It unwraps to io.ErrUnexpectedEOF.
var ErrConnectionLost error = connectionLost{}

type connectionLost struct{}

func (connectionLost) Error() string { return "connection lost" }
func (connectionLost) Unwrap() error { return io.ErrUnexpectedEOF }

// Transport serves a client in the same process, whatever host it names. It
// needs no socket and no goroutine: a request runs in its caller's, and one
// that hangs waits on channels alone, so it blocks durably under
// testing/synctest.
type Transport struct{ server *Server }

// Transport returns the way to s without a socket.
func (s *Server) Transport() http.RoundTripper { return &Transport{server: s} }

// RoundTrip runs the request. A context that is done before does nothing, and
// one that ends meanwhile gives its error, whether the request took place or
// not.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	arrived := *r
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	arrived.RemoteAddr = "127.0.0.1:0"
	arrived.RequestURI = r.URL.RequestURI()
	w := &inProcess{header: http.Header{}}
	t.server.ServeHTTP(w, &arrived)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.got.lost {
		return nil, ErrConnectionLost
	}
	return w.got.response(r), nil
}

// response is a as a client sees it.
func (a answer) response(r *http.Request) *http.Response {
	resp := &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		ContentLength: int64(len(a.body)),
		Request:       r,
	}
	var body io.Reader = bytes.NewReader(a.body)
	switch {
	case a.stream != nil:
		body, resp.ContentLength = a.stream, -1
	case a.cut > 0:
		body = io.MultiReader(bytes.NewReader(a.body[:a.cut]), broken{})
	}
	resp.Body = &responseBody{ctx: r.Context(), r: body}
	return resp
}

// broken is the end of a connection that was lost.
type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, ErrConnectionLost }

// responseBody ends with the request's context, or when it is closed.
type responseBody struct {
	ctx    context.Context
	r      io.Reader
	closed bool
}

var errBodyClosed = errors.New("read on a closed response body")

// Read reads on.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, errBodyClosed
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

// Close ends the body.
func (b *responseBody) Close() error {
	b.closed = true
	return nil
}

// inProcess takes the answer, and what the router writes by itself: redirects
// of unclean paths.
type inProcess struct {
	header http.Header
	got    answer
}

func (w *inProcess) take(a answer)       { w.got = a }
func (w *inProcess) Header() http.Header { return w.header }

// WriteHeader keeps the status.
func (w *inProcess) WriteHeader(status int) { w.got.status, w.got.header = status, w.header }

// Write keeps the body.
func (w *inProcess) Write(p []byte) (int, error) {
	w.got.body = append(w.got.body, p...)
	return len(p), nil
}
