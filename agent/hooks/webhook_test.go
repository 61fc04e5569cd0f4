package hooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/backends/secret"
)

const sharedSecret = "a-secret-that-the-two-share-alone"

// holding is a file with that text, as a source.
func holding(t *testing.T, text string) secret.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.Source{File: file}
}

func webhook(t *testing.T, o hooks.WebhookOptions) *hooks.Webhook {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = ample
	}
	o.Pause, o.UserAgent = time.Millisecond, "handover/test"
	w, err := hooks.NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// answers is a server that gives these statuses in turn, the last one for ever.
func answers(t *testing.T, asked *atomic.Int32, statuses ...int) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := statuses[min(int(asked.Add(1)), len(statuses))-1]
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server
}

// TestWebhookIsSigned: as a receiver of Standard Webhooks checks it, with either
// kind of secret.
func TestWebhookIsSigned(t *testing.T) {
	key := []byte("twenty-four bytes of key")
	for name, test := range map[string]struct {
		secret string
		key    []byte
	}{"plain": {sharedSecret + "\n", []byte(sharedSecret)}, "coded": {"whsec_" + base64.StdEncoding.EncodeToString(key), key}} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			var body []byte
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, body = r.Header, nil
				body, _ = io.ReadAll(r.Body)
			}))
			defer server.Close()
			w := webhook(t, hooks.WebhookOptions{URL: server.URL, Secret: holding(t, test.secret)})
			if err := w.Send(t.Context(), "a/b/g2", []byte(`{"generation":2}`)); err != nil {
				t.Fatal(err)
			}
			seconds, err := strconv.ParseInt(got.Get("webhook-timestamp"), 10, 64)
			if age := time.Since(time.Unix(seconds, 0)); err != nil || age < -time.Second || age > ample {
				t.Errorf("the timestamp is %q", got.Get("webhook-timestamp"))
			}
			mac := hmac.New(sha256.New, test.key)
			mac.Write([]byte("a/b/g2." + got.Get("webhook-timestamp") + `.{"generation":2}`))
			if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Get("webhook-signature") != want {
				t.Error("the signature is another")
			}
			if got.Get("webhook-id") != "a/b/g2" || string(body) != `{"generation":2}` || got.Get("Content-Type") != "application/json" || got.Get("User-Agent") != "handover/test" {
				t.Errorf("got %v, %s", got, body)
			}
		})
	}
}

// TestWebhookTriesAgain: what may pass is tried again, what won't isn't.
func TestWebhookTriesAgain(t *testing.T) {
	for _, test := range []struct {
		name     string
		statuses []int
		attempts int32
		want     string
	}{
		{"taken", []int{204}, 1, ""},
		{"taken at last", []int{503, 429, 408, 200}, 4, ""},
		{"down", []int{500}, 4, "it answered 500 Internal Server Error"},
		{"refused", []int{403}, 1, "it answered 403 Forbidden"},
		{"elsewhere", []int{302}, 1, "it answered 302 Found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int32
			server := answers(t, &asked, test.statuses...)
			w := webhook(t, hooks.WebhookOptions{URL: server.URL})
			err := w.Send(t.Context(), "id", nil)
			if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != "post to "+strings.TrimPrefix(server.URL, "http://")+": "+test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if n := asked.Load(); n != test.attempts {
				t.Errorf("%d attempts, want %d", n, test.attempts)
			}
		})
	}
}

// TestWebhookWaitsAsItIsTold: not beyond its time limit, though.
func TestWebhookWaitsAsItIsTold(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	err := webhook(t, hooks.WebhookOptions{URL: server.URL}).Send(t.Context(), "id", nil)
	if err == nil || !strings.Contains(err.Error(), "it answered 503 Service Unavailable; retry after 1h0m0s") || asked.Load() != 1 {
		t.Errorf("%d attempts: %v", asked.Load(), err)
	}
}

// TestWebhookThatHangs ends with its time limit, or with its ctx.
func TestWebhookThatHangs(t *testing.T) {
	begun := make(chan struct{}, 4)
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-over
	}))
	defer server.Close()
	defer close(over)
	err := webhook(t, hooks.WebhookOptions{URL: server.URL, Timeout: 100 * time.Millisecond}).Send(t.Context(), "id", nil)
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %v", err)
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	w := webhook(t, hooks.WebhookOptions{URL: server.URL})
	go func() { done <- w.Send(ctx, "id", nil) }()
	<-begun
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestWebhookThatFloods: an answer without end is as good as its status.
func TestWebhookThatFloods(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	if err := webhook(t, hooks.WebhookOptions{URL: server.URL}).Send(t.Context(), "id", nil); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestWebhookTrusts the authority that is named, and no other.
func TestWebhookTrusts(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := webhook(t, hooks.WebhookOptions{URL: server.URL, CAFile: authority}).Send(t.Context(), "id", nil); err != nil {
		t.Errorf("trusted: %v", err)
	}
	if err := webhook(t, hooks.WebhookOptions{URL: server.URL}).Send(t.Context(), "id", nil); err == nil || !strings.Contains(err.Error(), "name its authority in ca_file") {
		t.Errorf("not trusted: %v", err)
	}
	if _, err := hooks.NewWebhook(hooks.WebhookOptions{CAFile: authority + "x"}); err == nil {
		t.Error("a ca_file that isn't there is taken")
	}
}

// TestWebhookURLStaysSecret: one from a source is in no error, whatever fails.
func TestWebhookURLStaysSecret(t *testing.T) {
	const path = "/services/T00000000/B00000000/not-a-real-path-of-a-channel"
	var asked atomic.Int32
	server := answers(t, &asked, 500)
	for name, url := range map[string]string{
		"answers 500":   server.URL + path,
		"nobody there":  "http://127.0.0.1:1" + path,
		"plain http":    "http://192.0.2.1" + path,
		"no URL":        "://" + path,
		"no such host":  "https://no-such-host.invalid" + path,
		"another thing": path,
	} {
		t.Run(name, func(t *testing.T) {
			w := webhook(t, hooks.WebhookOptions{From: holding(t, url), Secret: holding(t, sharedSecret), Timeout: 2 * time.Second})
			err := w.Send(t.Context(), "id", nil)
			if err == nil || !strings.HasPrefix(err.Error(), "post to the URL in file ") {
				t.Fatalf("got %v", err)
			}
			for _, hidden := range []string{"B00000000", "not-a-real-path", sharedSecret} {
				if strings.Contains(err.Error(), hidden) {
					t.Error("the error shows a secret")
				}
			}
		})
	}
	if asked.Load() != 4 {
		t.Errorf("%d attempts", asked.Load())
	}
}

// TestWebhookWithoutItsSecret posts nothing.
func TestWebhookWithoutItsSecret(t *testing.T) {
	var asked atomic.Int32
	server := answers(t, &asked, 200)
	for want, source := range map[string]secret.Source{
		"it is not set":                 {Env: "HANDOVER_TEST_NO_SUCH_VARIABLE"},
		"behind whsec_ it isn't base64": holding(t, "whsec_!"),
	} {
		err := webhook(t, hooks.WebhookOptions{URL: server.URL, Secret: source}).Send(t.Context(), "id", nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if asked.Load() != 0 {
		t.Error("it was posted")
	}
}
