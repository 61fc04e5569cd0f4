package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

// maxBody bounds what is read of one answer, in bytes. The largest are metadata
// of entries that keep thousands of versions.
const maxBody = 8 << 20

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// transport carries every request of one backend, those of the SDK's renewal
// too. It bounds each answer, tells whether a failed request can have reached
// the server, and ends all requests when it is closed.
type transport struct {
	base    *http.Transport
	closing context.Context
	end     context.CancelFunc
}

func newTransport(o Options) (*transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.TLSServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file %s: it holds no PEM certificate", o.CAFile)
		}
	}
	closing, end := context.WithCancel(context.Background())
	return &transport{
		base: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: o.Timeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     time.Minute,
		},
		closing: closing,
		end:     end,
	}, nil
}

// RoundTrip implements http.RoundTripper. The answer comes with its whole body
// read, so what breaks off on the way fails here.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	reached := reachedIn(req.Context())
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(t.closing, cancel)()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { reached.Store(true) },
	})
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
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// close ends all requests, running and to come.
func (t *transport) close() {
	t.end()
	t.base.CloseIdleConnections()
}

// reachedKey is where a context keeps what track tells.
type reachedKey struct{}

// track lets the transport tell whether a connection stood for a request with
// this context: the SDK drops the transport's error when a context ends.
func track(ctx context.Context) (context.Context, *atomic.Bool) {
	reached := &atomic.Bool{}
	return context.WithValue(ctx, reachedKey{}, reached), reached
}

func reachedIn(ctx context.Context) *atomic.Bool {
	if reached, ok := ctx.Value(reachedKey{}).(*atomic.Bool); ok {
		return reached
	}
	return &atomic.Bool{}
}
