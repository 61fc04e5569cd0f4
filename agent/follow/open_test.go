package follow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/follow"
	"github.com/handover-agent/handover/backends/all"
)

// declared opens the follower of a text, whose folder is dir.
func declared(t *testing.T, dir, text string) (*follow.Service, error) {
	t.Helper()
	registry, err := all.Registry()
	if err != nil {
		t.Fatal(err)
	}
	document, err := config.ParseDocument("follow.yaml", []byte(text), registry, os.LookupEnv, config.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	return follow.Open(t.Context(), document.Follower, "test", slog.New(slog.DiscardHandler))
}

const files = `
backends:
  store: {type: file, dir: store}
  pod: {type: file, dir: pod}
follow:
  listen: %s
  every: 1s
  url: https://acme.qualytics.io
  entries:
    - account: Pipeline Automation
      from: {backend: store, path: token, format: token}
      to: {backend: pod, path: cli/config.yaml, format: qualytics-cli, sink: directory, mode: 0444}
      on_change: [{exec: [/bin/sh, -c, "exit 7"]}]
`

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestService: from a declaration to a file, with files as the store, and what
// is told of it over HTTP.
func TestService(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	s, err := declared(t, dir, fmt.Sprintf(files, address))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	await := func(what string, holds func() bool) {
		t.Helper()
		for limit := time.Now().Add(time.Minute); !holds(); {
			if time.Now().After(limit) {
				t.Fatalf("no %s", what)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	await("answer that it isn't ready", func() bool {
		code, text := get(t, "http://"+address+"/readyz")
		return code == 503 && strings.Contains(text, "pod/cli/config.yaml is waiting (missing)")
	})
	token := jwtOf(t, accountID, 1)
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "store", "token"), []byte(token.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	await("readiness, with the hook that failed", func() bool {
		code, text := get(t, "http://"+address+"/readyz")
		return code == 200 && strings.Contains(text, "hook: run /bin/sh: exit status 7")
	})
	text, err := os.ReadFile(filepath.Join(dir, "pod/cli/config.yaml"))
	if want := "url: https://acme.qualytics.io/api/\ntoken: " + token.Reveal() + "\nssl_verify: true\n"; err != nil || string(text) != want {
		t.Errorf("the file has %d bytes, want %d, %v", len(text), len(want), err)
	}
	var status follow.Status
	if _, text := get(t, "http://"+address+"/api/v1/status"); json.Unmarshal([]byte(text), &status) != nil || !status.Ready || len(status.Entries) != 1 ||
		status.Entries[0].State != follow.InStep || status.Entries[0].ExpiresAt == nil {
		t.Errorf("status %s", text)
	}
	if _, text := get(t, "http://"+address+"/metrics"); !strings.Contains(text, `handover_follow_in_step{to="pod/cli/config.yaml"} 1`) {
		t.Errorf("metrics lack it:\n%s", text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s, err := declared(t, t.TempDir(), fmt.Sprintf(files, l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "follow.listen in the declaration names the address") {
		t.Errorf("got %v", err)
	}
}

// TestOpenRollsBack: a backend that can't be opened is named.
func TestOpenRollsBack(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(files, "127.0.0.1:0"), "store: {type: file, dir: store}",
		`store: {type: vault, address: "https://127.0.0.1:1", ca_file: none.pem, auth: {method: token, token: {file: t}}}`, 1)
	if _, err := declared(t, t.TempDir(), text); err == nil || !strings.HasPrefix(err.Error(), "open backend store: ") {
		t.Errorf("got %v", err)
	}
}
