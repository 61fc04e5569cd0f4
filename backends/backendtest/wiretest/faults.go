package wiretest

import (
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/internal/toxic"
)

// instant is when a fault begins.
type instant int

const (
	// first: before the first request.
	first instant = iota
	// asked: before the request that commits is sent; the one before it is
	// answered.
	asked
	// answered: the store has committed, and its answer isn't sent yet.
	answered
	// behind: the answer to the commit comes, what is sent next does not arrive.
	behind
)

// ending is what ends the call.
type ending int

const (
	// itself: the driver sees the fault.
	itself ending = iota
	// deadline: the caller's deadline passes, once the fault was met.
	deadline
	// limit: the backend's own time limit passes.
	limit
)

// fault is one row of the table.
type fault struct {
	name  string
	at    instant
	toxic toxic.Fault // none: the wire is cut
	// part is the share of what is sent that goes through, in percent, for
	// limit_data.
	part int64
	ends ending
	// kinds are those that a Put may fail with.
	kinds []error
	// none: where no request is left to be hit, a Put succeeds.
	none bool
	// commits: the store makes the value current. late: only once the wire is
	// mended, for the request was on its way for longer than anybody waited.
	commits, late bool
}

// hours is a latency that nobody waits for.
const hours = 12 * 3600 * 1000

func faults() []fault {
	unavailable, unknown := []error{backends.ErrUnavailable}, []error{backends.ErrUnknownOutcome}
	reset := func(up bool) toxic.Fault { return toxic.Fault{Type: "reset_peer", Upstream: up} }
	cut := func(up bool) toxic.Fault { return toxic.Fault{Type: "limit_data", Upstream: up} }
	delay := func(up bool) toxic.Fault {
		return toxic.Fault{Type: "latency", Upstream: up, Attributes: map[string]int64{"latency": hours}}
	}
	halfOpen := func(up bool) toxic.Fault { return toxic.Fault{Type: "timeout", Upstream: up} }
	return []fault{
		{name: "RefusedAtFirst", at: first, kinds: unavailable},
		{name: "ResetAtFirst", at: first, toxic: reset(true), kinds: unavailable},
		{name: "AnswerResetAtFirst", at: first, toxic: reset(false), kinds: unavailable},
		{name: "AnswerCutAtFirst", at: first, toxic: cut(false), part: 50, kinds: unavailable},
		{name: "AnswerDelayedAtFirst", at: first, toxic: delay(false), ends: limit, kinds: unavailable},
		{name: "HalfOpenAtFirst", at: first, toxic: halfOpen(true), ends: deadline, kinds: unavailable},

		{name: "ResetBeforeTheCommit", at: asked, toxic: reset(true), kinds: unknown},
		{name: "RequestCut", at: asked, toxic: cut(true), part: 75, kinds: unknown},
		{name: "RequestDelayed", at: asked, toxic: delay(true), ends: limit, kinds: unknown, commits: true, late: true},
		{name: "HalfOpenBeforeTheCommit", at: asked, toxic: halfOpen(true), ends: deadline, kinds: unknown},

		{name: "ResetAfterTheCommit", at: answered, toxic: reset(false), kinds: unknown, commits: true},
		{name: "AnswerCut", at: answered, toxic: cut(false), part: 75, kinds: unknown, commits: true},
		{name: "AnswerDelayed", at: answered, toxic: delay(false), ends: limit, kinds: unknown, commits: true},
		{name: "HalfOpenAfterTheCommit", at: answered, toxic: halfOpen(false), ends: deadline, kinds: unknown, commits: true},

		{name: "ResetBehindTheCommit", at: behind, toxic: reset(true), kinds: unknown, none: true, commits: true},
	}
}
