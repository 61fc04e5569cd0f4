package control_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/rotation"
)

func rotate(slot string) rotation.Request {
	return rotation.Request{Kind: rotation.RequestRotate, Slot: slot, Reason: "leaver"}
}

func TestSubmitAndAskAgain(t *testing.T) {
	client := control.Dial(serve(t, &agent{}).path)
	stored, err := client.Submit(t.Context(), []rotation.Request{rotate("a@service/x"), rotate("b@service/y")})
	if err != nil {
		t.Fatal(err)
	}
	want := []rotation.Request{
		{ID: 1, Kind: rotation.RequestRotate, Slot: "a@service/x", Reason: "leaver", At: began},
		{ID: 2, Kind: rotation.RequestRotate, Slot: "b@service/y", Reason: "leaver", At: began},
	}
	if diff := cmp.Diff(want, stored, cmpopts.IgnoreFields(rotation.Request{}, "Actor")); diff != "" {
		t.Error(diff)
	}
	again, err := client.Request(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored[1], again); diff != "" {
		t.Error(diff)
	}
}

// TestActorIsThePeer: the caller's own claim has no place in the protocol.
func TestActorIsThePeer(t *testing.T) {
	handler := &agent{}
	client := control.Dial(serve(t, handler).path)
	lie := rotate("a@service/x")
	lie.Actor = "the-security-team"
	if _, err := client.Submit(t.Context(), []rotation.Request{lie}); err != nil {
		t.Fatal(err)
	}
	got, want := handler.requests()[0].Actor, "uid "+strconv.Itoa(os.Getuid())
	if got != want && !strings.HasPrefix(got, want+" (") {
		t.Errorf("actor = %q, want %q", got, want)
	}
}

func TestSubmitAnEmergency(t *testing.T) {
	handler := &agent{}
	client := control.Dial(serve(t, handler).path)
	asked := rotation.Request{Kind: rotation.RequestEmergency, Slot: "a@service/x", Reason: "leaked",
		RevokeFirst: true, Deadline: 90 * time.Second, TokenID: 4711}
	if _, err := client.Submit(t.Context(), []rotation.Request{asked}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asked, handler.requests()[0], cmpopts.IgnoreFields(rotation.Request{}, "ID", "At", "Actor")); diff != "" {
		t.Errorf("what the agent was given (-want +got):\n%s", diff)
	}
}

// TestEmergenciesOfMany: their slots fit no header, and so take several calls.
func TestEmergenciesOfMany(t *testing.T) {
	handler := &agent{}
	client := control.Dial(serve(t, handler).path)
	slots := []string{"calm", "an account&slot=b/t+1%"}
	for i := range 300 {
		slots = append(slots, strings.Repeat("ü", 100)+strconv.Itoa(i))
	}
	slots = append(slots, strings.Repeat("ü", 512)) // the longest name, and each byte is three
	found, err := client.Emergencies(t.Context(), slots)
	if err != nil || !found.Now.Equal(began) || len(found.Emergencies) != len(slots)-1 {
		t.Fatalf("%d emergencies at %s, %v; want %d", len(found.Emergencies), found.Now, err, len(slots)-1)
	}
	for i, e := range found.Emergencies {
		if e.Slot != slots[i+1] || !e.Carries(7) || !e.Over {
			t.Errorf("%d: %+v, want that of %s", i, e, slots[i+1])
		}
	}
	if len(handler.looked) < 2 {
		t.Errorf("%d slots in %v calls", len(slots), handler.looked)
	}
	if found, err := client.Emergencies(t.Context(), nil); err != nil || len(found.Emergencies) != 0 {
		t.Errorf("of no slot: %+v, %v", found, err)
	}
}

// TestPruneStepByStep: each step begins where the one before ended, and the
// kernel says who asks.
func TestPruneStepByStep(t *testing.T) {
	handler := &agent{}
	client := control.Dial(serve(t, handler).path)
	p := rotation.Pruning{Before: began, Actor: "the-security-team"}
	for _, want := range []rotation.Pruned{{Deleted: 3, Kept: 1, Mark: rotation.Mark{At: "a", ID: 3}},
		{Deleted: 3, Kept: 1, Mark: rotation.Mark{At: "a", ID: 6}, Done: true}} {
		step, err := client.Prune(t.Context(), p)
		if err != nil || step != want {
			t.Fatalf("%+v, %v; want %+v", step, err, want)
		}
		p.From, p.Deleted = step.Mark, p.Deleted+step.Deleted
	}
	who := "uid " + strconv.Itoa(os.Getuid())
	want := []rotation.Pruning{{Before: began}, {Before: began, From: rotation.Mark{At: "a", ID: 3}, Deleted: 3}}
	if diff := cmp.Diff(want, handler.pruned, cmpopts.IgnoreFields(rotation.Pruning{}, "Actor")); diff != "" {
		t.Errorf("what the agent was asked for (-want +got):\n%s", diff)
	}
	for _, given := range handler.pruned {
		if !strings.HasPrefix(given.Actor, who) {
			t.Errorf("actor %q, want %q", given.Actor, who)
		}
	}
	if _, err := client.Prune(t.Context(), rotation.Pruning{Before: began, DryRun: true}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("a dry run: %v, want ErrInvalid", err)
	}
	if len(handler.pruned) != 2 {
		t.Errorf("the agent was asked %d times, want 2", len(handler.pruned))
	}
}

func TestStatus(t *testing.T) {
	doc, err := control.Dial(serve(t, &agent{}).path).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if doc.Agent != "acme-prod" || !doc.Running || !doc.Now.Equal(began) {
		t.Errorf("document = %+v", doc)
	}
}

// call is one call of a client, of which the error alone is looked at.
type call func(context.Context, *control.Client) error

func request(id int64) call {
	return func(ctx context.Context, c *control.Client) error { _, err := c.Request(ctx, id); return err }
}

func endPauses(scope string) call {
	return func(ctx context.Context, c *control.Client) error { _, err := c.EndPauses(ctx, scope, ""); return err }
}

func tokens(account string) call {
	return func(ctx context.Context, c *control.Client) error { _, err := c.Tokens(ctx, account); return err }
}

func emergencies(slots ...string) call {
	return func(ctx context.Context, c *control.Client) error { _, err := c.Emergencies(ctx, slots); return err }
}

func status() call {
	return func(ctx context.Context, c *control.Client) error { _, err := c.Status(ctx); return err }
}

func TestRefusals(t *testing.T) {
	broken := &agent{fails: errDisk}
	long := rotate("a/b")
	long.Reason = strings.Repeat("x", 1025)
	ansi := rotate("a/b")
	ansi.Reason = "\x1b[2J"
	tests := map[string]struct {
		handler *agent
		call    call
		status  int
		kind    error
		want    string
	}{
		"unknown slot":            {&agent{}, submit(rotate("a/b"), rotate("missing/x")), 404, control.ErrNotFound, `slot "missing/x" is not declared`},
		"unknown request":         {&agent{}, request(9), 404, control.ErrNotFound, "request 9"},
		"no id":                   {&agent{}, request(-1), 400, control.ErrInvalid, "a number from 1"},
		"none":                    {&agent{}, submit(), 400, control.ErrInvalid, "0 requests"},
		"too many":                {&agent{}, submit(make([]rotation.Request, 20_001)...), 400, control.ErrInvalid, "20001 requests"},
		"no slot":                 {&agent{}, submit(rotate("a/b"), rotate("")), 400, control.ErrInvalid, "request 2: it names no slot"},
		"unknown kind":            {&agent{}, submit(rotation.Request{Kind: "obey", Slot: "a/b"}), 400, control.ErrInvalid, `kind "obey"`},
		"long slot":               {&agent{}, submit(rotate(strings.Repeat("x", 1025))), 400, control.ErrInvalid, "at most 1024"},
		"long reason":             {&agent{}, submit(long), 400, control.ErrInvalid, "at most 1024"},
		"reason in ANSI":          {&agent{}, submit(ansi), 400, control.ErrInvalid, "can't be printed"},
		"no reason":               {&agent{}, submit(rotation.Request{Kind: rotation.RequestEmergency, Slot: "a/b", Reason: " "}), 400, control.ErrInvalid, `kind "emergency" needs a reason`},
		"revoke without a reason": {&agent{}, submit(rotation.Request{Kind: rotation.RequestRevoke, Slot: "a/b"}), 400, control.ErrInvalid, `kind "revoke" needs a reason`},
		"a pause of no scope":     {&agent{}, endPauses(""), 400, control.ErrInvalid, "names no scope"},
		"no account":              {&agent{}, tokens(""), 400, control.ErrInvalid, "names no account"},
		"tokens broken":           {broken, tokens("a@service"), 500, nil, errDisk.Error()},
		"pauses broken":           {broken, endPauses("*"), 500, nil, errDisk.Error()},
		"negative token":          {&agent{}, submit(rotation.Request{Kind: rotation.RequestEmergency, Slot: "a/b", Reason: "x", TokenID: -1}), 400, control.ErrInvalid, "can't be below 0"},
		"planned, and in a hurry": {&agent{}, submit(rotation.Request{Kind: rotation.RequestRotate, Slot: "a/b", Deadline: time.Second}), 400,
			control.ErrInvalid, "a request to rotate has no order"},
		"emergencies broken": {broken, emergencies("a/b"), 500, nil, errDisk.Error()},
		"journal broken":     {broken, submit(rotate("a/b")), 500, nil, errDisk.Error()},
		"agent is ending":    {&agent{fails: context.Canceled}, submit(rotate("a/b")), 503, control.ErrUnavailable, "canceled"},
		"status broken":      {broken, status(), 500, nil, errDisk.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.call(t.Context(), control.Dial(serve(t, test.handler).path))
			wantRefusal(t, err, test.status, test.kind, test.want)
			if len(test.handler.requests()) != 0 {
				t.Error("a refused submission stored something")
			}
		})
	}
}

// wantRefusal wants the agent's own answer.
func wantRefusal(t *testing.T, err error, status int, kind error, want string) {
	t.Helper()
	var refused *control.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error = %v, want *control.Error", err)
	}
	if refused.Status != status || !strings.Contains(refused.Message, want) {
		t.Errorf("error = %v, want %d with %q", err, status, want)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("error %v is not %v", err, kind)
	}
	if errors.Is(err, control.ErrNoAgent) {
		t.Error("a refusal looks like no agent")
	}
}

func submit(list ...rotation.Request) func(context.Context, *control.Client) error {
	return func(ctx context.Context, c *control.Client) error {
		_, err := c.Submit(ctx, list)
		return err
	}
}

// Every kind of order goes through, with what it names.
func TestOrdersOfEveryKind(t *testing.T) {
	handler := &agent{}
	client := control.Dial(serve(t, handler).path)
	orders := []rotation.Request{
		{Kind: rotation.RequestPause, Slot: rotation.WholeAgent, Reason: "an audit"}, {Kind: rotation.RequestPause, Slot: "a@service"},
		{Kind: rotation.RequestRevoke, Slot: "a/b", Reason: "leaked", TokenID: 7}, {Kind: rotation.RequestRestore, Slot: "a/b", TokenID: 7},
		{Kind: rotation.RequestDeactivate, Slot: "a/b"}, {Kind: rotation.RequestAdopt, Slot: "a/b"},
	}
	stored, err := client.Submit(t.Context(), orders)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range stored {
		if r.Kind != orders[i].Kind || r.Slot != orders[i].Slot || r.Reason != orders[i].Reason || r.TokenID != orders[i].TokenID || r.ID == 0 {
			t.Errorf("%+v was asked for, %+v is stored", orders[i], r)
		}
	}
	ended, err := client.EndPauses(t.Context(), "a@service", "uid 77")
	if err != nil || len(ended) != 1 || ended[0].ID != stored[1].ID || ended[0].Outcome != "resumed by "+stored[0].Actor {
		t.Errorf("the pauses that ended: %+v, %v; want one, by the caller that the kernel names", ended, err)
	}
	if ended, err := client.EndPauses(t.Context(), "b@service", ""); err != nil || len(ended) != 0 {
		t.Errorf("a scope without a pause: %+v, %v", ended, err)
	}
	found, err := client.Tokens(t.Context(), "a b@service")
	if err != nil || found.Account != "a b@service" || len(found.Tokens) != 1 || found.Tokens[0].ID != 7 {
		t.Errorf("its tokens: %+v, %v", found, err)
	}
}

func TestNoAgent(t *testing.T) {
	stale := socketPath(t)
	leaveStale(t, stale)
	for name, path := range map[string]string{"no socket": socketPath(t), "a stale socket": stale, "none declared": ""} {
		t.Run(name, func(t *testing.T) {
			if _, err := control.Dial(path).Status(t.Context()); !errors.Is(err, control.ErrNoAgent) {
				t.Errorf("error = %v, want ErrNoAgent", err)
			}
		})
	}
}

// TestAnAgentThatHangsUpIsNotNoAgent: it may have stored the request.
func TestAnAgentThatHangsUpIsNotNoAgent(t *testing.T) {
	path := socketPath(t)
	listener, err := net.Listen("unix", path)
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
			_ = conn.Close()
		}
	}()
	_, err = control.Dial(path).Submit(t.Context(), []rotation.Request{rotate("a/b")})
	if err == nil || errors.Is(err, control.ErrNoAgent) {
		t.Errorf("error = %v, want one that isn't ErrNoAgent", err)
	}
}

func TestClientDistrustsTheAnswer(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"not JSON":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "read the answer"},
		"refused in HTML": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "502: Bad Gateway"},
		"lost requests":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"requests": []}`)) }, "it took 0 of 1 requests"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: test.answer, ReadHeaderTimeout: time.Second}
			go func() { _ = server.Serve(listener) }()
			defer func() { _ = server.Close() }()
			_, err = control.Dial(path).Submit(t.Context(), []rotation.Request{rotate("a/b")})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestWaitUntilAllAreClosed(t *testing.T) {
	handler := &agent{asked: make(chan int64)}
	client := control.Dial(serve(t, handler).path)
	if _, err := client.Submit(t.Context(), []rotation.Request{rotate("a/1"), rotate("a/2")}); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		closed []rotation.Request
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		closed, err := client.Wait(t.Context(), []int64{1, 2}, time.Millisecond)
		done <- outcome{closed, err}
	}()
	for range 3 { // open at each of these looks
		if id := <-handler.asked; id != 1 {
			t.Fatalf("asked for %d before 1 was closed", id)
		}
	}
	handler.close(2, "applied")
	handler.close(1, "issued")
	for {
		select {
		case <-handler.asked:
			continue
		case got := <-done:
			if got.err != nil || len(got.closed) != 2 || got.closed[0].Outcome != "issued" || got.closed[1].Outcome != "applied" {
				t.Errorf("Wait = %+v, %v", got.closed, got.err)
			}
			return
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	handler := &agent{asked: make(chan int64)}
	client := control.Dial(serve(t, handler).path)
	if _, err := client.Submit(t.Context(), []rotation.Request{rotate("a/1"), rotate("a/2")}); err != nil {
		t.Fatal(err)
	}
	handler.close(1, "issued")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for id := range handler.asked {
			if id == 2 {
				cancel()
				return
			}
		}
	}()
	closed, err := client.Wait(ctx, []int64{1, 2}, time.Hour)
	if !errors.Is(err, context.Canceled) || len(closed) != 1 {
		t.Errorf("Wait = %v, %v; want the first request and the end of ctx", closed, err)
	}
}

func TestWaitForAnUnknownRequest(t *testing.T) {
	client := control.Dial(serve(t, &agent{}).path)
	if _, err := client.Wait(t.Context(), []int64{7}, time.Hour); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("Wait = %v, want ErrNotFound", err)
	}
}
