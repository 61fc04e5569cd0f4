// Package wire is how the drivers of stores on a network reach them: whom they
// trust, how many calls they make, what became of each request, and that all of
// them end with the backend. It knows no store; what an answer means is the
// driver's to say.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

var (
	// ErrClosed is what becomes of requests once their transport is closed. It
	// unwraps to context.Canceled.
	ErrClosed = fmt.Errorf("the backend is closed: %w", context.Canceled)
	// ErrTooLarge is an answer larger than Options.MaxBody.
	ErrTooLarge = errors.New("the answer is larger than a store's should be")
)

// Transport carries the requests of one backend, those of its logins too. It
// bounds each answer, notes in the context's Flight how far each call came, and
// ends them all when it is closed. It is safe for concurrent use.
type Transport struct {
	options Options
	tls     *tls.Config
	base    *http.Transport
	closing context.Context
	end     context.CancelFunc
}

// New makes a Transport. Proxies come from the environment (HTTPS_PROXY,
// NO_PROXY …); only the files of the options are read. It speaks HTTP/1.1: there
// a connection that has died in silence costs one call, and not all of them.
func New(o Options) (*Transport, error) {
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	t := &Transport{options: o, tls: config, base: &http.Transport{IdleConnTimeout: time.Minute}}
	t.closing, t.end = context.WithCancel(context.Background())
	t.Prepare(t.base)
	return t, nil
}

// Prepare puts a transport that an SDK has made under the same rules, but those
// of RoundTrip.
func (t *Transport) Prepare(base *http.Transport) {
	base.Proxy = around(http.ProxyFromEnvironment)
	base.OnProxyConnectResponse = refusedByProxy
	base.DialContext = t.dial
	base.TLSClientConfig = t.tls.Clone()
	base.TLSHandshakeTimeout = t.options.Timeout
	base.MaxIdleConnsPerHost = max(t.options.MaxInFlight, 1)
	base.ForceAttemptHTTP2 = false
}

// Over makes requests go by base, which was prepared, from now on. It is called
// before the first request.
func (t *Transport) Over(base *http.Transport) { t.base = base }

// Client follows no redirect: it would carry login and payload to another host.
func (t *Transport) Client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// RoundTrip implements http.RoundTripper. The answer comes with its whole body
// read, so what breaks off on the way fails here.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	f := flightOf(req.Context())
	if !holds(t.options.Asks, req) {
		f = &Flight{} // nobody reads it
	}
	resp, body, err := t.exchange(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { f.sent(holds(t.options.Acts, req)) },
	})))
	if err != nil {
		if t.Closed() {
			err = ErrClosed
		}
		f.failed(err)
		return nil, err
	}
	f.answered(resp)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// holds reports what a rule says of a request; no rule holds for all.
func holds(rule func(*http.Request) bool, req *http.Request) bool { return rule == nil || rule(req) }

func (t *Transport) exchange(req *http.Request) (*http.Response, []byte, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, t.options.MaxBody+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer broke off: %w", err)
	case int64(len(body)) > t.options.MaxBody:
		return nil, nil, ErrTooLarge
	}
	return resp, body, nil
}

// Closed reports whether Close was called.
func (t *Transport) Closed() bool { return t.closing.Err() != nil }

// Close ends all requests, running and to come, those of prepared transports
// too.
func (t *Transport) Close() {
	t.end()
	t.base.CloseIdleConnections()
}

// dial makes connections that end when the transport is closed, and with them
// what waits for an answer: a login under way can have lost its caller's
// context in the SDK.
func (t *Transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.closing, cancel)()
	conn, err := (&net.Dialer{Timeout: t.options.Timeout, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &bound{Conn: conn, free: context.AfterFunc(t.closing, func() { _ = conn.Close() })}, nil
}

// bound is a connection that a closing transport closes.
type bound struct {
	net.Conn
	free func() bool
}

// Close implements net.Conn.
func (c *bound) Close() error {
	c.free()
	return c.Conn.Close()
}

// around is a choice of proxies that leaves out the machine's own metadata
// service, which no proxy can reach.
func around(proxies func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		if ip := net.ParseIP(r.URL.Hostname()); ip != nil && ip.IsLinkLocalUnicast() {
			return nil, nil //nolint:nilnil // no proxy, as http.Transport has it
		}
		return proxies(r)
	}
}

// refusedByProxy gives a proxy's refusal a text that says whose it is.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{host: proxy.Host, status: resp.StatusCode}
}
