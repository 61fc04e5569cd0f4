package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// taker is a Handler that never fails by itself, and notes what it was given.
type taker struct {
	given []rotation.Request
	asked []int64
}

func (h *taker) Submit(_ context.Context, list []rotation.Request) ([]rotation.Request, error) {
	if i := slices.IndexFunc(list, func(r rotation.Request) bool { return r.Slot == "missing/x" }); i >= 0 {
		return nil, fmt.Errorf("%w: slot %q is not declared", ErrNotFound, list[i].Slot)
	}
	h.given = append(h.given, list...)
	return list, nil
}

func (h *taker) Request(_ context.Context, id int64) (rotation.Request, error) {
	h.asked = append(h.asked, id)
	if id > 3 {
		return rotation.Request{}, fmt.Errorf("request %d: %w", id, rotation.ErrNoRecord)
	}
	return rotation.Request{ID: id}, nil
}

func (h *taker) Emergencies(_ context.Context, slots []string) (report.Emergencies, error) {
	if len(slots) == 0 {
		return report.Emergencies{}, errors.New("of no slot")
	}
	return report.Emergencies{}, nil
}

func (h *taker) EndPauses(_ context.Context, scope, actor string) ([]rotation.Request, error) {
	if scope == "" || actor == "" {
		return nil, errors.New("of no scope, or by nobody")
	}
	return nil, nil
}

func (h *taker) Tokens(_ context.Context, account string) (report.Tokens, error) {
	if account == "" {
		return report.Tokens{}, errors.New("of no account")
	}
	return report.Tokens{}, nil
}

func (h *taker) Prune(context.Context, rotation.Pruning) (rotation.Pruned, error) {
	return rotation.Pruned{Done: true}, nil
}

func (h *taker) Status(context.Context) (report.Document, error) { return report.Document{}, nil }

// FuzzCall lets a caller who is allowed to say anything: it is answered in the
// protocol's words, what is wrong is the caller's fault, what is stored is
// whole and the caller's by the kernel's word, and no word of it is logged.
func FuzzCall(f *testing.F) {
	const good = `{"requests": [{"kind": "rotate", "slot": "a/b", "reason": "leaver"}]}`
	for _, body := range []string{good, good + "]", good[:20], "", "null", "[]", "{}", `{"requests": null}`, `{"requests": [null]}`,
		`{"requests": [{"kind": "rotate", "slot": "missing/x"}]}`, `{"requests": [{"kind": "obey", "slot": "a/b"}]}`,
		`{"requests": [{"kind": "resume", "slot": "a/b", "reason": "\u001b[2J"}]}`,
		`{"requests": [{"kind": "emergency", "slot": "a/b", "reason": "leaked", "revoke_first": true, "deadline": 1, "token_id": 9}]}`,
		`{"requests": [{"kind": "emergency", "slot": "a/b"}]}`, `{"requests": [{"kind": "rotate", "slot": "a/b", "token_id": 9}]}`,
		`{"requests": [{"KIND": "adopt", "slot": "a/b", "actor": "root"}]}`, "\xff", strings.Repeat("[", 20_000)} {
		f.Add("POST", "/v1/requests", []byte(body))
	}
	for _, target := range []string{"/v1/status", "/v1/requests/1", "/v1/requests/-1", "/v1/requests/9", "/v1/emergencies", "/v1/emergencies?slot=a/b&slot=%zz", "/v1/requests/%31", "/v1/requests/",
		"//v1/status", "/v1/../v1/status", "/v1/status?a=b", "*", "http://agent/v1/status", "/%00", "/v1/requests/1%2f2"} {
		f.Add("GET", target, []byte{})
	}
	for _, body := range []string{`{"before": "2026-01-02T03:04:05Z", "from": {"at": "x", "id": 7}, "deleted": 9}`, `{"before": "soon"}`, "{}"} {
		f.Add("POST", "/v1/history/prune", []byte(body))
	}
	for _, body := range []string{`{"scope": "*"}`, `{"scope": ""}`, `{"scope": 7}`, "{}"} {
		f.Add("POST", "/v1/pauses/end", []byte(body))
	}
	f.Add("POST", "/v1/requests", []byte(`{"requests": [{"kind": "pause", "slot": "*"}, {"kind": "restore", "slot": "a/b", "token_id": 9}]}`))
	f.Add("GET", "/v1/tokens?account=a@service", []byte{})
	f.Add("GET", "/v1/tokens", []byte{})
	f.Add("CONNECT", "agent:80", []byte{})
	f.Add("DELETE", "/v1/requests/1", []byte(good))
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: agent\r\n\r\n")))
		if err != nil {
			return // net/http answers it
		}
		me := peer{uid: os.Geteuid()}
		r = r.WithContext(context.WithValue(t.Context(), peerKey{}, me))
		r.Body = io.NopCloser(bytes.NewReader(body))
		var log bytes.Buffer
		handler, answer := &taker{}, httptest.NewRecorder()
		s := &Server{handler: handler, log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		s.routes().ServeHTTP(answer, r)
		checkAnswer(t, answer, len(handler.given) > 0)
		for _, given := range handler.given {
			if err := orderOf(given).check(); err != nil || given.Actor != me.name() || given.ID != 0 || !given.At.IsZero() {
				t.Errorf("the agent was given %+v: %v", given, err)
			}
		}
		if i := slices.IndexFunc(handler.asked, func(id int64) bool { return id < 1 }); i >= 0 {
			t.Errorf("the agent was asked for request %d", handler.asked[i])
		}
		checkLog(t, &log, me)
	})
}

func checkAnswer(t *testing.T, answer *httptest.ResponseRecorder, stored bool) {
	t.Helper()
	status := answer.Code
	if !slices.Contains([]int{200, 201, 400, 404}, status) || (status == 201) != stored {
		t.Errorf("answered with %d; stored: %v", status, stored)
	}
	if got := answer.Header().Get("Content-Type"); got != "application/json" || !json.Valid(answer.Body.Bytes()) {
		t.Errorf("a %d of type %q: %q", status, got, answer.Body)
	}
	if status < 400 {
		return
	}
	var no map[string]string
	if err := json.Unmarshal(answer.Body.Bytes(), &no); err != nil || len(no) != 1 || no["error"] == "" || strings.ContainsFunc(no["error"], unprintable) {
		t.Errorf("the %d says %q (%v)", status, answer.Body, err)
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) && r != unicode.ReplacementChar }

// checkLog wants the protocol's own words alone.
func checkLog(t *testing.T, log io.Reader, me peer) {
	t.Helper()
	words := map[string][]any{
		"level":  {"INFO", "WARN"},
		"msg":    {"requests taken", "pauses ended", "history pruned", "control call refused"},
		"call":   {"POST /v1/requests", "GET /v1/requests/{id}", "POST /v1/pauses/end", "GET /v1/emergencies", "GET /v1/tokens", "POST /v1/history/prune", "GET /v1/status", "unknown"},
		"error":  {ErrInvalid.Error(), ErrNotFound.Error()},
		"status": {400., 404.},
		"kind": {string(rotation.RequestRotate), string(rotation.RequestResume), string(rotation.RequestAdopt), string(rotation.RequestEmergency),
			string(rotation.RequestRevoke), string(rotation.RequestRestore), string(rotation.RequestDeactivate), string(rotation.RequestPause)},
		"actor": {me.name()},
	}
	for lines := json.NewDecoder(log); ; {
		var line map[string]any
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range line {
			if _, number := value.(float64); key == "count" && number || key == "time" {
				continue
			}
			if !slices.Contains(words[key], value) {
				t.Errorf("%q: %q is logged", key, value)
			}
		}
	}
}
