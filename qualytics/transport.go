package qualytics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

const (
	maxCAFile      = 1 << 20
	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
)

// transports returns the one for calls that may be repeated and the one for
// calls that mint.
//
// net/http repeats a request by itself when a kept connection turns out to be
// closed, if the request is replayable (GET, PUT with GetBody, …) or if
// nothing of it was written, and on HTTP/2 also after GOAWAY or
// REFUSED_STREAM. A call that mints has a body without GetBody, no
// Idempotency-Key, speaks HTTP/1.1 and gets a connection of its own: on a
// fresh one shouldRetryRequest never repeats, and a keep-alive that ends in
// the wrong moment can't make an unknown outcome.
func (o Options) transports() (repeats, mints http.RoundTripper, err error) {
	if o.Transport != nil {
		return o.Transport, o.Transport, nil
	}
	roots, err := authorities(o.CAFile)
	if err != nil {
		return nil, nil, err
	}
	many := newTransport(roots)
	many.ForceAttemptHTTP2 = true
	once := newTransport(roots)
	once.DisableKeepAlives = true
	once.Protocols = new(http.Protocols)
	once.Protocols.SetHTTP1(true)
	return many, once, nil
}

func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// authorities is the system's pool and what stands in the file; nil, which
// means the system's alone, when no file is named.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("qualytics: read CA file: %w", err)
	}
	defer func() { _ = f.Close() }()
	pem, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, fmt.Errorf("qualytics: read CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("qualytics: CA file %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// stayOnHost follows a redirect of a GET within scheme and host (a router that
// adds a trailing slash makes such), and hands every other one back as the
// answer: the bearer goes nowhere else, and net/http would turn a redirected
// PUT into a GET.
func stayOnHost(next *http.Request, past []*http.Request) error {
	first := past[0]
	if first.Method != http.MethodGet || len(past) > maxRedirects ||
		next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// trace tells whether a request can have left this machine.
type trace struct{ asked, got atomic.Bool }

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	}
}

// unsent reports whether err came before anything was sent: name, connection
// or TLS handshake failed. Once there was a connection it is false, for the
// request is written beside the wait that failed. A transport that doesn't
// honour the trace is believed when it says that it couldn't dial.
func (t *trace) unsent(err error) bool {
	if t.got.Load() {
		return false
	}
	var dial *net.OpError
	var name *net.DNSError
	return t.asked.Load() ||
		errors.As(err, &dial) && dial.Op == "dial" ||
		errors.As(err, &name)
}
