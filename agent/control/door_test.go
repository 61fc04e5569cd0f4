package control_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/agent/control"
)

// to is a client of the socket at path, one connection for each call.
func to(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
}

// raw sends what no Client would send, and returns the answer's status and
// error.
func raw(t *testing.T, path, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := to(path).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got := answer.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var no map[string]string
	if err := json.Unmarshal(text, &no); err != nil || len(no) != 1 {
		t.Errorf("the body %q is not {\"error\": …}: %v", text, err)
	}
	return answer.StatusCode, no["error"]
}

func TestTheDoorIsStrict(t *testing.T) {
	const good = `{"requests": [{"kind": "rotate", "slot": "a/b"}]}`
	tests := map[string]struct {
		method, url, body string
		status            int
		want              string
	}{
		"an actor of one's own": {"POST", "/v1/requests", `{"requests": [{"kind": "rotate", "slot": "a/b", "actor": "root"}]}`, 400, `unknown field "actor"`},
		"an id of one's own":    {"POST", "/v1/requests", `{"requests": [{"kind": "rotate", "slot": "a/b", "id": 7}]}`, 400, `unknown field "id"`},
		"an unknown key":        {"POST", "/v1/requests", `{"requests": [], "force": true}`, 400, `unknown field "force"`},
		"two objects":           {"POST", "/v1/requests", good + good, 400, "something follows"},
		"rubbish behind":        {"POST", "/v1/requests", good + "]", 400, "something follows"},
		"a wrong type":          {"POST", "/v1/requests", `{"requests": 7}`, 400, "read the body"},
		"no body":               {"POST", "/v1/requests", "", 400, "read the body"},
		"cut":                   {"POST", "/v1/requests", good[:20], 400, "read the body"},
		"bytes":                 {"POST", "/v1/requests", "\x00\xff", 400, "read the body"},
		"a wide body":           {"POST", "/v1/requests", `{"requests": [` + strings.Repeat(" ", 9<<20), 400, "too large"},
		"no time to prune":      {"POST", "/v1/history/prune", `{}`, 400, "a pruning needs a time"},
		"a dry run":             {"POST", "/v1/history/prune", `{"before": "2026-01-02T03:04:05Z", "dry_run": true}`, 400, `unknown field "dry_run"`},
		"a pruning of before":   {"POST", "/v1/history/prune", `{"before": "2026-01-02T03:04:05Z", "deleted": -1}`, 400, "how many were deleted"},
		"another method":        {"DELETE", "/v1/requests", "", 404, "no DELETE /v1/requests"},
		"another path":          {"GET", "/v2/status", "", 404, "no GET /v2/status"},
		"an id in words":        {"GET", "/v1/requests/first", "", 400, "a number from 1"},
		"an id out of range":    {"GET", "/v1/requests/99999999999999999999", "", 400, "a number from 1"},
	}
	handler := &agent{}
	path := serve(t, handler).path
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, message := raw(t, path, test.method, test.url, test.body)
			if status != test.status || !strings.Contains(message, test.want) {
				t.Errorf("answer = %d %q, want %d with %q", status, message, test.status, test.want)
			}
		})
	}
	if stored := handler.requests(); len(stored) != 0 {
		t.Errorf("what was refused is stored: %v", stored)
	}
}

// endless is a body of a gibibyte, of which nobody knows before how long it is. It
// counts what was taken.
type endless struct {
	left  int
	taken atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, strings.Repeat(" ", min(len(p), e.left)))
	e.left -= n
	e.taken.Add(int64(n))
	return n, nil
}

// A body without end is refused before it is read, and the agent goes on.
func TestABodyOfAGibibyteIsRefused(t *testing.T) {
	path := serve(t, &agent{}).path
	body := &endless{left: 1 << 30}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent/v1/requests", body)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := to(path).Do(request); err == nil { // else it was cut off while it wrote
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("the answer is %s", answer.Status)
		}
		_ = answer.Body.Close()
	}
	if taken := body.taken.Load(); taken > 64<<20 {
		t.Errorf("%d bytes were taken", taken)
	}
	if _, err := control.Dial(path).Status(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// A client that doesn't end its header is cut off, and keeps nobody waiting.
func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	path := serve(t, &agent{}).path
	slow, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := io.WriteString(slow, "POST /v1/requests HTTP/1.1\r\nHost: a"); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Dial(path).Status(t.Context()); err != nil {
		t.Errorf("beside it: %v", err)
	}
	if _, err := io.ReadAll(slow); err != nil { // until the agent hangs up
		t.Errorf("the slow client: %v", err)
	}
}
