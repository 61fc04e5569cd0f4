package azurekeyvault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// maxBody bounds what is read of one answer, in bytes.
const maxBody = 1 << 20

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// flight is what became of the requests of one call. It travels in the
// context, for the SDK drops the transport's error when a context ends.
type flight struct {
	// sent: a request with a login was given a connection to the vault, so
	// the vault may have acted on it.
	sent atomic.Bool
	// status is that of the last whole answer of the vault; 0 is none.
	status atomic.Int64
}

type flightKey struct{}

// transport carries every request of one backend, those of the login too. It
// bounds each answer, notes how far each call came, and ends all requests when
// it is closed.
type transport struct {
	base    *http.Transport
	vault   string // host and port
	closing context.Context
	end     context.CancelFunc
}

func newTransport(o Options) (*transport, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("url can't be read")
	}
	roots, err := trusted(o.CAFile)
	if err != nil {
		return nil, err
	}
	closing, end := context.WithCancel(context.Background())
	return &transport{
		base: &http.Transport{ // HTTP/1.1: an HTTP/2 connection that was just used outlives CloseIdleConnections
			Proxy:               around(http.ProxyFromEnvironment),
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: o.MaxInFlight,
			IdleConnTimeout:     time.Minute,
		},
		vault:   u.Host,
		closing: closing,
		end:     end,
	}, nil
}

// trusted is the system's certificates and those of a file.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file %s: it holds no PEM certificate", file)
	}
	return roots, nil
}

// around is a choice of proxies that leaves out the machine's own metadata
// service, which no proxy can reach.
func around(proxies func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		if ip := net.ParseIP(r.URL.Hostname()); ip != nil && ip.IsLinkLocalUnicast() {
			return nil, nil
		}
		return proxies(r)
	}
}

// client follows no redirect: it would carry the login to another host.
func (t *transport) client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// RoundTrip implements http.RoundTripper. The answer comes with its whole body
// read, so what breaks off on the way fails here.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	f, noted := req.Context().Value(flightKey{}).(*flight)
	noted = noted && strings.EqualFold(req.URL.Host, t.vault)
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(t.closing, cancel)()
	if noted && req.Header.Get("Authorization") != "" {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { f.sent.Store(true) },
		})
	}
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errTooLarge
	}
	if err != nil {
		return nil, err
	}
	if noted {
		f.status.Store(int64(resp.StatusCode))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// close ends all requests, running and to come.
func (t *transport) close() {
	t.end()
	t.base.CloseIdleConnections()
}
