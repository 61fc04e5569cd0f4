package main

import (
	"context"
	"fmt"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// emergency hands the order to the running agent, or else does it, and in both
// cases watches until there is an answer.
func (a *app) emergency(ctx context.Context, o order, d *config.Declaration, slots []string) error {
	if o.tokenID > 0 && len(slots) != 1 {
		_, err := a.known(ctx, d, o.names).slot(o.names[0])
		return err
	}
	if err := a.confirmed(o, slots); err != nil {
		return err
	}
	var w *emergencyWatch
	if err := a.through(ctx, d, slots, func(ctx context.Context, to hand) (err error) {
		w, err = a.watchOver(ctx, o, to, slots)
		return err
	}); err != nil {
		return err
	}
	return w.answer()
}

// watchOver gives the order to a hand, and watches until there is an answer.
func (a *app) watchOver(ctx context.Context, o order, to hand, slots []string) (*emergencyWatch, error) {
	stored, err := to.Submit(ctx, o.requests(slots))
	if err != nil {
		return nil, err
	}
	w := newEmergencyWatch(a, o, to, stored)
	return w, w.watch(ctx)
}

// teller tells how emergencies stand: a running agent, or the one in here.
type teller interface {
	Emergencies(ctx context.Context, slots []string) (report.Emergencies, error)
	Request(ctx context.Context, id int64) (rotation.Request, error)
}

// lateness is how long after the deadline, and after the last thing that was
// done, an emergency is waited for that isn't over: Qualytics doesn't answer.
const lateness = 10 * time.Second

// emergencyWatch follows emergencies and tells on err what happens.
type emergencyWatch struct {
	app    *app
	order  order
	from   teller
	stored []rotation.Request
	// reports are by request; over is at how many looks it was over.
	reports map[int64]rotation.EmergencyReport
	over    map[int64]int
	// now is the API's time of the last look.
	now time.Time
	// told are the lines that were told, the last of them at news.
	told map[string]bool
	news time.Time
}

func newEmergencyWatch(a *app, o order, from teller, stored []rotation.Request) *emergencyWatch {
	return &emergencyWatch{app: a, order: o, from: from, stored: stored, reports: map[int64]rotation.EmergencyReport{},
		over: map[int64]int{}, told: map[string]bool{}, news: time.Now()}
}

// watch looks again and again until there is an answer.
func (w *emergencyWatch) watch(ctx context.Context) error {
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		if w.answered(time.Now()) {
			return nil
		}
		if !pause(ctx, glance) {
			return ctx.Err()
		}
	}
}

// look asks for the slots that aren't done.
func (w *emergencyWatch) look(ctx context.Context) error {
	var left []rotation.Request
	var slots []string
	for _, r := range w.stored {
		if w.pending(r.ID) {
			left, slots = append(left, r), append(slots, r.Slot)
		}
	}
	found, err := w.from.Emergencies(ctx, slots)
	if err != nil {
		return err
	}
	w.now = found.Now
	bySlot := map[string]rotation.EmergencyReport{}
	for _, e := range found.Emergencies {
		bySlot[e.Slot] = e
	}
	for _, r := range left {
		e := bySlot[r.Slot]
		if !e.Carries(r.ID) {
			if e, err = w.uncarried(ctx, r); err != nil {
				return err
			}
		}
		if w.reports[r.ID] = e; e.Over {
			w.over[r.ID]++
		}
		w.tell(e)
	}
	return nil
}

// uncarried is what is known of a request that no report is of: it waits, or is
// closed, and a later emergency of the slot has taken the report's place.
func (w *emergencyWatch) uncarried(ctx context.Context, r rotation.Request) (rotation.EmergencyReport, error) {
	if known, ever := w.reports[r.ID]; ever && known.TakenUpAt != nil && known.Over {
		return known, nil
	}
	now, err := w.from.Request(ctx, r.ID)
	if err != nil {
		return rotation.EmergencyReport{}, err
	}
	deadline := r.At.Add(r.Deadline)
	e := rotation.EmergencyReport{Slot: r.Slot, Requests: []int64{r.ID}, AskedAt: &r.At, Deadline: &deadline, RevokeFirst: r.RevokeFirst,
		TokenID: r.TokenID, Revoked: []rotation.RevokedToken{}, Alive: []rotation.AliveToken{}, Targets: []rotation.EmergencyTarget{}}
	if !now.ClosedAt.IsZero() {
		e.Over, e.Outcome, e.OverAt = true, now.Outcome, &now.ClosedAt
	}
	return e, nil
}

// pending reports whether a request is still waited for. What is over with
// something to explain is looked at twice: no report may be of it because it was
// carried out since, and a pass tells at its end why it couldn't read a target.
func (w *emergencyWatch) pending(request int64) bool {
	e := w.reports[request]
	switch {
	case !e.Over, w.over[request] < 2 && (e.TakenUpAt == nil || e.Left() > 0):
		return true
	case !w.order.wait || e.Blocked != "":
		return false
	}
	for _, t := range e.Targets {
		if !t.Delivered && t.Reason != rotation.TargetHoldsForeign && t.Reason != rotation.TargetHoldsOther { // these need a person
			return true
		}
	}
	return false
}

// answered reports whether there is an answer: nothing is waited for any more,
// or what isn't over is past its deadline, and nothing goes on.
func (w *emergencyWatch) answered(now time.Time) bool {
	settled, late := true, true
	for id, e := range w.reports {
		if w.pending(id) {
			settled = false
			late = late && !w.now.Before(*e.Deadline)
		}
	}
	return settled || late && !w.order.wait && now.Sub(w.news) > lateness
}

// tell tells what is new.
func (w *emergencyWatch) tell(e rotation.EmergencyReport) {
	for _, line := range newsOf(e) {
		if !w.told[line] {
			w.told[line], w.news = true, time.Now()
			fmt.Fprintln(w.app.err, line)
		}
	}
}

// answer prints the reports and makes the exit code of them.
func (w *emergencyWatch) answer() error {
	all := emergencies{}
	left, slip := false, false
	for _, r := range w.stored {
		e := w.reports[r.ID]
		all.Emergencies = append(all.Emergencies, e)
		slip = slip || e.Outcome == rotation.NoSuchToken
		bare := e.RevokeOnly && w.order.kind == rotation.RequestEmergency && len(e.Revoked) > 0 // nothing could be issued
		left = left || bare || !e.Over || e.TakenUpAt == nil || e.Left() > 0 || len(e.Alive) > 0
	}
	a := w.app
	if err := a.print(all, all.write); err != nil {
		return err
	}
	switch {
	case slip:
		return fmt.Errorf("revoke token %d for %s: %s", w.order.tokenID, w.stored[0].Slot, rotation.NoSuchToken)
	case left:
		return &exit{code: exitPartly}
	}
	return nil
}
