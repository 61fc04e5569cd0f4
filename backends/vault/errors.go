package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends"
)

// verdict is what an answer, or the lack of one, means to the agent. As an
// error it is never the zero verdict, which means success.
type verdict struct {
	kind error
	err  error
	wait time.Duration
}

func (v verdict) Error() string { return v.err.Error() }
func (v verdict) Unwrap() error { return v.err }

// classify is the one table from Vault's statuses to kinds of errors. A status
// of success gives the zero verdict. isWrite says that a change was asked for:
// then a failing server may have made it. The words of the server are not
// passed on, for they can repeat what was sent.
//
// Source: Vault's HTTP API, "HTTP status codes"; tried on OpenBao 2.7.2.
func classify(r reply, isWrite bool) verdict {
	say := func(kind error, text string) verdict {
		return verdict{kind: kind, err: fmt.Errorf("vault answered %d: %s", r.status, text)}
	}
	switch s := r.status; {
	case s >= 200 && s < 300:
		return verdict{}
	case s >= 300 && s < 400:
		return say(backends.ErrUnavailable, "it redirects elsewhere: give the address of the active node, or of a balancer in front of it")
	case s == http.StatusBadRequest && r.says("check-and-set parameter did not match"):
		return say(backends.ErrConflict, "the entry has another version than expected")
	case s == http.StatusBadRequest && r.says("Upgrading from non-versioned"):
		return say(backends.ErrUnavailable, "the mount is being upgraded to KV version 2")
	case s == http.StatusBadRequest:
		return say(backends.ErrInvalid, "it does not accept the request; Vault's own log says why")
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return say(backends.ErrDenied, "the token may not do this: its policies lack a capability, it has ended, or the mount does not exist")
	case s == http.StatusNotFound && len(r.errors) > 0:
		return say(backends.ErrUnavailable, "there is no such mount or namespace: enable the KV version 2 engine there, or correct mount or namespace")
	case s == http.StatusNotFound && r.parsed:
		return say(backends.ErrNotFound, "nothing stands there")
	case s == http.StatusNotFound:
		return say(backends.ErrUnavailable, "the answer is not Vault's: check the address")
	case s == http.StatusMethodNotAllowed:
		return say(backends.ErrInvalid, "the mount can't do this: it must be a KV version 2 engine")
	case s == http.StatusPreconditionFailed:
		return say(backends.ErrUnavailable, "the node that answered has not caught up yet")
	case s == http.StatusRequestEntityTooLarge:
		return say(backends.ErrInvalid, "the payload is too large for Vault")
	case s == http.StatusTooManyRequests:
		v := say(backends.ErrThrottled, "a quota is used up")
		v.wait = r.retryAfter
		return v
	case s == 472, s == 473:
		return say(backends.ErrUnavailable, "the node is a standby: give the address of the active node")
	case s == http.StatusServiceUnavailable && r.says("sealed"):
		return say(backends.ErrUnavailable, "Vault is sealed: unseal it")
	case s >= 500 && isWrite:
		return say(backends.ErrUnknownOutcome, "it failed, and may have written all the same")
	case s >= 500:
		return say(backends.ErrUnavailable, "it failed")
	}
	return say(backends.ErrInvalid, "an answer that Vault's documents don't name")
}

// says reports whether Vault's own error text holds a phrase.
func (r reply) says(phrase string) bool {
	for _, line := range r.errors {
		if strings.Contains(line, phrase) {
			return true
		}
	}
	return false
}

// lost is the verdict on a request that got no answer, or none that could be
// read.
func lost(err error, isWrite, mayHaveArrived bool) verdict {
	kind := backends.ErrUnavailable
	if isWrite && mayHaveArrived {
		kind = backends.ErrUnknownOutcome
	}
	return verdict{kind: kind, err: plainCause(err)}
}

// plainCause drops the method and URL that net/http puts before the cause, for
// the place is in the error already.
func plainCause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	return err
}

// parseRetryAfter reads the header of that name: seconds, or a date.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
