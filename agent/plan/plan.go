// Package plan tells what an agent that starts now would do at once, without
// doing it: it lets the real engine pass over every slot, on top of a world
// that can be read and not changed. What the engine does is kept in memory, so
// that the steps after it are told too.
//
// Nothing here can write: of Qualytics, of the journal and of the stores only
// what reads is ever called. No token is used, for that would set its
// last_used.
package plan

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// Source is what a plan is made from.
type Source struct {
	API API
	// Journal is nil when there is none yet.
	Journal Journal
	// Slots are the declared slots, in the order in which they are told.
	Slots []rotation.Declared
	// Log takes what could not be looked at; nil is silence.
	Log *slog.Logger
}

// API is all that a plan asks of Qualytics. A rotation.Issuer has it.
type API interface {
	Now() time.Time
	Accounts(ctx context.Context) ([]rotation.Account, error)
	Tokens(ctx context.Context) ([]rotation.Token, error)
}

// Journal is all that a plan asks of a rotation.Journal.
type Journal interface {
	Slot(ctx context.Context, slot string) (rotation.Record, error)
	Account(ctx context.Context, id string) (rotation.AccountRecord, error)
	Requests(ctx context.Context, slot string) ([]rotation.Request, error)
}

// Act is one thing that the agent would do.
type Act string

// The acts of a plan.
const (
	CreateAccount Act = "create_account"
	UpdateAccount Act = "update_account"
	Issue         Act = "issue"
	Deliver       Act = "deliver"
	Revoke        Act = "revoke"
	Delete        Act = "delete"
	// DropTarget: the target left the declaration. Nothing is done to it, and
	// nobody looks after it any more.
	DropTarget Act = "drop_target"
)

// Change is one thing that would be done now.
type Change struct {
	Act     Act    `json:"act"`
	Account string `json:"account"`
	// Slot is "" for acts on an account.
	Slot       string `json:"slot,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	// TokenID is 0 for a token that is yet to be issued.
	TokenID int64 `json:"token_id,omitempty"`
	// Target is "backend/path".
	Target string          `json:"target,omitempty"`
	Reason rotation.Reason `json:"reason,omitempty"`
	// Detail is for people: an account's role and teams, the token that will
	// die at a dropped target.
	Detail string `json:"detail,omitempty"`
}

// Wait is one thing that would not be done now.
type Wait struct {
	Slot string `json:"slot"`
	// Act is what waits; "" is the slot as a whole.
	Act        Act             `json:"act,omitempty"`
	Target     string          `json:"target,omitempty"`
	Generation uint64          `json:"generation,omitempty"`
	TokenID    int64           `json:"token_id,omitempty"`
	Reason     rotation.Reason `json:"reason"`
	// Until is the earliest time at which it goes on; nil when no time ends
	// the wait.
	Until *time.Time `json:"until"`
}

// Plan is what would be done now, and what would wait.
type Plan struct {
	Summary Summary  `json:"summary"`
	Changes []Change `json:"changes"`
	Waits   []Wait   `json:"waits"`
}

// Summary counts the changes by act.
type Summary struct {
	CreateAccounts int `json:"create_accounts"`
	UpdateAccounts int `json:"update_accounts"`
	Issues         int `json:"issues"`
	Deliveries     int `json:"deliveries"`
	Revocations    int `json:"revocations"`
	Deletions      int `json:"deletions"`
	DroppedTargets int `json:"dropped_targets"`
}

// concurrency is how many slots are planned at the same time.
const concurrency = 8

// Make makes the plan. It fails when Qualytics or the journal can't be read, or
// ctx is done. A store that can't be read makes its slots wait, as it would the
// agent's.
//
// A token found in a store that names a declared account and isn't the agent's
// is taken to be live: to know it, the agent would have to use it.
func Make(ctx context.Context, source Source) (Plan, error) {
	plan := Plan{Changes: []Change{}, Waits: []Wait{}}
	if len(source.Slots) == 0 {
		return plan, nil
	}
	book := newBook(source.Journal)
	api, err := newMirror(ctx, source.API, book.tokenOf)
	if err != nil {
		return plan, err
	}
	story := &story{bySlot: map[string][]rotation.Event{}, byAccount: map[string][]rotation.Event{}}
	engine := rotation.New(rotation.Options{Issuer: api, Journal: book, Process: "plan", Log: source.Log, OnEvent: story.tell})
	outcomes := make([]rotation.Outcome, len(source.Slots))
	passes, passing := errgroup.WithContext(ctx)
	passes.SetLimit(concurrency)
	for i, slot := range source.Slots {
		passes.Go(func() error {
			slot.Policy.Own = false // what would be delivered would be taken up
			outcome, err := engine.Pass(passing, over(slot))
			outcomes[i] = outcome
			if err != nil {
				return fmt.Errorf("plan slot %s: %w", slot.Policy.Slot, err)
			}
			return nil
		})
	}
	if err := passes.Wait(); err != nil {
		return Plan{}, err
	}
	for i, slot := range source.Slots {
		plan.Changes = append(plan.Changes, story.changes(slot.Policy, outcomes[i].Record)...)
		plan.Waits = append(plan.Waits, waits(slot.Policy, outcomes[i])...)
	}
	plan.Summary = count(plan.Changes)
	return plan, nil
}

// over is the slot with stores that can't be written, and with nobody to tell.
func over(slot rotation.Declared) rotation.Declared {
	targets := make([]*backends.Target, len(slot.Targets))
	for i, t := range slot.Targets {
		targets[i] = &backends.Target{Ref: t.Ref, Format: t.Format, Backend: &shelf{base: t.Backend}}
	}
	slot.Targets, slot.OnDelivery, slot.OnRevocation = targets, nil, nil
	return slot
}

func count(changes []Change) Summary {
	var s Summary
	for _, c := range changes {
		switch c.Act {
		case CreateAccount:
			s.CreateAccounts++
		case UpdateAccount:
			s.UpdateAccounts++
		case Issue:
			s.Issues++
		case Deliver:
			s.Deliveries++
		case Revoke:
			s.Revocations++
		case Delete:
			s.Deletions++
		case DropTarget:
			s.DroppedTargets++
		}
	}
	return s
}

// story keeps the events of all passes, in the order of each slot and account.
type story struct {
	mu                sync.Mutex
	bySlot, byAccount map[string][]rotation.Event
}

func (s *story) tell(e rotation.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Slot == "" {
		s.byAccount[e.Account] = append(s.byAccount[e.Account], e)
		return
	}
	s.bySlot[e.Slot] = append(s.bySlot[e.Slot], e)
}

// changes tells of a slot, and of its account at its first slot.
func (s *story) changes(pol rotation.Policy, rec rotation.Record) []Change {
	var account, slot []Change
	for _, e := range s.byAccount[pol.AccountID] {
		if c, ok := accountChange(e, pol.Account); ok {
			account = append(account, c)
		}
	}
	delete(s.byAccount, pol.AccountID)
	found := map[string]rotation.Reason{}
	for _, e := range s.bySlot[pol.Slot] {
		if e.Act == rotation.ActSeen {
			found[e.Target] = e.Reason
		}
		if c, ok := slotChange(e, rec, found); ok {
			c.Account = pol.AccountID
			slot = append(slot, c)
		}
	}
	slices.SortStableFunc(slot, byStage)
	return append(account, slot...)
}
