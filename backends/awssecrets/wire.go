package awssecrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// maxBody bounds what is read of one answer, in bytes. The largest describe
// secrets with many versions.
const maxBody = 8 << 20

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// wire carries the requests of one backend. Closing it ends them all.
type wire struct {
	client  *http.Client
	closing context.Context
	end     context.CancelFunc
}

func newWire() *wire {
	closing, end := context.WithCancel(context.Background())
	return &wire{closing: closing, end: end, client: &http.Client{}}
}

// use makes t the transport of all requests to Secrets Manager.
func (w *wire) use(t *http.Transport) {
	w.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect would carry the payload to another host
	}}
}

// dial makes connections that end when the wire is closed, and with them what
// waits for an answer: a login under way listens to no context of its caller.
func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.closing, cancel)()
	conn, err := (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &bound{Conn: conn, free: context.AfterFunc(w.closing, func() { _ = conn.Close() })}, nil
}

// bound is a connection that a closing wire closes.
type bound struct {
	net.Conn
	free func() bool
}

// Close implements net.Conn.
func (c *bound) Close() error {
	c.free()
	return c.Conn.Close()
}

func (w *wire) close() {
	w.end()
	w.client.CloseIdleConnections()
}

// exchange is one request and what became of it, for the SDK hides that from
// its callers when a context ends.
type exchange struct {
	wire *wire
	// reached: a connection stood, so AWS may have acted.
	reached atomic.Bool
	// status and retryAfter are the answer's; 0 is none.
	status     int
	retryAfter time.Duration
	// err is why there is no answer.
	err error
}

// Do implements the SDK's HTTPClient. The answer comes with its whole body
// read, so what breaks off on the way fails here.
func (x *exchange) Do(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.reached.Store(true) },
	})
	resp, err := x.wire.client.Do(req.WithContext(ctx)) //nolint:gosec // G704: where it goes, the declaration says
	if err != nil {
		x.err = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errTooLarge
	}
	if err != nil {
		x.err = fmt.Errorf("the answer broke off: %w", err)
		return nil, x.err
	}
	x.status = resp.StatusCode
	x.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// parseRetryAfter reads the header of that name: seconds, or a date.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

var errClosed = errors.New("the backend is closed")
