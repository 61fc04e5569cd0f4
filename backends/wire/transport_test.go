package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// serve starts a server over TLS, with a certificate of the authority.
func serve(t *testing.T, a *authority, handler http.HandlerFunc, change ...func(*tls.Config)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.loaded(t)}, MinVersion: tls.VersionTLS12}
	for _, c := range change {
		c(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// opened is a Transport that trusts the authority.
func opened(t *testing.T, o Options) *Transport {
	t.Helper()
	if o.MaxBody == 0 {
		o.MaxBody = 1000
	}
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// get asks once and returns what became of it.
// get asks and returns the answer's status, 0 without one.
func get(t *testing.T, tr *Transport, address string) (int, *Flight, error) {
	t.Helper()
	ctx, f := Track(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.Client().Do(req)
	if err != nil {
		return 0, f, err
	}
	return resp.StatusCode, f, resp.Body.Close()
}

func answer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") }

// The server's certificate is trusted for its authority, and a client's is shown
// to a server that asks, renewed as soon as the files are.
func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	var shown []string
	address := serve(t, a, func(w http.ResponseWriter, r *http.Request) {
		shown = append(shown, r.TLS.PeerCertificates[0].SerialNumber.String())
		w.Header().Set("Connection", "close")
		answer(w, r)
	}, func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.pool() })
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	cert, key := a.pair(t, "client", 11, client)
	tr := opened(t, Options{CAFile: a.file, CertFile: cert, KeyFile: key})
	for _, serial := range []int64{11, 12} {
		a.pair(t, "client", serial, client)
		if _, _, err := get(t, tr, address); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(shown, " ") != "11 12" {
		t.Errorf("the server was shown the certificates %v", shown)
	}
	_, f, err := get(t, opened(t, Options{CAFile: a.file}), address)
	wantText(t, Cause(err, "url"), "cert_file")
	if f.Err() == nil {
		t.Error("the flight tells of no failure")
	}
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
}

// Each reason for distrust has its own remedy.
func TestDistrust(t *testing.T) {
	a := newAuthority(t)
	other := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		file   string
		want   string
	}{
		"another authority": {func(*x509.Certificate) {}, newAuthority(t).file, "ca_file"},
		"another host":      {other, a.file, "check url"},
		"expired":           {old, a.file, "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, a, answer, func(s *tls.Config) { s.Certificates = []tls.Certificate{a.loaded(t, c.change)} })
			_, f, err := get(t, opened(t, Options{CAFile: c.file}), address)
			wantText(t, Cause(err, "url"), "not trusted", c.want)
			if f.Status() != 0 {
				t.Errorf("status %d", f.Status())
			}
		})
	}
	address := serve(t, a, answer, func(s *tls.Config) { s.Certificates = []tls.Certificate{a.loaded(t, other)} })
	if _, _, err := get(t, opened(t, Options{CAFile: a.file, ServerName: "other.example"}), address); err != nil {
		t.Errorf("the declared server's name: %v", err)
	}
}

// ca_file stands instead of the system's certificates, or besides them.
func TestRoots(t *testing.T) {
	system, err := x509.SystemCertPool()
	if err != nil {
		t.Skip(err)
	}
	a := newAuthority(t)
	alone := opened(t, Options{CAFile: a.file}).tls.RootCAs
	besides := opened(t, Options{CAFile: a.file, Besides: true}).tls.RootCAs
	system.AddCert(a.cert)
	if !alone.Equal(a.pool()) || !besides.Equal(system) {
		t.Error("the trusted certificates are others")
	}
}

// What became of a call is known whatever an SDK makes of it.
func TestFlight(t *testing.T) {
	a := newAuthority(t)
	address := serve(t, a, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 1001))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			answer(w, r)
		case "/elsewhere":
			http.Redirect(w, r, "/busy", http.StatusFound)
		}
	})
	tr := opened(t, Options{CAFile: a.file})
	status, f, err := get(t, tr, address+"/busy")
	if err != nil || status != http.StatusTooManyRequests || f.Status() != status || f.RetryAfter() != 7*time.Second || !f.Arrived() || f.Err() != nil {
		t.Errorf("busy: %v %+v", err, f)
	}
	if status, _, err := get(t, tr, address+"/elsewhere"); err != nil || status != http.StatusFound {
		t.Errorf("a redirect: %v", err)
	}
	if _, f, err := get(t, tr, address+"/large"); !errors.Is(err, ErrTooLarge) || !errors.Is(f.Err(), ErrTooLarge) || f.Status() != 0 {
		t.Errorf("too large: %v %+v", err, f)
	}
	_, f, err = get(t, tr, address+"/cut")
	wantText(t, err, "broke off")
	if !f.Arrived() {
		t.Error("a request whose answer is cut has not arrived")
	}
	tr = opened(t, Options{CAFile: a.file, Acts: func(r *http.Request) bool { return r.Header.Get("Authorization") != "" }})
	if _, f, _ := get(t, tr, address+"/busy"); f.Arrived() || f.Status() != 429 {
		t.Errorf("a request that asks for a login: %+v", f)
	}
	tr = opened(t, Options{CAFile: a.file, Asks: func(r *http.Request) bool { return r.URL.Host == "store.example" }})
	if _, f, _ := get(t, tr, address+"/busy"); f.Arrived() || f.Status() != 0 {
		t.Errorf("a login: %+v", f)
	}
}

// A server that nobody finds can't have acted.
func TestNobodyThere(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, f, err := get(t, opened(t, Options{}), "http://"+address)
	wantText(t, Cause(err, "url"), "refused")
	if f.Arrived() || f.Err() == nil {
		t.Errorf("flight %+v", f)
	}
	wantText(t, Cause(&url.Error{Op: "Get", URL: "u", Err: &net.DNSError{Err: "no such host", Name: "store.example"}}, "region"),
		"store.example", "check region")
}

// Proxies that are not there, or refuse, are named as such.
func TestProxy(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refusing.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for proxy, want := range map[string]string{refusing.URL: "answered 403", gone.URL: "HTTPS_PROXY"} {
		tr := opened(t, Options{})
		tr.base.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
		_, f, err := get(t, tr, "https://store.example")
		wantText(t, Cause(err, "url"), "proxy", want)
		if f.Arrived() {
			t.Error("the store was reached past the proxy")
		}
	}
}

// The address that gives managed identities their tokens is this machine's own.
func TestMetadataServiceHasNoProxy(t *testing.T) {
	environment := func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.example:3128") }
	for address, proxied := range map[string]bool{
		"http://169.254.169.254/metadata/identity": false,
		"https://acme.vault.azure.net/secrets/x":   true,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := around(environment)(r); err != nil || (u != nil) != proxied {
			t.Errorf("the proxy of %s is %v: %v", address, u, err)
		}
	}
	if opened(t, Options{}).base.Proxy == nil {
		t.Error("no proxy of the environment is used")
	}
}

// Close ends what is under way, also on a transport of an SDK whose request
// listens to no context, and all to come.
func TestClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	tr := opened(t, Options{})
	theirs := &http.Transport{}
	tr.Prepare(theirs)
	failed := make(chan error, 2)
	for _, client := range []*http.Client{tr.Client(), {Transport: theirs}} {
		go func() {
			req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, server.URL, http.NoBody)
			if err == nil {
				var resp *http.Response
				if resp, err = client.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			}
			failed <- err
		}()
	}
	<-asked
	<-asked
	tr.Close()
	for range 2 {
		if err := <-failed; err == nil {
			t.Error("a request outlives its transport")
		}
	}
	_, _, err := get(t, tr, server.URL)
	if cause := Cause(err, "url"); !errors.Is(cause, ErrClosed) || !errors.Is(cause, context.Canceled) {
		t.Errorf("a request to a closed transport: %v", err)
	}
}

// Close ends a connection that is still being made, and after it none is made.
func TestCloseWhileConnecting(t *testing.T) {
	address := full(t)
	tr := opened(t, Options{})
	connecting, failed := make(chan struct{}), make(chan error, 1)
	ctx := httptrace.WithClientTrace(context.WithoutCancel(t.Context()), &httptrace.ClientTrace{
		ConnectStart: func(string, string) { close(connecting) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		resp, err := tr.Client().Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-connecting
	tr.Close()
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}

// full is an address where connections are taken by nobody and more than wait
// already find no room.
func full(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		conn, err := (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			return listener.Addr().String()
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("this machine makes connections that nobody takes")
	return ""
}

// A context's end is told as such, by kind.
func TestEnds(t *testing.T) {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if err := Cause(&url.Error{Op: "Get", URL: "u", Err: end}, "url"); !errors.Is(err, end) || strings.Contains(err.Error(), "Get") {
			t.Errorf("%v becomes %v", end, err)
		}
	}
	plain := errors.New("plain")
	if Cause(nil, "url") != nil || !errors.Is(Cause(&url.Error{Op: "Get", URL: "u", Err: plain}, "url"), plain) || Network(plain, "url") != nil {
		t.Error("a cause that the network didn't make is changed")
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {header}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if got := RetryAfter(http.Header{"Retry-After": {date}}); got < 58*time.Minute || got > time.Hour {
		t.Errorf("an hour from now is %v", got)
	}
}
