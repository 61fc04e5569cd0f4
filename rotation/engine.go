package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/backends"
)

// actorAgent is the actor of what the agent does by itself.
const actorAgent = "agent"

// Declared is what the engine needs of a declared slot.
type Declared struct {
	Policy Policy
	// Targets are the policy's targets, in the same order.
	Targets []*backends.Target
	// OnDelivery and OnRevocation are the policy's hooks, in the same order.
	// Both nil: none can be run here, and what is owed stays owed.
	OnDelivery, OnRevocation []Hook
	// Edition counts the loads of the declaration. The first pass over
	// another one reads every target: what it holds may have another shape
	// than is declared now.
	Edition uint64
}

// Options make an Engine.
type Options struct {
	Issuer  Issuer
	Journal Journal
	// Urgent is the same API for what an emergency does: its calls go ahead
	// of Issuer's. nil is Issuer.
	Urgent Issuer
	// Own is the agent's own credential; nil when no slot keeps it.
	Own Own
	// Process names this run; it must be new at every start.
	Process string
	// Log takes what the engine does; nil is silence.
	Log *slog.Logger
	// OnEvent is told of every committed event, in the order of the slot;
	// may be nil. It must not block.
	OnEvent func(Event)
	// OnHook is told of the slot of each hook that has ended, whose next pass
	// notes that; may be nil. It must not block.
	OnHook func(slot string)
	// Timeout bounds each look at a target and each delivery; 0 is a minute.
	Timeout time.Duration
	// InTurn: the actions of a set run one after the other, in their order,
	// so that a simulated world can be played again.
	InTurn bool
}

// Engine does what Next decides. It is safe for concurrent use; passes over
// one slot wait for each other.
type Engine struct {
	issuer  Issuer
	urgent  Issuer
	journal Journal
	own     Own
	process string
	log     *slog.Logger
	onEvent func(Event)
	onHook  func(slot string)
	timeout time.Duration
	inTurn  bool

	tokens       *shared[[]Token]
	accounts     *shared[*Account]
	accountLocks keyLocks
	slotLocks    keyLocks
	// mutations counts the changes made to the API: a list asked for before
	// a change is not shown to the slot that made it.
	mutations atomic.Uint64

	mu sync.Mutex
	// accountChanges is mutations after the last change to each account.
	accountChanges map[string]uint64
	memory         map[string]*memory
	held           Held
	holds          int // failures one after the other behind held

	// telling are the hooks that run, until endHooks; hookPlaces bounds them.
	telling    sync.WaitGroup
	hookLife   context.Context
	endHooks   context.CancelFunc
	hookPlaces chan struct{}
}

// New makes an Engine. It starts nothing.
func New(o Options) *Engine {
	e := &Engine{issuer: o.Issuer, urgent: o.Urgent, journal: o.Journal, own: o.Own, process: o.Process, log: o.Log,
		onEvent: o.OnEvent, onHook: o.OnHook, timeout: o.Timeout, hookPlaces: make(chan struct{}, maxHooks), inTurn: o.InTurn, memory: map[string]*memory{}, accountChanges: map[string]uint64{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.onEvent == nil {
		e.onEvent = func(Event) {}
	}
	if e.onHook == nil {
		e.onHook = func(string) {}
	}
	e.hookLife, e.endHooks = context.WithCancel(context.Background())
	if e.urgent == nil {
		e.urgent = o.Issuer
	}
	if e.timeout == 0 {
		e.timeout = time.Minute
	}
	e.tokens = newShared(o.Issuer.Now, e.mutations.Load, sameTokens, e.fetchTokens)
	e.accounts = newShared(o.Issuer.Now, e.mutations.Load, sameAccount, e.fetchAccounts)
	return e
}

func (e *Engine) fetchTokens(ctx context.Context) (map[string][]Token, error) {
	list, err := e.issuer.Tokens(ctx)
	if err == nil {
		e.answered()
	}
	slices.SortStableFunc(list, func(a, b Token) int { return strings.Compare(a.AccountID, b.AccountID) })
	byAccount := make(map[string][]Token) // parts of the list, not copies
	for start, end := 0, 0; start < len(list); start = end {
		for end < len(list) && list[end].AccountID == list[start].AccountID {
			end++
		}
		byAccount[list[start].AccountID] = list[start:end:end]
	}
	return byAccount, err
}

func (e *Engine) fetchAccounts(ctx context.Context) (map[string]*Account, error) {
	list, err := e.issuer.Accounts(ctx)
	if err == nil {
		e.answered()
	}
	byID := make(map[string]*Account, len(list))
	for i := range list {
		if known := byID[list[i].ID]; known == nil || known.Deleted {
			byID[list[i].ID] = &list[i]
		}
	}
	return byID, err
}

// Listed returns the account's tokens by the last list that was asked for; nil
// when there is none. The caller must not change them.
func (e *Engine) Listed(accountID string) []Token {
	if list := e.tokens.cached(time.Time{}, 0); list != nil {
		return list.byKey[accountID]
	}
	return nil
}

// Held says until when calls to the API wait, and why; a zero Until is now.
func (e *Engine) Held() Held {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

func (e *Engine) heldUntil() time.Time { return e.Held().Until }

// hold makes all slots wait when the API can't be used at all: it refuses the
// agent, asks to wait, or isn't there. always: also for an error that is of
// this one call alone.
func (e *Engine) hold(err error, always bool) {
	var api *APIError
	errors.As(err, &api)
	general := errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrThrottled) ||
		api != nil && (api.Status == 0 || api.Status == 503) && !errors.Is(err, ErrInvalidAnswer)
	if !always && !general || errors.Is(err, context.Canceled) {
		return
	}
	why, after := apiReason(err)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.issuer.Now()
	if after == 0 {
		if now.Before(e.held.Until) {
			return // calls that were under way together are one failure
		}
		e.holds++
		after = backOff(e.holds, e.process)
	}
	e.held = Held{Until: now.Add(after), Reason: why}
	e.log.Warn("calls to Qualytics wait", "reason", string(why), "until", e.held.Until, "error", err)
}

// answered ends a hold: the API took a call.
func (e *Engine) answered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held, e.holds = Held{}, 0
}

// apiReason turns an error of the API into a reason and the wait it asks for.
func apiReason(err error) (Reason, time.Duration) {
	var after time.Duration
	var api *APIError
	if errors.As(err, &api) {
		after = api.RetryAfter
	}
	switch {
	case errors.Is(err, ErrUnauthorized):
		return CredentialRefused, after
	case errors.Is(err, ErrThrottled):
		return APIThrottled, after
	case errors.Is(err, ErrUnknownOutcome):
		return OutcomeUnknown, after
	case errors.Is(err, ErrRefused):
		return IssueRefused, after
	}
	return APIUnavailable, after
}

// targetReason turns an error of a target into a reason.
func targetReason(err error) Reason {
	switch backends.KindOf(err) {
	case backends.ErrDenied:
		return TargetDenied
	case backends.ErrThrottled:
		return TargetThrottled
	case backends.ErrConflict:
		return TargetChanged
	case backends.ErrInvalid:
		return TargetRefused
	case backends.ErrUnknownOutcome:
		return TargetOutcomeUnknown
	}
	return TargetUnreachable
}

// Outcome is how a pass ended.
type Outcome struct {
	// NextAt is when to look at the slot again, in the API's time.
	NextAt time.Time
	// Reason is what it waits for.
	Reason Reason
	// Unchanged: nothing has changed since the pass before, so that this one
	// looked at nothing. Record and Account are zero.
	Unchanged bool
	// Record is the slot's record at the end.
	Record Record
	// Account is what was seen of the account; nil when it wasn't looked at.
	Account *AccountSeen
	// Unread are the targets, by key, that could not be read when they were
	// last tried: why, and when they are tried again. What the journal tells
	// of them is older. nil is none.
	Unread map[string]TargetSeen
	// BadRow is set when the pass ended, before or between two acts, at what
	// the journal holds of the slot or its account and can't be read: Reason
	// is JournalUnreadable, and nothing else is told. A person is needed.
	BadRow *BadRow

	settled bool
}

// Settled reports whether nothing is left to do for now: the current token is
// served by every target.
func (o Outcome) Settled() bool { return o.settled }

// Hurried reports whether an emergency of the slot isn't over.
func (o Outcome) Hurried() bool { return o.Record.Emergency.open() }

// lastAct is how long an act under way may go on when the pass is told to end:
// a shutdown falls between two acts, if they end in time.
const lastAct = 15 * time.Second

// lingering is ctx, done only some time after ctx is.
func lingering(ctx context.Context, linger time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if late.Err() == nil {
			timer = time.AfterFunc(linger, cancel)
		}
	})
	return late, func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
	}
}

// maxSteps bounds the steps of one pass: more is a mistake in Next.
const maxSteps = 1000

// Pass brings a slot as far as it goes now, and returns when to look again. It
// fails when ctx is done, and when the journal does not take a commit; what
// was committed before stands, and the next pass goes on from there. A row of
// the journal that can't be read stops this slot alone, and is no failure: it
// is looked at again from time to time, for it may be mended.
func (e *Engine) Pass(ctx context.Context, slot Declared) (Outcome, error) {
	outcome, err := e.pass(ctx, &slot)
	var bad *BadRow
	if !errors.As(err, &bad) {
		return outcome, err
	}
	e.log.Error("slot blocked", "slot", slot.Policy.Slot, "reason", string(JournalUnreadable), "error", err)
	return Outcome{NextAt: e.issuer.Now().Add(longestBackOff), Reason: JournalUnreadable, BadRow: bad}, nil
}

func (e *Engine) pass(ctx context.Context, slot *Declared) (Outcome, error) {
	unlock, err := e.slotLocks.lock(ctx, slot.Policy.Slot)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	e.relist(ctx, slot)
	if outcome, ok := e.Still(*slot); ok {
		return outcome, nil
	}
	return e.steps(ctx, slot)
}

// steps asks Next until it says to wait. The caller holds the slot's lock.
func (e *Engine) steps(ctx context.Context, slot *Declared) (Outcome, error) {
	w, err := e.begin(ctx, slot)
	if err != nil {
		return Outcome{}, err
	}
	acts, cancel := lingering(ctx, lastAct)
	defer cancel()
	defer w.release()
	for range maxSteps {
		if ctx.Err() != nil {
			return Outcome{}, ctx.Err()
		}
		if err := w.heed(ctx); err != nil {
			return Outcome{}, err
		}
		actions, reason := w.next()
		if wait, ok := actions[0].(Wait); ok {
			if w.lateLook() {
				continue
			}
			w.end()
			return Outcome{NextAt: wait.Until, Reason: reason, Record: w.rec, Account: w.obs.Account,
				Unread: w.unreadTargets(), settled: w.rec.atPeace(w.pol)}, nil
		}
		if err := w.interruptible(acts, actions); err != nil {
			w.unsee()
			return Outcome{}, err
		}
	}
	return Outcome{}, fmt.Errorf("slot %s: no end after %d steps", slot.Policy.Slot, maxSteps)
}
