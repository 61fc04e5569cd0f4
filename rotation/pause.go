package rotation

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A pause is an open request: it needs no other memory, survives restarts, and
// ends when it is closed.

// EndPauses closes the pauses of just that scope: a slot's, an account's, or
// WholeAgent. It returns those that it closed, also beside an error. A request
// that can't be read stops nothing here: it holds its slot until it is mended. A
// running engine has to be told of each slot concerned (Engine.Asked).
func EndPauses(ctx context.Context, journal Journal, scope, actor string) (ended []Request, err error) {
	open, err := journal.OpenRequests(ctx)
	if err != nil && !errors.Is(err, ErrBadRow) {
		return nil, err
	}
	for _, q := range open {
		if q.Kind != RequestPause || q.Slot != scope {
			continue
		}
		if err := journal.CloseRequest(ctx, q.ID, resumedBy(actor)); err != nil {
			return ended, err
		}
		ended = append(ended, q)
	}
	return ended, nil
}

// PauseStatus is a pause that concerns a slot.
type PauseStatus struct {
	Request int64 `json:"request"`
	// Scope is the slot's name, its account's, or WholeAgent.
	Scope  string     `json:"scope"`
	Since  *time.Time `json:"since"`
	Actor  string     `json:"actor"`
	Reason string     `json:"reason,omitempty"`
}

// DescribePause tells of a request to pause.
func DescribePause(q Request) PauseStatus {
	return PauseStatus{Request: q.ID, Scope: q.Slot, Since: moment(q.At), Actor: q.Actor, Reason: q.Reason}
}

// Heed tells what open requests mean for the slot: whether it is paused.
func (s *Status) Heed(open []Request) {
	scopes := Scopes(s.Slot)
	for _, q := range open {
		if q.Kind != RequestPause || !slices.Contains(scopes[:], q.Slot) {
			continue
		}
		s.Paused = append(s.Paused, DescribePause(q))
		if s.State != SlotBlocked { // a person is needed all the same
			s.State, s.Reason = SlotPaused, Paused
		}
	}
}
