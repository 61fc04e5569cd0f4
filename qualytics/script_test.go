package qualytics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// The tests' tokens look like the API's: three parts of base64.
const (
	adminToken  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJoYW5kb3Zlcl9hZG1pbkBzZXJ2aWNlIn0.q0Hk3J8mPz5Yw7Xr2Lt9Vb4Nc6Df1Gs_adm"
	otherToken  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwaXBlbGluZUBzZXJ2aWNlIiwidiI6Mn0.Zx8Cv7Bn6Ml5Kj4Hg3Fd2Sa1Qw0Er9Ty_oth"
	mintedToken = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwaXBlbGluZUBzZXJ2aWNlIiwidiI6M30.Pl0Ok9Ij8Uh7Yg6Tf5Rd4Es3Wa2Qz1Xc_new"
)

// answer plays the server for one request.
type answer func(*http.Request) (*http.Response, error)

// script is a transport that answers in order; the last answer repeats.
type script struct {
	mu      sync.Mutex
	answers []answer
	asked   []asked
}

// asked is what was sent.
type asked struct{ method, path, query, bearer, body string }

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked{
		req.Method, req.URL.Path, req.URL.RawQuery, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), body,
	})
	next := s.answers[min(len(s.asked), len(s.answers))-1]
	s.mu.Unlock()
	return next(req)
}

func (s *script) sent() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]asked(nil), s.asked...)
}

// say answers with a status, a body and headers ("Name: value").
func say(status int, body string, headers ...string) answer {
	return sayFrom(status, func() io.Reader { return strings.NewReader(body) }, headers...)
}

func sayFrom(status int, body func() io.Reader, headers ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		header := http.Header{"Content-Type": {"application/json"}}
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			header.Set(name, value)
		}
		return &http.Response{
			StatusCode: status, Header: header, Request: req, Body: io.NopCloser(body()), ContentLength: -1,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	}
}

// fail is a transport that breaks.
func fail(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang answers nothing until the request's context ends.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

// cut is a body that breaks off.
func cut(text string) func() io.Reader {
	return func() io.Reader {
		return io.MultiReader(strings.NewReader(text), iotestErr{errors.New("connection reset by peer")})
	}
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

// scripted makes a client on a script, without a rate limit.
func scripted(t testing.TB, answers ...answer) (*Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	return client(t, Options{Transport: s}), s
}

// client makes a client; what the test doesn't set is made fit.
func client(t testing.TB, o Options) *Client {
	t.Helper()
	if o.BaseURL == "" {
		o.BaseURL = "https://acme.test"
	}
	if o.Credential == nil {
		o.Credential = OnePlace("its place", func() (secret.Value, error) { return secret.New(adminToken), nil })
	}
	if o.Rate == 0 {
		o.Rate = -1
	}
	c, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// method is one method of the client, for tests that try each.
type method struct {
	name  string
	class class
	call  func(context.Context, *Client) error
}

func order() rotation.Order {
	return rotation.Order{UserID: 7, AccountID: "pipeline@service", Label: "pipeline.acme.g1", Days: 30}
}

// methods are all calls of the tables of qualytics-api.md.
func methods() []method {
	spec := rotation.AccountSpec{Name: "Pipeline", Role: "Member", Teams: []string{"Data"}}
	return []method{
		{"Accounts", lists, func(ctx context.Context, c *Client) error { _, err := c.Accounts(ctx); return err }},
		{"Account", reads, func(ctx context.Context, c *Client) error { _, err := c.Account(ctx, 7); return err }},
		{"CreateAccount", mints, func(ctx context.Context, c *Client) error { _, err := c.CreateAccount(ctx, spec); return err }},
		{"UpdateAccount", changes, func(ctx context.Context, c *Client) error { return c.UpdateAccount(ctx, 7, spec) }},
		{"DeactivateAccount", changes, func(ctx context.Context, c *Client) error { return c.DeactivateAccount(ctx, 7) }},
		{"Teams", lists, func(ctx context.Context, c *Client) error { _, err := c.Teams(ctx); return err }},
		{"Tokens", lists, func(ctx context.Context, c *Client) error { _, err := c.Tokens(ctx); return err }},
		{"PersonalTokens", lists, func(ctx context.Context, c *Client) error { _, err := c.PersonalTokens(ctx); return err }},
		{"Issue", mints, func(ctx context.Context, c *Client) error { _, err := c.Issue(ctx, order()); return err }},
		{"Prove", proofs, func(ctx context.Context, c *Client) error { _, err := c.Prove(ctx, secret.New(otherToken)); return err }},
		{"Me", reads, func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err }},
		{"Revoke", changes, func(ctx context.Context, c *Client) error { return c.Revoke(ctx, 9) }},
		{"Restore", changes, func(ctx context.Context, c *Client) error { return c.Restore(ctx, 9) }},
		{"Delete", changes, func(ctx context.Context, c *Client) error { return c.Delete(ctx, 9) }},
		{"Status", reads, func(ctx context.Context, c *Client) error { return c.Status(ctx) }},
		{"Health", reads, func(ctx context.Context, c *Client) error { return c.Health(ctx) }},
		{"OpenAPI", reads, func(ctx context.Context, c *Client) error { _, err := c.OpenAPI(ctx); return err }},
	}
}

// apiError is err as every method must fail.
func apiError(t testing.TB, err error) *rotation.APIError {
	t.Helper()
	var fail *rotation.APIError
	if !errors.As(err, &fail) {
		t.Fatalf("err = %v (%T), want *rotation.APIError", err, err)
	}
	return fail
}
