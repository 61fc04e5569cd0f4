// Package control is the way in to a running agent: HTTP with JSON over a Unix
// socket that its own user and root alone may use. Who asks is told by the
// kernel, never by the caller. No secret goes over it.
//
//	POST /v1/requests        store requests, answer them with their ids
//	GET  /v1/requests/{id}   one request, with its outcome once it is closed
//	POST /v1/pauses/end      end the pauses of one scope, answer those that ended
//	GET  /v1/emergencies     the report.Emergencies of the slots in ?slot=…&slot=…
//	GET  /v1/tokens          the report.Tokens of the account in ?account=…
//	POST /v1/history/prune   do one step of a pruning, answer where it ended
//	GET  /v1/status          the report.Document
//
// docs/openapi.yaml has it in full. A refusal is {"error": "…"} with a status of 400 or above.
package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// Handler is what a running agent does for the control socket. Its methods are
// called at the same time, honour ctx, and return errors without a secret,
// which the caller gets to read.
type Handler interface {
	// Submit stores the requests and wakes their slots. Actor is set, ID and
	// At are not. It stores all or none where it can tell before. An error
	// that unwraps to ErrNotFound names a slot that isn't known.
	Submit(ctx context.Context, requests []rotation.Request) ([]rotation.Request, error)
	// Request returns one request, or an error that unwraps to ErrNotFound
	// or rotation.ErrNoRecord.
	Request(ctx context.Context, id int64) (rotation.Request, error)
	// EndPauses ends the pauses of just that scope, and returns those that it
	// ended.
	EndPauses(ctx context.Context, scope, actor string) ([]rotation.Request, error)
	// Emergencies tells how the last emergency of each slot stands; one that
	// isn't declared, or never had one, has no entry.
	Emergencies(ctx context.Context, slots []string) (report.Emergencies, error)
	// Tokens lists what Qualytics has of an account now, whoever issued it.
	Tokens(ctx context.Context, account string) (report.Tokens, error)
	// Prune does one step of a pruning. DryRun isn't set.
	Prune(ctx context.Context, p rotation.Pruning) (rotation.Pruned, error)
	// Status tells how the agent stands.
	Status(ctx context.Context) (report.Document, error)
}

// The kinds of errors, on both sides of the socket.
var (
	// ErrNoAgent: nothing answers at the socket, so no agent runs there.
	ErrNoAgent = errors.New("no agent is running")
	// ErrNotFound: there is no such slot or request.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the request can't be understood or isn't allowed as it is.
	ErrInvalid = errors.New("invalid request")
	// ErrDenied: the caller is not the agent's user, nor root.
	ErrDenied = errors.New("permission denied")
	// ErrUnavailable: the agent can't do it now; it may be stopping.
	ErrUnavailable = errors.New("unavailable")
)

// Error is what the methods of a Client fail with when the agent refused.
type Error struct {
	// Call is the method and path: "POST /v1/requests".
	Call string
	// Status is the HTTP status.
	Status int
	// Message is the agent's own words.
	Message string
}

// Error names the call and gives the agent's words.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at the agent: %d: %s", e.Call, e.Status, e.Message)
}

// Unwrap gives the kind; nil for a status without one.
func (e *Error) Unwrap() error {
	for _, k := range kinds {
		if k.status == e.Status {
			return k.err
		}
	}
	return nil
}

// kinds is the one table of kinds and statuses.
var kinds = []struct {
	err    error
	status int
}{
	{ErrInvalid, http.StatusBadRequest},
	{ErrDenied, http.StatusForbidden},
	{ErrNotFound, http.StatusNotFound},
	{rotation.ErrNoRecord, http.StatusNotFound},
	{ErrUnavailable, http.StatusServiceUnavailable},
	{context.Canceled, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusServiceUnavailable},
}

// statusOf is the HTTP status of a Handler's error.
func statusOf(err error) int {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.status
		}
	}
	return http.StatusInternalServerError
}

// order is one request as the caller writes it, with the keys of a
// rotation.Request. There is no place for an actor.
type order struct {
	Kind   rotation.RequestKind `json:"kind"`
	Slot   string               `json:"slot"`
	Reason string               `json:"reason,omitempty"`
	// RevokeFirst and Deadline, in nanoseconds, are of an emergency alone;
	// TokenID may be of one that revokes or restores too.
	RevokeFirst bool          `json:"revoke_first,omitempty"`
	Deadline    time.Duration `json:"deadline,omitempty"`
	TokenID     int64         `json:"token_id,omitempty"`
}

// orderOf is a request without what the agent says.
func orderOf(r rotation.Request) order {
	return order{Kind: r.Kind, Slot: r.Slot, Reason: r.Reason, RevokeFirst: r.RevokeFirst, Deadline: r.Deadline, TokenID: r.TokenID}
}

// by is the request that an actor asks for with it.
func (o order) by(who string) rotation.Request {
	return rotation.Request{Kind: o.Kind, Slot: o.Slot, Reason: o.Reason, Actor: who,
		RevokeFirst: o.RevokeFirst, Deadline: o.Deadline, TokenID: o.TokenID}
}

// orders and requests are the bodies of POST /v1/requests and of its answer.
type orders struct {
	Requests []order `json:"requests"`
}

type requests struct {
	Requests []rotation.Request `json:"requests"`
}

// scope is the body of POST /v1/pauses/end; requests answer it.
type scope struct {
	Scope string `json:"scope"`
}

// pruning is the body of POST /v1/history/prune; a rotation.Pruned answers it.
type pruning struct {
	Before  time.Time     `json:"before"`
	From    rotation.Mark `json:"from"`
	Deleted int64         `json:"deleted"`
}

// refusal is the body of an answer of 400 or above.
type refusal struct {
	Error string `json:"error"`
}

const (
	// maxOrders is the most requests of one POST: a `--all` of the largest
	// declaration that the agent is built for.
	maxOrders = 20_000
	// maxBody bounds the body of a POST, in bytes.
	maxBody = 8 << 20
	// maxAnswer bounds an answer that a Client reads, in bytes.
	maxAnswer = 128 << 20
	// maxSlot and maxReason bound a slot's name and a reason, in bytes.
	maxSlot = 1024
	// maxQuery bounds how much of a query a Client fills, in bytes: a header
	// has room for it and for one more slot's name.
	maxQuery  = 8 << 10
	maxReason = 1024
)
