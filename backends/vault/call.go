package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

var (
	errNotVault = errors.New("the answer is not Vault's: check address, and what stands between")
	errNotKV    = errors.New("the answer is not a KV engine's: check mount and kv_version")
)

// request is one exchange with Vault.
type request struct {
	method string // GET, PUT or PATCH
	path   string // after /v1/
	query  url.Values
	body   map[string]any
	// changes: a failure may leave the change made all the same. False for
	// questions that Vault wants as a PUT.
	changes bool
}

// String is the request in errors.
func (req request) String() string { return req.method + " " + req.path }

// reply is an answer of Vault.
type reply struct {
	status     int
	retryAfter time.Duration
	now        time.Time // the server's
	// parsed: the body was JSON of Vault's form.
	parsed   bool
	errors   []string
	warnings []string
	data     json.RawMessage
}

// operation names what a method of the backend was asked to do, for errors.
type operation struct {
	name string
	ref  backends.Ref
}

// fail makes the error of an operation. A verdict gives its kind and waiting
// time.
func (op operation) fail(err error) error {
	e := &backends.Error{Op: op.name, Ref: op.ref, Kind: backends.ErrUnavailable, Err: err}
	var v verdict
	if errors.As(err, &v) {
		e.Kind, e.RetryAfter = v.kind, v.wait
	}
	return e
}

// end is fail for what may have succeeded.
func (op operation) end(err error) error {
	if err == nil {
		return nil
	}
	return op.fail(err)
}

// call does one exchange, logging in first where that is needed. The reply has
// a status of success, or 404 beside a NotFound verdict, for Vault describes a
// deleted entry in it. All errors are verdicts.
//
// A 403 from a token that Vault doesn't know any more leads to one new login
// and one repetition; a refused request has changed nothing.
func (b *backend) call(ctx context.Context, req request) (reply, error) {
	ses, err := b.session(ctx, nil)
	if err != nil {
		return reply{}, err
	}
	r, err := b.exchange(ctx, ses, req)
	if r.status != http.StatusForbidden || b.sessions.alive(ctx, ses) {
		return r, err
	}
	next, loginErr := b.session(ctx, ses)
	if loginErr != nil {
		return reply{}, loginErr
	}
	if next.token.Equal(ses.token) {
		return r, verdict{kind: backends.ErrDenied, err: fmt.Errorf(
			"vault answered %d to %s: the token from %s has ended, or its policies allow neither this nor looking itself up: put a new token there",
			r.status, req, b.options.Auth.Token)}
	}
	r, err = b.exchange(ctx, next, req)
	if r.status == http.StatusForbidden {
		next.denied.Store(time.Now().Unix())
	}
	return r, err
}

// session is the current login, or a new one in place of spent.
func (b *backend) session(ctx context.Context, spent *session) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	ses, err := b.sessions.other(ctx, spent)
	var v verdict
	if err != nil && !errors.As(err, &v) {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	return ses, err
}

// exchange sends one request and reads the answer, within the declared time and
// when its turn has come.
func (b *backend) exchange(ctx context.Context, ses *session, req request) (reply, error) {
	leave, err := b.limit.Enter(ctx)
	if err != nil {
		return reply{}, verdict{kind: backends.ErrUnavailable, err: err}
	}
	defer leave()
	ctx, flight := wire.Track(ctx)
	r, err := b.sessions.ask(ctx, ses.token, req)
	if err != nil {
		return reply{}, req.lost(briefly(err, ses.token), flight.Arrived())
	}
	v := req.judge(r)
	switch {
	case v.kind != nil:
		return r, v
	case r.status != http.StatusNoContent && !r.parsed:
		return reply{}, req.lost(errNotVault, true)
	}
	return r, nil
}

// send leaves the waiting, the judging and most of the retrying to its callers.
func send(ctx context.Context, client *api.Client, token secret.Value, req request) (reply, error) {
	r := client.NewRequest(req.method, "/v1/"+req.path)
	r.ClientToken = token.Reveal()
	r.Params = req.query
	if req.method == http.MethodPatch {
		r.Headers.Set("Content-Type", "application/merge-patch+json")
	}
	if req.body != nil {
		if err := r.SetJSONBody(req.body); err != nil {
			return reply{}, errors.New("the request can't be encoded")
		}
	}
	//nolint:staticcheck // the SDK's newer calls hide the status of a 404, the headers of a PATCH, or cancel before the body is read
	resp, err := client.RawRequestWithContext(ctx, r)
	var refused *api.ResponseError
	if resp == nil || (err != nil && !errors.As(err, &refused)) {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	answer := reply{status: resp.StatusCode, retryAfter: wire.RetryAfter(resp.Header)}
	if answer.now, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		answer.now = time.Now()
	}
	answer.parse(body)
	return answer, nil
}

// parse reads a body of Vault's form; any other leaves r as it is.
func (r *reply) parse(body []byte) {
	var form struct {
		Errors   []string        `json:"errors"`
		Warnings []string        `json:"warnings"`
		Data     json.RawMessage `json:"data"`
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(trimmed, &form) != nil {
		return
	}
	r.parsed, r.errors, r.warnings, r.data = true, form.Errors, form.Warnings, form.Data
}

// decode reads what a reply carries. Numbers in values of type any keep their
// digits. The decoder's own errors are not passed on: they can quote a value.
func (r reply) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(r.data))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return verdict{kind: backends.ErrUnavailable, err: errNotKV}
	}
	return nil
}
