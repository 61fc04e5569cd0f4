package qualytics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const (
	maxTries     = 4
	firstBackOff = 500 * time.Millisecond
	maxBackOff   = 10 * time.Second
	// maxWait is the longest Retry-After that is waited for inside a call; a
	// longer one is the caller's to wait, in APIError.RetryAfter.
	maxWait = 30 * time.Second
	// maxRetryAfter is the longest that is believed at all.
	maxRetryAfter = time.Hour
)

// call is one call of the API as its method describes it.
type call struct {
	class  class
	method string
	// route is the path as documented: "/user-tokens/{id}".
	route string
	// path is what is asked; "" is the route.
	path  string
	query url.Values
	// body is sent as JSON; nil: none.
	body any
	// token is the bearer; the zero Value is the agent's own credential.
	token secret.Value
	// open: no bearer at all.
	open bool
	// max bounds the answer, in bytes; 0 is by class.
	max int64
	// answer reads the body of a success. It is called once an attempt, and
	// must start anew each time.
	answer func(io.Reader) error
}

func (c *call) name() string { return c.method + " " + c.route }

func (c *call) where() string {
	if c.path != "" {
		return c.path
	}
	return c.route
}

// own reports whether the call carries the agent's credential.
func (c *call) own() bool { return !c.open && c.token.IsZero() }

func (c *call) fail(kind, err error) *rotation.APIError {
	return &rotation.APIError{Call: c.method + " " + c.where(), Kind: kind, Err: err}
}

// request makes the HTTP request of one attempt. GetBody stays nil, so that
// nothing below can send a body twice.
func (c *call) request(ctx context.Context, base, agent string, bearer secret.Value) (*http.Request, error) {
	target := base + c.where()
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, nil)
	if err != nil {
		return nil, err
	}
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(raw))
		req.ContentLength = int64(len(raw))
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", agent)
	if !bearer.IsZero() {
		req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	return req, nil
}

// do makes a call, and repeats it with exponential back-off and jitter, or
// after the server's Retry-After, where that is allowed and may help.
func (c *Client) do(ctx context.Context, call *call) error {
	outer, cancel := c.within(ctx)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = firstBackOff, 2, maxBackOff
	var last *rotation.APIError
	_, _ = backoff.Retry(outer, func() (struct{}, error) {
		last = c.renewed(outer, call)
		return struct{}{}, verdict(call, last)
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(c.tries),
		backoff.WithMaxElapsedTime(callTimeouts*c.timeout))
	if last != nil {
		return last
	}
	return nil
}

// verdict is nil for a success, else tells backoff.Retry whether and when to
// repeat.
func verdict(call *call, fail *rotation.APIError) error {
	switch {
	case fail == nil:
		return nil
	case call.class == mints, fail.RetryAfter > maxWait, !mayPass(fail):
		return backoff.Permanent(fail)
	case fail.RetryAfter > 0:
		return &backoff.RetryAfterError{Duration: fail.RetryAfter}
	}
	return fail
}

// mayPass reports whether a failure may be gone at the next attempt.
func mayPass(fail *rotation.APIError) bool {
	if errors.Is(fail, errCut) {
		return true
	}
	return (errors.Is(fail, away) || errors.Is(fail, throttled)) && !errors.Is(fail, errPermanent)
}

// renewed makes an attempt with the agent's credential, and a second one when
// that was refused and another is found that works. A call that mints
// isn't repeated even so; its next one has the new credential.
func (c *Client) renewed(ctx context.Context, call *call) *rotation.APIError {
	if !call.own() {
		return c.attempt(ctx, call, call.token)
	}
	bearer, err := c.credential.get(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return call.fail(away, permanent{context.Cause(ctx)})
	case err != nil:
		return call.fail(auth, fmt.Errorf("the agent's credential can't be had: %w", err))
	}
	fail := c.attempt(ctx, call, bearer)
	if fail == nil {
		c.credential.worked(bearer)
	}
	if fail == nil || fail.Status != http.StatusUnauthorized {
		return fail
	}
	fresh, changed, err := c.credential.renew(ctx, bearer, c.try)
	switch {
	case changed && call.class != mints:
		return c.attempt(ctx, call, fresh)
	case err != nil:
		fail.Err = both(fail.Err, fmt.Errorf("looking for another credential: %w", err))
	}
	return fail
}

// attempt sends the call once and reads its answer, within the rate and the
// time limit.
func (c *Client) attempt(outer context.Context, call *call, bearer secret.Value) (fail *rotation.APIError) {
	if err := c.gate.wait(outer, c.urgent); err != nil {
		err = context.Cause(outer)
		if err == nil { // the limiter knows already that it would be too late
			err = errors.New("too many calls wait for the agent's own rate limit")
		}
		return call.fail(away, permanent{err})
	}
	ctx, cancel := context.WithTimeoutCause(outer, c.timeout, fmt.Errorf("no complete answer within %s", c.timeout))
	defer cancel()
	began, status := time.Now(), 0
	defer func() {
		clean(call, fail, bearer)
		took := time.Since(began)
		c.observe(call.name(), status, took)
		c.log.DebugContext(ctx, "qualytics call", "call", call.name(), "status", status, "took", took)
	}()
	var t trace
	req, err := call.request(httptrace.WithClientTrace(ctx, t.hooks()), c.base, c.userAgent, bearer)
	if err != nil {
		return call.fail(invalid, err)
	}
	client := c.repeats
	if call.class == mints {
		client = c.mints
	}
	sent := c.clock.elapsed()
	answer, err := client.Do(req)
	if err != nil {
		return c.unanswered(ctx, call, &t, err)
	}
	defer func() { _ = answer.Body.Close() }()
	status = answer.StatusCode
	if status < 200 || status > 299 {
		return c.refusal(call, answer, bearer)
	}
	c.clock.answered(answer.Header, sent, c.clock.elapsed())
	body := &bounded{from: answer.Body, left: call.bound()}
	if err := call.answer(body); err != nil {
		return c.unread(ctx, call, answer, body, err)
	}
	return nil
}

// clean takes every trace of the bearer out of a failure, and of a call that
// mints also what looks like a token: its answer is the one place where this
// client meets a value that it doesn't know.
func clean(call *call, fail *rotation.APIError, bearer secret.Value) {
	if fail == nil || fail.Err == nil {
		return
	}
	fail.Err = secret.Redact(fail.Err, bearer)
	text := fail.Err.Error()
	scrubbed := withoutPieces(text, bearer.Reveal())
	if call.class == mints {
		scrubbed = secretLike.ReplaceAllString(scrubbed, "<secret>")
	}
	if scrubbed != text { // the chain holds the text, and goes with it
		fail.Err = errors.New(scrubbed)
	}
}
