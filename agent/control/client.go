package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const (
	dialTimeout = 2 * time.Second
	callTimeout = 90 * time.Second
	// shortestWait bounds how often Wait asks.
	shortestWait = 10 * time.Millisecond
)

// Client asks a running agent. Its methods fail with an error that unwraps to
// ErrNoAgent when nobody answers at the socket, so that the caller can take the
// lease and do the work itself, and with [*Error] when the agent refuses. It is
// safe for concurrent use and keeps no connection open.
type Client struct {
	path string
	http *http.Client
}

// Dial makes a Client for the socket at path. It doesn't connect yet; with an
// empty path there is no agent.
func Dial(path string) *Client {
	dialer := net.Dialer{Timeout: dialTimeout}
	return &Client{path: path, http: &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DisableKeepAlives:  true,
			DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", path)
			},
		},
	}}
}

// Submit hands requests to the agent and returns them with their ids, in the
// same order. The agent sets the actor of each, and when it was asked for.
func (c *Client) Submit(ctx context.Context, list []rotation.Request) ([]rotation.Request, error) {
	body := orders{Requests: make([]order, 0, len(list))}
	for _, r := range list {
		body.Requests = append(body.Requests, orderOf(r))
	}
	var stored requests
	if err := c.call(ctx, http.MethodPost, "/v1/requests", body, &stored); err != nil {
		return nil, err
	}
	if len(stored.Requests) != len(list) {
		return nil, fmt.Errorf("POST /v1/requests at the agent: it took %d of %d requests", len(stored.Requests), len(list))
	}
	return stored.Requests, nil
}

// Request returns a request as it stands now; ErrNotFound when there is none
// of that id.
func (c *Client) Request(ctx context.Context, id int64) (rotation.Request, error) {
	var found rotation.Request
	err := c.call(ctx, http.MethodGet, "/v1/requests/"+strconv.FormatInt(id, 10), nil, &found)
	return found, err
}

// EndPauses ends the pauses of just that scope, and returns those that ended.
// The agent sets the actor.
func (c *Client) EndPauses(ctx context.Context, ofScope, _ string) ([]rotation.Request, error) {
	var ended requests
	err := c.call(ctx, http.MethodPost, "/v1/pauses/end", scope{Scope: ofScope}, &ended)
	return ended.Requests, err
}

// Emergencies tells how the last emergency of each slot stands. Slots that never
// had one, and those that aren't declared, have no entry. Many slots take
// several calls.
func (c *Client) Emergencies(ctx context.Context, slots []string) (report.Emergencies, error) {
	all := report.Emergencies{Emergencies: []rotation.EmergencyReport{}}
	for query := range queries(slots) {
		var some report.Emergencies
		if err := c.call(ctx, http.MethodGet, "/v1/emergencies?"+query, nil, &some); err != nil {
			return report.Emergencies{}, err
		}
		all.Now = some.Now
		all.Emergencies = append(all.Emergencies, some.Emergencies...)
	}
	return all, nil
}

// Tokens lists what Qualytics has of an account now, whoever issued it.
func (c *Client) Tokens(ctx context.Context, account string) (report.Tokens, error) {
	var found report.Tokens
	err := c.call(ctx, http.MethodGet, "/v1/tokens?account="+url.QueryEscape(account), nil, &found)
	return found, err
}

// queries are the slots as queries that a header has room for.
func queries(slots []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		query := ""
		for i, slot := range slots {
			query += "&slot=" + url.QueryEscape(slot)
			if last := i == len(slots)-1; len(query) < maxQuery && !last {
				continue
			}
			if !yield(query[1:]) {
				return
			}
			query = ""
		}
	}
}

// Prune lets the agent do one step of a pruning. Before, From and Deleted count;
// the agent sets the actor. A dry run is no matter of the agent's.
func (c *Client) Prune(ctx context.Context, p rotation.Pruning) (rotation.Pruned, error) {
	var step rotation.Pruned
	if p.DryRun {
		return step, fmt.Errorf("%w: an agent does no dry runs", ErrInvalid)
	}
	err := c.call(ctx, http.MethodPost, "/v1/history/prune", pruning{Before: p.Before, From: p.From, Deleted: p.Deleted}, &step)
	return step, err
}

// Status returns what the agent tells of itself.
func (c *Client) Status(ctx context.Context) (report.Document, error) {
	var doc report.Document
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &doc)
	return doc, err
}

// Wait asks for the requests until all are closed, at once and then at every
// interval, and returns them in the order of ids. When one can't be asked for,
// or ctx ends, it returns those that are known to be closed, and an error.
func (c *Client) Wait(ctx context.Context, ids []int64, every time.Duration) ([]rotation.Request, error) {
	tick := time.NewTicker(max(every, shortestWait))
	defer tick.Stop()
	closed := make([]rotation.Request, 0, len(ids))
	for len(closed) < len(ids) {
		found, err := c.Request(ctx, ids[len(closed)])
		if err != nil {
			return closed, err
		}
		if !found.ClosedAt.IsZero() {
			closed = append(closed, found)
			continue
		}
		select {
		case <-ctx.Done():
			return closed, fmt.Errorf("wait for request %d of slot %s: %w", found.ID, found.Slot, ctx.Err())
		case <-tick.C:
		}
	}
	return closed, nil
}

// call does one call. body nil is none.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	if c.path == "" {
		return fmt.Errorf("%w: no control socket is declared", ErrNoAgent)
	}
	name := method + " " + path
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, content)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return c.unanswered(name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	return read(name, answer, into)
}

// unanswered tells "no agent is there" from all else that can fail.
func (c *Client) unanswered(name string, err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
			return fmt.Errorf("%w: nobody answers at %s", ErrNoAgent, c.path)
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("%w: %s: become the agent's user or root", ErrDenied, c.path)
		}
	}
	return fmt.Errorf("%s at %s: %w", name, c.path, errors.Unwrap(err))
}

// read takes the answer in: strictly what was expected, or a refusal.
func read(name string, answer *http.Response, into any) error {
	body := http.MaxBytesReader(nil, answer.Body, maxAnswer)
	if answer.StatusCode >= http.StatusBadRequest {
		var no refusal
		if err := json.NewDecoder(body).Decode(&no); err != nil || no.Error == "" {
			no.Error = http.StatusText(answer.StatusCode)
		}
		return &Error{Call: name, Status: answer.StatusCode, Message: no.Error}
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("%s at the agent: read the answer: %w", name, err)
	}
	return nil
}
