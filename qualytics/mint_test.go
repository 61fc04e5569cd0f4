package qualytics

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

const mintedBody = `{"id": 456, "name": "pipeline.acme.g1", "active": true, "expiration": "2026-11-05T12:34:56Z",
	"bearer_token": "` + mintedToken + `", "user": {"id": 7, "user_id": "pipeline@service", "name": "Pipeline", "user_type": "Service"}}`

func dialError() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// What a mint fails with when there is no answer, or none that can be used.
func TestMintOutcomes(t *testing.T) {
	tests := map[string]struct {
		answer answer
		want   error
	}{
		"connection refused":   {fail(dialError()), rotation.ErrUnavailable},
		"no such host":         {fail(&net.DNSError{Err: "no such host", Name: "acme.test"}), rotation.ErrUnavailable},
		"anything else":        {fail(errors.New("EOF")), rotation.ErrUnknownOutcome},
		"an untraced TLS fail": {fail(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), rotation.ErrUnknownOutcome},
		"a read that fails":    {fail(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), rotation.ErrUnknownOutcome},
		"200, cut":             {sayFrom(200, cut(mintedBody[:100])), rotation.ErrUnknownOutcome},
		"200, half":            {say(200, mintedBody[:100]), rotation.ErrUnknownOutcome},
		"200, empty":           {say(200, ""), rotation.ErrUnknownOutcome},
		"200, a web page":      {say(200, "<html>", "Content-Type: text/html"), rotation.ErrUnknownOutcome},
		"200, no id":           {say(200, `{"bearer_token": "a.b.c"}`), rotation.ErrUnknownOutcome},
		"200, no token":        {say(200, `{"id": 4}`), rotation.ErrUnknownOutcome},
		"200, null token":      {say(200, `{"id": 4, "bearer_token": null}`), rotation.ErrUnknownOutcome},
		"200, two lines":       {say(200, `{"id": 4, "bearer_token": "a\nb"}`), rotation.ErrUnknownOutcome},
		"200, other name":      {say(200, `{"id": 4, "bearer_token": "a.b.c", "name": "x"}`), rotation.ErrUnknownOutcome},
		"200, other user":      {say(200, `{"id": 4, "bearer_token": "a.b.c", "user": {"id": 8}}`), rotation.ErrUnknownOutcome},
		"200, other account":   {say(200, `{"id": 4, "bearer_token": "a.b.c", "user": {"user_id": "x@service"}}`), rotation.ErrUnknownOutcome},
		"200, bad expiry":      {say(200, `{"id": 4, "bearer_token": "a.b.c", "expiration": "soon"}`), rotation.ErrUnknownOutcome},
		"200, more follows":    {say(200, `{"id": 4, "bearer_token": "a.b.c"}{}`), rotation.ErrUnknownOutcome},
		"200, huge":            {sayFrom(200, func() io.Reader { return io.MultiReader(stringsOf(`{"x": "`), endless{}) }), rotation.ErrUnknownOutcome},
		"429":                  {say(429, "", "Retry-After: 3"), rotation.ErrThrottled},
		"409":                  {say(409, ""), rotation.ErrDuplicate},
		"200":                  {say(200, mintedBody), nil},
		"201":                  {say(201, mintedBody), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := scripted(t, test.answer)
			issued, err := c.Issue(t.Context(), order())
			if !errors.Is(err, test.want) {
				t.Errorf("err = %v, want %v", err, test.want)
			}
			if err != nil && (issued.ID != 0 || !issued.Value.IsZero()) {
				t.Error("a failure came with a token")
			}
			if got := len(s.sent()); got != 1 {
				t.Errorf("sent %d times", got)
			}
		})
	}
}

// server counts requests on a real connection.
type server struct {
	*httptest.Server
	posts atomic.Int32
}

func newServer(t *testing.T, handle func(http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.posts.Add(1)
		}
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// drop closes the connection without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// net/http itself repeats nothing that mints: not on a connection that the
// server drops, and not after one that was kept.
func TestMintOnDroppedConnection(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			drop(w)
			return
		}
		_, _ = fmt.Fprint(w, `[]`)
	})
	c := client(t, Options{BaseURL: s.URL})
	for n := range int32(3) {
		if _, err := c.Tokens(t.Context()); err != nil { // leaves a connection to be kept
			t.Fatalf("Tokens: %v", err)
		}
		if _, err := c.Issue(t.Context(), order()); !errors.Is(err, rotation.ErrUnknownOutcome) {
			t.Fatalf("Issue: %v, want unknown outcome", err)
		}
		if got := s.posts.Load(); got != n+1 {
			t.Fatalf("the server saw %d POSTs, want %d", got, n+1)
		}
	}
}

// The request of a mint can't be sent again by anything below the client.
func TestMintRequestIsNotReplayable(t *testing.T) {
	for _, m := range methods() {
		if m.class != mints {
			continue
		}
		c, _ := scripted(t, func(req *http.Request) (*http.Response, error) {
			if req.GetBody != nil || req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != "" {
				t.Errorf("%s: the request is replayable", m.name)
			}
			if req.Body == nil || req.ContentLength <= 0 {
				t.Errorf("%s: the request has no body", m.name)
			}
			return say(500, "")(req)
		})
		if err := m.call(t.Context(), c); !errors.Is(err, rotation.ErrUnknownOutcome) {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// An answer that is cut on the wire, with a length that promises more.
func TestMintAnswerCutOnTheWire(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4000")
		_, _ = fmt.Fprint(w, mintedBody)
	})
	// The token is whole, and the JSON too: what comes is still not what the
	// server meant to send, and nobody knows what is missing.
	c := client(t, Options{BaseURL: s.URL})
	if _, err := c.Issue(t.Context(), order()); !errors.Is(err, rotation.ErrUnknownOutcome) {
		t.Errorf("err = %v, want unknown outcome", err)
	}
	if got := s.posts.Load(); got != 1 {
		t.Errorf("the server saw %d POSTs", got)
	}
}

// Nothing was sent: nobody listens, or the certificate isn't trusted.
func TestMintNeverSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = quiet()
	untrusted.StartTLS()
	defer untrusted.Close()
	for name, url := range map[string]string{"refused": "http://" + address, "untrusted": untrusted.URL} {
		c := client(t, Options{BaseURL: url})
		_, err := c.Issue(t.Context(), order())
		if !errors.Is(err, rotation.ErrUnavailable) {
			t.Errorf("%s: err = %v, want unavailable", name, err)
		}
	}
}

// A server that takes the request and hangs, or is slow to say the rest.
func TestMintHangs(t *testing.T) {
	release := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/users" {
			_, _ = fmt.Fprint(w, `{"id": 7, `)
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	})
	defer close(release)
	c := client(t, Options{BaseURL: s.URL, Timeout: 50 * time.Millisecond})
	for _, m := range methods() {
		if m.class != mints {
			continue
		}
		if err := m.call(t.Context(), c); !errors.Is(err, rotation.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: err = %v, want unknown outcome, and not the caller's deadline", m.name, err)
		}
	}
	if got := s.posts.Load(); got != 2 {
		t.Errorf("the server saw %d POSTs, want 2", got)
	}
}

// A server that answers before it has read, in words that aren't HTTP.
func TestMintAnsweredWithNoise(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = fmt.Fprintf(conn, "%s is your token\r\n\r\n", mintedToken)
			}
			_ = conn.Close()
		}
	}()
	c := client(t, Options{BaseURL: "http://" + listener.Addr().String()})
	_, err = c.Issue(t.Context(), order())
	if !errors.Is(err, rotation.ErrUnknownOutcome) {
		t.Errorf("err = %v, want unknown outcome", err)
	}
	noSecret(t, err.Error())
}

func TestOrderIsCheckedBeforeItIsSent(t *testing.T) {
	long := make([]rune, rotation.MaxTokenName+1)
	for i := range long {
		long[i] = 'ä'
	}
	for name, change := range map[string]func(*rotation.Order){
		"no account": func(o *rotation.Order) { o.UserID = 0 },
		"no label":   func(o *rotation.Order) { o.Label = "" },
		"long label": func(o *rotation.Order) { o.Label = string(long) },
		"days below": func(o *rotation.Order) { o.Days = -1 },
		"days above": func(o *rotation.Order) { o.Days = 366 },
	} {
		c, s := scripted(t, say(201, mintedBody))
		bad := order()
		change(&bad)
		if _, err := c.Issue(t.Context(), bad); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: err = %v, want refused", name, err)
		}
		if got := len(s.sent()); got != 0 {
			t.Errorf("%s: sent %d times", name, got)
		}
	}
	if err := checkOrder(rotation.Order{UserID: 1, Label: string(long[1:]), Days: 365}); err != nil {
		t.Errorf("the largest order: %v", err)
	}
}
