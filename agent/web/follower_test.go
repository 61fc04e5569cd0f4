package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/handover-agent/handover/agent/web"
)

type follower struct {
	notReady error
	doubts   []string
}

func (f follower) Ready() error     { return f.notReady }
func (f follower) Doubts() []string { return f.doubts }

func askFollower(t *testing.T, f follower, method, url string) *httptest.ResponseRecorder {
	t.Helper()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	status := func() any { return map[string]int{"entries": 2} }
	answer := httptest.NewRecorder()
	web.FollowerHandler(f, status, metrics).ServeHTTP(answer, httptest.NewRequest(method, url, nil))
	return answer
}

func TestFollowerHandler(t *testing.T) {
	away := errors.New("pod/x is waiting\n(store_away)")
	for name, test := range map[string]struct {
		follower  follower
		url, body string
		code      int
	}{
		"alive":     {follower{notReady: away}, "/livez", "ok\n", 200},
		"ready":     {follower{}, "/readyz", "ok\n", 200},
		"doubts":    {follower{doubts: []string{"one\x1b", "two"}}, "/readyz", "ok\none\ntwo\n", 200},
		"not ready": {follower{notReady: away, doubts: []string{"one"}}, "/readyz", "pod/x is waiting (store_away)\n", 503},
		"metrics":   {follower{}, "/metrics", "metrics", 200},
		"page":      {follower{}, "/", "404 page not found\n", 404},
	} {
		t.Run(name, func(t *testing.T) {
			answer := askFollower(t, test.follower, http.MethodGet, test.url)
			if answer.Code != test.code || answer.Body.String() != test.body {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, test.code, test.body)
			}
			if answer.Header().Get("Cache-Control") != "no-store" {
				t.Error("a cache may keep it")
			}
		})
	}
	var status map[string]int
	if err := json.Unmarshal(askFollower(t, follower{}, http.MethodGet, "/api/v1/status").Body.Bytes(), &status); err != nil || status["entries"] != 2 {
		t.Errorf("status %v, %v", status, err)
	}
	for _, url := range []string{"/livez", "/readyz", "/metrics", "/api/v1/status"} {
		if answer := askFollower(t, follower{}, http.MethodPost, url); answer.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s = %d", url, answer.Code)
		}
	}
}
