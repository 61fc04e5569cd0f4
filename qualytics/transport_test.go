package qualytics

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// secure starts a TLS server and returns it with a CA file that trusts it.
func secure(t *testing.T, maxVersion uint16, handle http.HandlerFunc) (*httptest.Server, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = quiet()
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{MaxVersion: maxVersion, MinVersion: tls.VersionTLS10}
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, file
}

// Reads may speak HTTP/2; a mint speaks HTTP/1.1 on a connection of its own.
func TestCustomAuthority(t *testing.T) {
	var proto, closes atomic.Value
	s, ca := secure(t, tls.VersionTLS13, func(w http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		closes.Store(r.Close)
		if r.Method == http.MethodPost {
			_, _ = fmt.Fprint(w, mintedBody)
			return
		}
		_, _ = fmt.Fprint(w, `[]`)
	})
	c := client(t, Options{BaseURL: s.URL, CAFile: ca})
	if _, err := c.Tokens(t.Context()); err != nil || proto.Load() != "HTTP/2.0" {
		t.Errorf("Tokens: %v over %v", err, proto.Load())
	}
	if _, err := c.Issue(t.Context(), order()); err != nil || proto.Load() != "HTTP/1.1" || closes.Load() != true {
		t.Errorf("Issue: %v over %v, closing: %v", err, proto.Load(), closes.Load())
	}
}

func TestUntrustedAuthority(t *testing.T) {
	s, _ := secure(t, tls.VersionTLS13, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	var attempts atomic.Int32
	c := client(t, Options{BaseURL: s.URL, Observe: observeCount(&attempts)})
	err := c.Revoke(t.Context(), 9)
	if !errors.Is(err, rotation.ErrUnavailable) || !strings.Contains(err.Error(), "CA file") {
		t.Errorf("err = %v", err)
	}
	if attempts.Load() != 1 {
		t.Errorf("%d attempts, want 1: it can't get better", attempts.Load())
	}
}

func TestOldTLSRefused(t *testing.T) {
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true} {
		s, ca := secure(t, version, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, mintedBody) })
		c := client(t, Options{BaseURL: s.URL, CAFile: ca})
		_, err := c.Issue(t.Context(), order())
		if ok != (err == nil) || !ok && !errors.Is(err, rotation.ErrUnavailable) {
			t.Errorf("%s: err = %v, want ok %v", tls.VersionName(version), err, ok)
		}
	}
}

// The bearer goes to no other host, whatever a server says.
func TestRedirects(t *testing.T) {
	var strayed atomic.Int32
	elsewhere := newServer(t, func(http.ResponseWriter, *http.Request) { strayed.Add(1) })
	to := ""
	var followed atomic.Int32
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/there") {
			followed.Add(1)
			if r.Header.Get("Authorization") != "Bearer "+adminToken {
				t.Error("the bearer was lost on its own host")
			}
			_, _ = fmt.Fprint(w, `[]`)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c := client(t, Options{BaseURL: s.URL})
	for name, target := range map[string]string{
		"host": elsewhere.URL + "/there", "scheme": strings.Replace(s.URL, "http:", "https:", 1) + "/there",
		"loop": "/api/user-tokens/service", "nowhere": "",
	} {
		to = target
		for _, m := range methods() {
			err := m.call(t.Context(), c)
			kind := apiError(t, err).Kind
			if m.class == mints && kind != rotation.ErrUnknownOutcome || m.class != mints && kind != rotation.ErrInvalidAnswer {
				t.Errorf("%s: %s: %v", name, m.name, err)
			}
		}
	}
	if strayed.Load() != 0 {
		t.Errorf("%d requests went to another host", strayed.Load())
	}
	to = "/api/there"
	if _, err := c.Tokens(t.Context()); err != nil || followed.Load() != 1 {
		t.Errorf("a GET within the host: %v, followed %d times", err, followed.Load())
	}
	for _, m := range methods() {
		if m.class != changes && m.class != mints {
			continue
		}
		if err := m.call(t.Context(), c); err == nil {
			t.Errorf("%s was redirected and called a success", m.name)
		}
	}
	if followed.Load() != 1 {
		t.Errorf("a change was redirected")
	}
}

func TestHeaders(t *testing.T) {
	bearers := map[string]string{"Prove": "Bearer " + otherToken, "Status": "", "Health": ""}
	for _, m := range methods() {
		bearer, ok := bearers[m.name]
		if !ok {
			bearer = "Bearer " + adminToken
		}
		seen := 0
		s := &script{answers: []answer{func(req *http.Request) (*http.Response, error) {
			seen++
			h := req.Header
			if h.Get("Accept") != "application/json" || h.Get("User-Agent") != "handover/test" {
				t.Errorf("%s: headers without accept or agent", m.name)
			}
			if (h.Get("Content-Type") == "application/json") != (req.Body != nil) {
				t.Errorf("%s: content type %q, body %v", m.name, h.Get("Content-Type"), req.Body != nil)
			}
			if h.Get("Authorization") != bearer {
				t.Errorf("%s: another bearer than it should have", m.name)
			}
			return say(400, "")(req)
		}}}
		c := client(t, Options{Transport: s, UserAgent: "handover/test"})
		if err := m.call(t.Context(), c); err == nil || seen == 0 {
			t.Errorf("%s: %v after %d requests", m.name, err, seen)
		}
	}
}

func observeCount(n *atomic.Int32) func(string, int, time.Duration) {
	return func(string, int, time.Duration) { n.Add(1) }
}
