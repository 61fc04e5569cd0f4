package wiretest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Request is a request of a driver that has arrived whole.
type Request struct {
	*http.Request
	// Content is its body.
	Content []byte
}

// exchange is one that the relay has carried out, and not answered yet.
type exchange struct {
	// number counts from 1.
	number int
	// commits: it is the first that does.
	commits bool
	// size is the answer's, in bytes.
	size int64
}

// relay passes requests on to the store, each whole or not at all, also for a
// caller who has gone.
type relay struct {
	url, caFile string

	harness Harness
	store   *url.URL
	client  *http.Client

	mu      sync.Mutex
	watched bool
	number  int
	before  int   // the requests before the commit
	request int64 // the commit's size; 0 until it comes
	done    func(exchange)
	landed  chan struct{} // closed when the commit is carried out
}

// newRelay starts a relay that ends with the test.
func (h Harness) newRelay(t *testing.T) *relay {
	t.Helper()
	at, err := url.Parse(h.Store)
	if err != nil {
		t.Fatal(err)
	}
	to := &http.Transport{DisableCompression: true}
	r := &relay{harness: h, store: at, client: &http.Client{Transport: to}, landed: make(chan struct{})}
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // it would tell of each fault
	if at.Scheme == "https" {
		roots := x509.NewCertPool()
		authority, err := os.ReadFile(h.CAFile)
		if err != nil || !roots.AppendCertsFromPEM(authority) {
			t.Fatalf("the store's authority: %v", err)
		}
		to.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		server.StartTLS()
		own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		r.caFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(r.caFile, append(append(authority, '\n'), own...), 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		to.CloseIdleConnections()
	})
	r.url = server.URL
	return r
}

// watch counts requests from now on, and has done, which may be nil, called
// before each of them is answered.
func (r *relay) watch(done func(exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watched, r.number, r.before, r.request, r.done = true, 0, 0, 0, done
}

// committed is what is known of the request that commits.
func (r *relay) committed() (before int, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.before, r.request
}

// ServeHTTP implements http.Handler.
func (r *relay) ServeHTTP(w http.ResponseWriter, asked *http.Request) {
	content, err := io.ReadAll(asked.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // it was cut on its way
	}
	x, done := r.note(Request{asked, content})
	answer, text, err := r.ask(asked, content) //nolint:bodyclose // ask has read and closed it
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if x.commits {
		close(r.landed)
	}
	if head, err := httputil.DumpResponse(answer, false); err == nil {
		x.size = int64(len(head) + len(text))
	}
	if done != nil {
		done(x)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(text)
}

// note counts a request.
func (r *relay) note(asked Request) (exchange, func(exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.watched || r.harness.Aside != nil && r.harness.Aside(asked) {
		return exchange{}, nil
	}
	r.number++
	x := exchange{number: r.number, commits: r.request == 0 && r.harness.Commits(asked)}
	if x.commits {
		head, err := httputil.DumpRequest(asked.Request, false)
		if err == nil {
			r.before, r.request = r.number-1, int64(len(head)+len(asked.Content))
		}
	}
	return x, r.done
}

// ask asks the store.
func (r *relay) ask(asked *http.Request, content []byte) (*http.Response, []byte, error) {
	out := asked.Clone(context.WithoutCancel(asked.Context()))
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = r.store.Scheme, r.store.Host, r.store.Host, ""
	out.Body = io.NopCloser(bytes.NewReader(content))
	answer, err := r.client.Transport.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	text, err := io.ReadAll(answer.Body)
	return answer, text, err
}
