// Package qualytics is the client of the Qualytics API. [Client] implements
// rotation.Issuer.
//
// What it knows of the API stands in qualytics-api.md, which the comments here
// cite as D (documented) and G (a guess where the documents are silent). Each
// guess sits in one function, and the other answer is tolerated there.
//
// Three rules shape the package. A call that mints is sent at most once: what
// is not known to have failed is rotation.ErrUnknownOutcome. A list is whole
// or an error. No secret and no body reaches an error or a log.
package qualytics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Client calls one Qualytics instance. It is safe for concurrent use. Each
// method fails with *rotation.APIError, and takes no longer than four times
// Options.Timeout.
type Client struct {
	base       string
	userAgent  string
	credential *credential
	// repeats carries the calls that may be repeated, mints the two that may
	// not (transport.go says why they differ).
	repeats, mints *http.Client
	gate           *gate
	urgent         bool
	timeout        time.Duration
	tries          uint
	clock          *clock
	log            *slog.Logger
	observe        func(call string, status int, took time.Duration)
	who            *whoami
}

var _ rotation.Issuer = (*Client)(nil)

// New checks the options and returns a Client. It makes no call and reads no
// credential.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	repeats, mints, err := o.transports()
	if err != nil {
		return nil, err
	}
	return &Client{
		base:       base,
		userAgent:  o.UserAgent,
		credential: newCredential(o),
		repeats:    &http.Client{Transport: repeats, CheckRedirect: stayOnHost},
		mints:      &http.Client{Transport: mints, CheckRedirect: stayOnHost},
		gate:       newGate(o.limit()),
		timeout:    o.Timeout,
		tries:      maxTries,
		clock:      newClock(o.Now),
		log:        o.Log,
		observe:    o.Observe,
		who:        &whoami{},
	}, nil
}

// BaseURL is where the calls go: with its scheme, ending in /api.
func (c *Client) BaseURL() string { return c.base }

// Now is the API's time as far as its Date headers tell, carried on by the
// monotonic clock; before the first answer the local time. In UTC.
func (c *Client) Now() time.Time { return c.clock.Now() }

// Close closes idle connections. The Client can still be used.
func (c *Client) Close() {
	c.repeats.CloseIdleConnections()
	c.mints.CloseIdleConnections()
}

// within bounds a whole method in time: all its pages, attempts and waits.
func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := callTimeouts * c.timeout
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
}
