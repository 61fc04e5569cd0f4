package world

import (
	"context"

	"github.com/handover-agent/handover/rotation"
)

// request is an operator's word, put into an agent's journal.
func (w *World) request(a *agent, slot string, kind rotation.RequestKind) {
	if kind != rotation.RequestRotate {
		w.check.calls.resumed = w.moment()
	}
	q, err := a.journal.AddRequest(context.Background(), rotation.Request{Kind: kind, Slot: slot, Actor: "operator"})
	if err != nil {
		w.check.breach("a request was not taken: %v", err)
	}
	if a.current != nil {
		a.current.engine.Asked(q)
	}
	w.check.wanted[slot] = true
}
