package qualytics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// class says what a call does, and so what a status means.
type class int

const (
	// reads look at one thing.
	reads class = iota
	// lists must be whole.
	lists
	// changes can be repeated: PUT and DELETE.
	changes
	// mints must not be repeated: POST.
	mints
	// proofs use somebody's token.
	proofs
	classes
)

// The kinds, short enough for a table.
var (
	auth      = rotation.ErrUnauthorized
	dead      = rotation.ErrDead
	duplicate = rotation.ErrDuplicate
	missing   = rotation.ErrMissing
	refused   = rotation.ErrRefused
	throttled = rotation.ErrThrottled
	away      = rotation.ErrUnavailable
	unknown   = rotation.ErrUnknownOutcome
	invalid   = rotation.ErrInvalidAnswer
)

// kinds maps a status to a kind, by class; the first row that holds it counts.
// 401, 403, 404, 409 and 5xx are D, 400, 422 and 429 G ("Base"); the rest is
// what HTTP says of it, and nobody's promise.
//
// 403 to a proof is not ErrDead: it may be a live token that may only use
// /scim/v2 (D), and it says nothing of the agent's own credential either. To a
// mint, whatever doesn't clearly say "not done" is an unknown outcome.
var kinds = []struct {
	from, to int
	kind     [classes]error
}{ //            reads      lists      changes    mints      proofs
	{100, 299, [...]error{invalid, invalid, invalid, unknown, invalid}},
	{300, 399, [...]error{invalid, invalid, invalid, unknown, invalid}},
	{400, 400, [...]error{refused, refused, refused, refused, refused}},
	{401, 401, [...]error{auth, auth, auth, auth, dead}},
	{403, 403, [...]error{auth, auth, auth, auth, refused}},
	{404, 404, [...]error{missing, invalid, missing, missing, invalid}},
	{408, 408, [...]error{away, away, away, unknown, away}},
	{409, 409, [...]error{refused, refused, refused, duplicate, refused}},
	{422, 422, [...]error{refused, refused, refused, refused, refused}},
	{425, 425, [...]error{away, away, away, unknown, away}},
	{429, 429, [...]error{throttled, throttled, throttled, throttled, throttled}},
	{402, 417, [...]error{invalid, invalid, invalid, invalid, invalid}},
	{418, 499, [...]error{invalid, invalid, invalid, unknown, invalid}},
	{500, 599, [...]error{away, away, away, unknown, away}},
}

// kindOf is the kind of an answer that is no success.
func kindOf(status int, of class) error {
	for _, row := range kinds {
		if row.from <= status && status <= row.to {
			return row.kind[of]
		}
	}
	if of == mints {
		return unknown
	}
	return invalid
}

// advice says what to do, where a kind by itself doesn't.
func advice(kind error, call *call, header http.Header) string {
	switch {
	case errors.Is(kind, auth):
		return "check that the agent's credential is live and has the role Admin"
	case errors.Is(kind, unknown):
		return "it may have taken place; a list tells"
	case errors.Is(kind, refused) && call.class == proofs:
		return "the token may be live but restricted, or its account deactivated"
	case errors.Is(kind, invalid) && header.Get("Location") != "":
		return "it redirects to " + origin(header.Get("Location")) + "; is the url right?"
	case errors.Is(kind, invalid):
		return "is the url right?"
	}
	return ""
}

// origin is the scheme and host of a Location, scrubbed, and nothing that follows.
func origin(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "another path"
	}
	return shorten(scrub((&url.URL{Scheme: u.Scheme, Host: u.Host}).String()))
}

// refusal is the error of an answer that is no success. It reads the little of
// the body that a detail may stand in.
func (c *Client) refusal(call *call, answer *http.Response, known ...secret.Value) *rotation.APIError {
	fail := call.fail(kindOf(answer.StatusCode, call.class), nil)
	fail.Status = answer.StatusCode
	fail.RetryAfter = retryAfter(answer.Header, c.clock.Now())
	text := advice(fail.Kind, call, answer.Header)
	if detail := readDetail(answer.Body, known...); detail != "" {
		if text != "" {
			text = "; " + text
		}
		text = fmt.Sprintf("the API says %q", detail) + text
	}
	if text != "" {
		fail.Err = errors.New(text)
	}
	return fail
}

// unanswered is the error of a call that got no answer: ctx is the attempt's,
// err what the transport said.
func (c *Client) unanswered(ctx context.Context, call *call, t *trace, err error) *rotation.APIError {
	kind := away
	if call.class == mints && !t.unsent(err) {
		kind = unknown
	}
	var wrapped *url.Error // its text is the call again
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var verify *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &verify):
		err = permanent{fmt.Errorf("%w: is the url right, and does a private authority need a CA file?", err)}
	}
	return call.fail(kind, err)
}

// unread is the error of a success whose body can't be used.
func (c *Client) unread(ctx context.Context, call *call, answer *http.Response, body *bounded, err error) *rotation.APIError {
	kind := invalid
	switch {
	case errors.Is(err, errTooLarge):
		err = fmt.Errorf("%w than %d MiB", err, call.bound()>>20)
	case body.err != nil && ctx.Err() != nil:
		kind, err = away, context.Cause(ctx)
	case body.err != nil:
		kind, err = away, fmt.Errorf("the answer was cut: %w", body.err)
	default:
		err = jsonTrouble(err, answer.Header.Get("Content-Type"))
	}
	if call.class == mints {
		kind = unknown
	}
	fail := call.fail(kind, err)
	fail.Status = answer.StatusCode
	return fail
}

// retryAfter reads the header in both forms that HTTP allows, seconds and a
// date. A date is measured from the answer's own Date, else from now, the
// API's time. 0: none, or not readable. It is never more than an hour,
// whatever the server says.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
