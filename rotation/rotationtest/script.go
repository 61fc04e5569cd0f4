package rotationtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// FaultKind is what happens to one act.
type FaultKind int

// The kinds of faults.
const (
	// CrashBefore: the process ends before the act.
	CrashBefore FaultKind = iota
	// CrashAfter: the process ends after the act, and never saw its answer.
	CrashAfter
	// FailBefore: the act fails without having been done.
	FailBefore
	// FailAfter: the act is done, and its answer is an error.
	FailAfter
)

// FaultKinds are all kinds.
var FaultKinds = []FaultKind{CrashBefore, CrashAfter, FailBefore, FailAfter}

// String names the kind.
func (k FaultKind) String() string {
	return [...]string{"crash before", "crash after", "fail before", "fail after"}[k]
}

// errCrashed is what everything answers to a process that has ended.
var errCrashed = errors.New("this process has crashed")

// Script counts the acts of an agent, calls of the API, reads and writes of
// stores, commits of the journal, and lets the planned ones go wrong.
type Script struct {
	mu      sync.Mutex
	count   int
	plan    map[int]FaultKind
	once    map[string]FaultKind
	crashed bool
	names   []string
	ahead   time.Duration
	// After is called after each act that reached the world; may be nil.
	After func()
	// Fault is asked before each act for an error to answer with, in place of
	// doing it; nil does it. It lasts, where a plan strikes once. May be nil.
	Fault func(act string) error
	// Hangs is asked before each act on a store whether it hangs until its
	// ctx is done; may be nil.
	Hangs func(act string) bool
}

// NewScript plans faults by the number of the act, from 1.
func NewScript(plan map[int]FaultKind) *Script { return &Script{plan: plan} }

// Once plans a fault for the next act whose name begins with prefix.
func (s *Script) Once(prefix string, kind FaultKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.once == nil {
		s.once = map[string]FaultKind{}
	}
	s.once[prefix] = kind
}

// SetAhead sets the agent's clock: what it takes for the API's time is wrong by
// that much, until the API's next answer.
func (s *Script) SetAhead(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.ahead = d }

// Count is how many acts there were; Names tells what they were.
func (s *Script) Count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.count }

// Names are the acts in order.
func (s *Script) Names() []string { s.mu.Lock(); defer s.mu.Unlock(); return s.names }

// Crashed reports whether the process has ended, and lets the next one begin.
func (s *Script) Crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.crashed
	s.crashed = false
	return was
}

// act does one act under the plan. before and after are the errors of a
// failure before and after the act.
func (s *Script) act(name string, do func() error, before, after error) error {
	s.mu.Lock()
	if s.crashed {
		s.mu.Unlock()
		return errCrashed
	}
	s.count++
	s.names = append(s.names, name)
	kind, planned := s.plan[s.count]
	for prefix, k := range s.once {
		if strings.HasPrefix(name, prefix) {
			kind, planned = k, true
			delete(s.once, prefix)
		}
	}
	if planned && kind == CrashBefore {
		s.crashed = true
	}
	s.mu.Unlock()
	switch {
	case planned && kind == CrashBefore:
		return errCrashed
	case planned && kind == FailBefore:
		return before
	}
	if s.Fault != nil {
		if err := s.Fault(name); err != nil {
			return err
		}
	}
	err := do()
	if s.After != nil {
		s.After()
	}
	switch {
	case planned && kind == CrashAfter:
		s.mu.Lock()
		s.crashed = true
		s.mu.Unlock()
		return errCrashed
	case planned && kind == FailAfter && err == nil:
		return after
	}
	return err
}

// faultyIssuer puts the script before an Issuer.
type faultyIssuer struct {
	*API
	s *Script
}

func unreached(call string) error { return apiError(call, 0, rotation.ErrUnavailable) }

func unknown(call string) error { return apiError(call, 0, rotation.ErrUnknownOutcome) }

// Now is the API's time as the agent knows it.
func (f faultyIssuer) Now() time.Time {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.API.Now().Add(f.s.ahead)
}

func (f faultyIssuer) call(name string, do func() error) error {
	return f.answer(f.s.act(name, do, unreached(name), unreached(name)))
}

func (f faultyIssuer) mint(name string, do func() error) error {
	return f.answer(f.s.act(name, do, unreached(name), unknown(name)))
}

// answer puts the clock right if there was one.
func (f faultyIssuer) answer(err error) error {
	if err == nil {
		f.s.SetAhead(0)
	}
	return err
}

func (f faultyIssuer) Accounts(ctx context.Context) (list []rotation.Account, err error) {
	err = f.call("list accounts", func() error { list, err = f.API.Accounts(ctx); return err })
	return list, err
}

func (f faultyIssuer) CreateAccount(ctx context.Context, spec rotation.AccountSpec) (made rotation.Account, err error) {
	err = f.mint("create account", func() error { made, err = f.API.CreateAccount(ctx, spec); return err })
	return made, err
}

func (f faultyIssuer) UpdateAccount(ctx context.Context, id int64, spec rotation.AccountSpec) error {
	return f.call("update account", func() error { return f.API.UpdateAccount(ctx, id, spec) })
}

func (f faultyIssuer) DeactivateAccount(ctx context.Context, id int64) error {
	return f.call("deactivate account", func() error { return f.API.DeactivateAccount(ctx, id) })
}

func (f faultyIssuer) Tokens(ctx context.Context) (list []rotation.Token, err error) {
	err = f.call("list tokens", func() error { list, err = f.API.Tokens(ctx); return err })
	if err != nil {
		list = nil
	}
	return list, err
}

func (f faultyIssuer) Issue(ctx context.Context, order rotation.Order) (issued rotation.Issued, err error) {
	err = f.mint("issue", func() error { issued, err = f.API.Issue(ctx, order); return err })
	if err != nil {
		issued = rotation.Issued{}
	}
	return issued, err
}

func (f faultyIssuer) Prove(ctx context.Context, value secret.Value) (id rotation.Identity, err error) {
	err = f.call("prove", func() error { id, err = f.API.Prove(ctx, value); return err })
	return id, err
}

func (f faultyIssuer) Revoke(ctx context.Context, id int64) error {
	return f.call("revoke", func() error { return f.API.Revoke(ctx, id) })
}

func (f faultyIssuer) Restore(ctx context.Context, id int64) error {
	return f.call("restore", func() error { return f.API.Restore(ctx, id) })
}

func (f faultyIssuer) Delete(ctx context.Context, id int64) error {
	return f.call("delete", func() error { return f.API.Delete(ctx, id) })
}

// faultyJournal puts the script before the commits of a journal.
type faultyJournal struct {
	rotation.Journal
	s *Script
}

var errDisk = errors.New("input/output error")

func (f faultyJournal) Commit(ctx context.Context, rec rotation.Record, e rotation.Event) (stored rotation.Record, err error) {
	err = f.s.act("commit "+string(e.Act), func() error { stored, err = f.Journal.Commit(ctx, rec, e); return err }, errDisk, errDisk)
	return stored, err
}

func (f faultyJournal) CommitAccount(ctx context.Context, rec rotation.AccountRecord, e rotation.Event) (stored rotation.AccountRecord, err error) {
	err = f.s.act("commit "+string(e.Act), func() error { stored, err = f.Journal.CommitAccount(ctx, rec, e); return err }, errDisk, errDisk)
	return stored, err
}

func (f faultyJournal) CloseRequest(ctx context.Context, id int64, outcome string) error {
	return f.s.act("close request", func() error { return f.Journal.CloseRequest(ctx, id, outcome) }, errDisk, errDisk)
}

// Counted is how many acts there were whose name begins with prefix.
func (s *Script) Counted(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, name := range s.names {
		if strings.HasPrefix(name, prefix) {
			count++
		}
	}
	return count
}
