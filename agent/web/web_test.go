package web_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/agent/web"
)

func TestHealth(t *testing.T) {
	sick := agent{notAlive: errors.New("no pass\nfor an hour"), notReady: errors.New("journal: \x1b[2Jdisk full")}
	tests := map[string]struct {
		source agent
		url    string
		code   int
		body   string
	}{
		"alive":     {agent{}, "/livez", 200, "ok\n"},
		"ready":     {agent{}, "/readyz", 200, "ok\n"},
		"not alive": {sick, "/livez", 503, "no pass for an hour\n"},
		"not ready": {sick, "/readyz", 503, "journal:  [2Jdisk full\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := ask(t, test.source, http.MethodGet, test.url)
			if answer.Code != test.code || answer.Body.String() != test.body {
				t.Errorf("answer = %d %q, want %d %q", answer.Code, answer.Body, test.code, test.body)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	for _, url := range []string{"/", "/livez", "/readyz", "/metrics", "/api/v1/status"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			if answer := ask(t, two(), method, url); answer.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s = %d, want 405", method, url, answer.Code)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if answer := ask(t, two(), method, url); answer.Code != http.StatusOK {
				t.Errorf("%s %s = %d, want 200", method, url, answer.Code)
			}
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	for _, url := range []string{"/index.html", "/api", "/api/v2/status", "/livez/x", "/favicon.ico"} {
		if answer := ask(t, two(), http.MethodGet, url); answer.Code != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", url, answer.Code)
		}
	}
}

func TestMetricsAreGivenThrough(t *testing.T) {
	if answer := ask(t, two(), http.MethodGet, "/metrics"); answer.Body.String() != "up 1\n" {
		t.Errorf("/metrics = %q", answer.Body)
	}
	answer := httptest.NewRecorder()
	web.Handler(two(), nil).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusNotFound {
		t.Errorf("/metrics without metrics = %d, want 404", answer.Code)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	want := map[string]string{
		"Cache-Control":                "no-store",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	for _, url := range []string{"/", "/livez", "/metrics", "/api/v1/status", "/nowhere", "/?state=frozen"} {
		header := ask(t, two(), http.MethodGet, url).Header()
		for key, value := range want {
			if got := header.Get(key); got != value {
				t.Errorf("%s: %s = %q, want %q", url, key, got, value)
			}
		}
		if got := header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; ") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: Content-Security-Policy = %q", url, got)
		}
	}
}

func TestStatusJSON(t *testing.T) {
	tests := map[string]struct {
		url  string
		want []string
	}{
		"all":       {"/api/v1/status", []string{"pipeline_automation@service/pipeline-production", "bi@service/dashboards"}},
		"by state":  {"/api/v1/status?state=blocked", []string{"bi@service/dashboards"}},
		"by name":   {"/api/v1/status?q=PIPELINE-prod", []string{"pipeline_automation@service/pipeline-production"}},
		"by target": {"/api/v1/status?q=local/dbt", []string{"pipeline_automation@service/pipeline-production"}},
		"none":      {"/api/v1/status?state=new", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := ask(t, two(), http.MethodGet, test.url)
			if got := answer.Header().Get("Content-Type"); answer.Code != 200 || got != "application/json" {
				t.Fatalf("answer = %d %s", answer.Code, got)
			}
			var doc report.Document
			if err := json.Unmarshal(answer.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range doc.Slots {
				got = append(got, s.Slot)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(two().doc.Counts, doc.Counts); diff != "" {
				t.Error("the counts are of all slots: " + diff)
			}
			if doc.Slots == nil {
				t.Error(`"slots" is null, want a list`)
			}
		})
	}
}

func TestAStatusThatCantBeTold(t *testing.T) {
	broken := agent{fail: errors.New("read the journal: disk\nI/O error")}
	answer := ask(t, broken, http.MethodGet, "/api/v1/status")
	var body map[string]string
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || answer.Code != 503 || body["error"] != broken.fail.Error() {
		t.Errorf("JSON = %d %q, %v", answer.Code, answer.Body, err)
	}
	answer = ask(t, broken, http.MethodGet, "/")
	if want := "the status can't be told: read the journal: disk I/O error\n"; answer.Code != 503 || answer.Body.String() != want {
		t.Errorf("page = %d %q, want 503 %q", answer.Code, answer.Body, want)
	}
}

func TestAnUnknownStateIsRefused(t *testing.T) {
	for _, url := range []string{"/?state=frozen", "/api/v1/status?state=frozen"} {
		answer := ask(t, two(), http.MethodGet, url)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "delivering") {
			t.Errorf("%s = %d %q, want 400 and the states", url, answer.Code, answer.Body)
		}
	}
}
