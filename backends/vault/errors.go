package vault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
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

// meaning is one row of the table from Vault's answers to kinds of errors.
type meaning struct {
	from, to int
	// holds asks for more than the status; nil asks for nothing.
	holds func(reply) bool
	// kind is that of a question's error, changing that of a change's; nil is
	// the same.
	kind, changing error
	says           string
}

// meanings is a function, so that nobody changes it. The first row that fits is
// what an answer means. An answer of success has none.
//
// Source: Vault's HTTP API, "HTTP status codes"; tried on OpenBao 2.7.2.
func meanings() []meaning {
	const (
		unavailable, invalid                  = http.StatusServiceUnavailable, http.StatusBadRequest
		missing, denied                       = http.StatusNotFound, http.StatusForbidden
		behind, method, large, many           = http.StatusPreconditionFailed, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests
		recoverySecondary, performanceStandby = 472, 473
	)
	away, unknown := backends.ErrUnavailable, backends.ErrUnknownOutcome
	return []meaning{
		{300, 399, nil, away, nil, "it redirects elsewhere: give the address of the active node, or of a balancer in front of it"},
		{invalid, invalid, says("check-and-set parameter did not match"), backends.ErrConflict, nil, "the entry has another version than expected"},
		{invalid, invalid, says("check-and-set parameter does not match"), backends.ErrConflict, nil, "somebody else changed the metadata at that moment"},
		{invalid, invalid, says("Upgrading from non-versioned"), away, nil, "the mount is being upgraded to KV version 2: it takes a moment"},
		{invalid, invalid, nil, backends.ErrInvalid, nil, "it does not accept the request; Vault's own log says why"},
		{http.StatusUnauthorized, http.StatusUnauthorized, nil, backends.ErrDenied, nil, "it takes no token here: check address, and what stands between"},
		{denied, denied, nil, backends.ErrDenied, nil, "the token's policies don't allow it, or there is no such mount: give it the policy of docs/backends/vault.md for this path"},
		{missing, missing, failed, away, nil, "there is no such mount or namespace: enable a KV engine there, or correct mount or namespace"},
		{missing, missing, otherVersion, away, nil, "the mount is a KV engine of version 2: correct kv_version"},
		{missing, missing, ofVault, backends.ErrNotFound, nil, "nothing stands there"},
		{missing, missing, nil, away, nil, "the answer is not Vault's: check address, and what stands between"},
		{method, method, nil, backends.ErrInvalid, nil, "the mount can't do this: check mount and kv_version"},
		{behind, behind, nil, away, nil, "the node that answered has not caught up with the cluster yet"},
		{large, large, nil, backends.ErrInvalid, nil, "the entry is too large for Vault"},
		{many, many, nil, backends.ErrThrottled, nil, "a quota is used up: raise it, or lower rate"},
		{recoverySecondary, performanceStandby, nil, away, nil, "the node is a standby: give the address of the active node, or of a balancer in front of it"},
		{unavailable, unavailable, says("sealed"), away, nil, "Vault is sealed: unseal it"},
		{500, 599, says("active cluster node not found"), away, nil, "the node is a standby, and the cluster has no active node: look at the cluster"},
		{500, 599, nil, away, unknown, "it failed; Vault's own log says why"},
	}
}

// says holds where Vault's own error text has the phrase. Those texts are the
// only sign of some states.
func says(phrase string) func(reply) bool {
	return func(r reply) bool {
		return slices.ContainsFunc(r.errors, func(line string) bool { return strings.Contains(line, phrase) })
	}
}

// failed holds where Vault gives a reason for a 404. Where nothing stands, the
// list is there and empty.
func failed(r reply) bool { return len(r.errors) > 0 }

// otherVersion holds where a versioned engine was asked as one without versions.
func otherVersion(r reply) bool {
	return slices.ContainsFunc(r.warnings, func(line string) bool { return strings.Contains(line, "versioned K/V") })
}

func ofVault(r reply) bool { return r.parsed }

// judge finds what an answer to the request means. A status of success gives the
// zero verdict. The words of the server are not passed on, for they can repeat
// what was sent.
func (req request) judge(r reply) verdict {
	if r.status >= 200 && r.status < 300 {
		return verdict{}
	}
	m := meaning{kind: backends.ErrInvalid, says: "an answer that Vault's documents don't name"}
	for _, row := range meanings() {
		if r.status >= row.from && r.status <= row.to && (row.holds == nil || row.holds(r)) {
			m = row
			break
		}
	}
	v := verdict{kind: m.kind, err: fmt.Errorf("vault answered %d to %s: %s", r.status, req, m.says), wait: r.retryAfter}
	if req.changes && m.changing != nil {
		v.kind, v.err = m.changing, fmt.Errorf("%w; it may have written all the same", v.err)
	}
	return v
}

// lost is the verdict on a request that got no answer, or none that could be
// read.
func (req request) lost(err error, mayHaveArrived bool) verdict {
	kind := backends.ErrUnavailable
	if req.changes && mayHaveArrived {
		kind = backends.ErrUnknownOutcome
	}
	return verdict{kind: kind, err: fmt.Errorf("%s: %w", req, err)}
}

// briefly is err in few words, without the SDK's rendering of the request and
// without a trace of the secrets.
func briefly(err error, secrets ...secret.Value) error {
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		return fmt.Errorf("vault answered %d", refused.StatusCode)
	}
	return secret.Redact(wire.Cause(err, "address"), secrets...)
}
