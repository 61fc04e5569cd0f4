package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReachable(t *testing.T) {
	for host, want := range map[string]string{"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "127.0.0.1": "127.0.0.1",
		"192.0.2.7": "192.0.2.7", "localhost": "localhost", "::1": "::1"} {
		if got := reachable(host); got != want {
			t.Errorf("%q is asked at %q, want %q", host, got, want)
		}
	}
}

func TestHealthcheckURL(t *testing.T) {
	for _, bad := range []string{"127.0.0.1:9632", "localhost", "ftp://h", "http://", "http://h/x", "http://h?x", "http://u@h", "http://h:1:2"} {
		if code, _, errs := call(t, "healthcheck", "--url", bad); code != exitUsage || !strings.Contains(errs, "http://HOST:PORT") {
			t.Errorf("%q: code %d, %q", bad, code, errs)
		}
	}
}

func TestHealthcheckAsks(t *testing.T) {
	tests := map[string]struct {
		args   []string
		answer http.HandlerFunc
		code   int
		says   string
	}{
		"ready":     {nil, func(w http.ResponseWriter, r *http.Request) { statusAt(w, r, "/readyz", 200, "ok") }, 0, ""},
		"live":      {[]string{"--live"}, func(w http.ResponseWriter, r *http.Request) { statusAt(w, r, "/livez", 200, "ok") }, 0, ""},
		"not ready": {nil, func(w http.ResponseWriter, r *http.Request) { statusAt(w, r, "/readyz", 503, "starting\n\x1b[31m") }, 1, "/readyz: 503: starting  [31m\n"},
		"long answer": {nil, func(w http.ResponseWriter, r *http.Request) {
			statusAt(w, r, "/readyz", 500, strings.Repeat("x", 1<<20))
		}, 1,
			": 500: " + strings.Repeat("x", maxSaid) + "\n"},
		"redirected": {nil, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 1, ": 302: "},
		"late": {[]string{"--timeout", "50ms"}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 1,
			"context deadline exceeded"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			code, out, errs := call(t, append([]string{"healthcheck", "--url", server.URL + "/"}, test.args...)...)
			if code != test.code || !strings.Contains(errs, test.says) || (out == "ok\n") != (code == 0) {
				t.Errorf("code %d, stdout %q, stderr %q", code, out, errs)
			}
		})
	}
}

func statusAt(w http.ResponseWriter, r *http.Request, path string, status int, body string) {
	if r.URL.Path != path {
		status = http.StatusTeapot
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
