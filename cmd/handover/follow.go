package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const (
	// glance is how often a running agent is asked how far it is.
	glance = 250 * time.Millisecond
	// again is how long to wait before slots that waited are tried again.
	again = 5 * time.Second
)

// pause waits for d; false when ctx is done before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow asks a running agent until every target of every slot serves a newer
// token than before, and tells on err how far it is. A slot that needs a person
// isn't waited for.
func (a *app) follow(ctx context.Context, client *control.Client, stored []rotation.Request, before report.Document) error {
	old := generationsOf(before)
	told := map[string]string{}
	ended := map[string]outcome{}
	for {
		doc, err := client.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("told to end the waiting; %s with the agent, which goes on", areIn(stored))
		case errors.Is(err, control.ErrNoAgent):
			return fmt.Errorf("the agent has ended; %s in its journal, and its next run goes on: %w", areIn(stored), err)
		case err != nil:
			return err
		}
		bySlot := statusOf(doc)
		for _, r := range stored {
			s, declared := bySlot[r.Slot]
			if !declared { // a reload took it away
				ended[r.Slot] = outcome{Request: r.ID, Kind: r.Kind, Slot: r.Slot, State: stateWaiting, Reason: rotation.DeclarationChanged}
				continue
			}
			if line := progress(s); told[r.Slot] != line {
				told[r.Slot] = line
				fmt.Fprintln(a.err, line)
			}
			if _, over := ended[r.Slot]; over {
				continue
			}
			if end, over := a.ended(ctx, client, r, s, old[r.Slot]); over {
				ended[r.Slot] = end
			}
		}
		if len(ended) == len(stored) {
			return a.done(inOrder(stored, ended))
		}
		pause(ctx, glance)
	}
}

// ended reports whether a request has come to its end, and to which.
func (a *app) ended(ctx context.Context, client *control.Client, r rotation.Request, s rotation.Status, old uint64) (outcome, bool) {
	end := outcome{Request: r.ID, Kind: r.Kind, Slot: r.Slot, State: stateSettled, Generation: s.Generation}
	switch {
	case needsPerson(s) && (s.Generation > old || stuck(s)):
		end.State, end.Reason = stateWaiting, s.Reason
		return end, true
	case s.State != rotation.SlotCurrent || s.Generation <= old:
		return end, false
	}
	now, err := client.Request(ctx, r.ID) // what is served may be of an earlier reason
	return end, err == nil && !now.ClosedAt.IsZero()
}

// needsPerson reports whether nothing but a person brings a slot on: it is
// blocked or paused, or the targets that lack the current token hold what isn't the
// agent's.
func needsPerson(s rotation.Status) bool {
	if s.State != rotation.SlotDelivering {
		return s.State == rotation.SlotBlocked || s.State == rotation.SlotPaused
	}
	return !slices.ContainsFunc(s.Targets, func(t rotation.TargetStatus) bool { return t.State == rotation.Behind })
}

// stuck reports whether a slot that needs a person gets no new token before.
func stuck(s rotation.Status) bool {
	return s.State == rotation.SlotBlocked || s.State == rotation.SlotPaused ||
		!slices.ContainsFunc(s.Targets, func(t rotation.TargetStatus) bool { return t.State == rotation.InStep })
}

func statusOf(doc report.Document) map[string]rotation.Status {
	bySlot := map[string]rotation.Status{}
	for _, s := range doc.Slots {
		bySlot[s.Slot] = s
	}
	return bySlot
}

// progress is how far a slot is, in one line.
func progress(s rotation.Status) string {
	serve := 0
	for _, t := range s.Targets {
		if t.State == rotation.InStep {
			serve++
		}
	}
	line := fmt.Sprintf("%s: %s, generation %d at %d of %s", s.Slot, s.State, s.Generation, serve, number(len(s.Targets), "target"))
	if s.State != rotation.SlotCurrent {
		line += fmt.Sprintf(" (%s)", s.Reason)
	}
	return line
}

func generationsOf(doc report.Document) map[string]uint64 {
	all := map[string]uint64{}
	for _, s := range doc.Slots {
		all[s.Slot] = s.Generation
	}
	return all
}

func inOrder(stored []rotation.Request, ended map[string]outcome) []outcome {
	all := make([]outcome, len(stored))
	for i, r := range stored {
		all[i] = ended[r.Slot]
	}
	return all
}

// areIn begins a sentence on requests: "request 3 is", "requests 3 to 5 are".
func areIn(stored []rotation.Request) string {
	if len(stored) == 0 { // pauses hold all slots
		return "what was asked for is"
	}
	if len(stored) == 1 {
		return fmt.Sprintf("request %d is", stored[0].ID)
	}
	return fmt.Sprintf("requests %d to %d are", stored[0].ID, stored[len(stored)-1].ID)
}
