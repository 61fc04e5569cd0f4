package agent

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// texts is a server that takes notices and hands their texts out.
func texts(t *testing.T) (*httptest.Server, <-chan string) {
	told := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var read struct{ Text string }
		if err := json.Unmarshal(body, &read); err != nil {
			t.Error(err)
		}
		told <- read.Text
	}))
	t.Cleanup(server.Close)
	return server, told
}

// awaitText waits for a text.
func awaitText(t *testing.T, told <-chan string) string {
	t.Helper()
	select {
	case text := <-told:
		return text
	case <-time.After(time.Minute):
		t.Fatal("nothing is told")
		return ""
	}
}

// TestPeopleAreNotified by a running agent: beside a receiver that hangs and one
// that refuses, Slack is told; a reload brings another receiver in. The URL of
// Slack is a secret, and stays one.
func TestPeopleAreNotified(t *testing.T) {
	slack, told := texts(t)
	over := make(chan struct{})
	asked := make(chan struct{}, 16)
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-over }))
	defer hangs.Close()
	defer close(over)
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	w := newWorld(t, oneStore, oneSlot)
	w.put("slack-url", slack.URL+"/services/T0/B0/not-a-real-path-of-slack")
	w.edit("defaults:\n", "notify:\n  - {url: \""+hangs.URL+"\"}\n  - {url: \""+refuses.URL+"\"}\n  - {url_from: {file: slack-url}, format: slack}\ndefaults:\n")
	first := w.agent()
	if _, err := first.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	w.stores["one"].Overwrite("pipeline", secret.New("a person's"))
	a, stop := serving(t, w)
	if text := awaitText(t, told); !strings.HasPrefix(text, "Handover acme: ") || !strings.Contains(text, "one/pipeline, a target of "+pipelineSlot) {
		t.Errorf("told %q", text)
	}
	<-asked
	for !strings.Contains(w.logged(), "it answered 404 Not Found") && t.Context().Err() == nil {
		felt(t, a)
	}
	again, others := texts(t)
	w.edit("  - {url: \""+hangs.URL+"\"}\n", "  - {url: \""+again.URL+"\"}\n")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := awaitText(t, others); !strings.Contains(text, "one/pipeline, a target of "+pipelineSlot) {
		t.Errorf("the new one is told %q", text)
	}
	if got := sample(t, a, `handover_notifications_total{result="failed",to="`+strings.TrimPrefix(refuses.URL, "http://")+`"}`); got == "0" || got == "" {
		t.Errorf("%q failures are counted", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.logged(), "not-a-real-path") {
		t.Error("the log shows the URL")
	}
}
