package rotationtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// condemning are the emergencies in which the token may be revoked: it is named,
// or it is one of the slot's and from before.
func (l *Lab) condemning(t rotation.Token) (all []rotation.Request) {
	_, ours := rotation.ParseLabel(t.Label, LabToken, "lab")
	for _, q := range l.emergencies {
		if q.TokenID == t.ID || q.TokenID == 0 && ours && t.Created.Before(q.At) {
			all = append(all, q)
		}
	}
	return all
}

// deadline is when an emergency that was taken up at once waits no longer.
func deadline(q rotation.Request) time.Time { return q.At.Add(cmp.Or(q.Deadline, 30*time.Second)) }

// waitsForNobody reports whether one of these emergencies revokes at now whatever
// the targets serve.
func waitsForNobody(all []rotation.Request, now time.Time) bool {
	return slices.ContainsFunc(all, func(q rotation.Request) bool {
		return q.RevokeFirst || q.Kind == rotation.RequestRevoke || !now.Before(deadline(q))
	})
}

// revokingNow checks the guard of an emergency: no target serves the token, or
// another dead one, unless the deadline is over or nobody was to be waited for.
// A token that isn't the slot's is named, and is nobody's to wait for.
func (l *Lab) revokingNow(all []rotation.Request, victim rotation.Token) {
	if _, ours := rotation.ParseLabel(victim.Label, LabToken, "lab"); !ours || waitsForNobody(all, l.API.now()) {
		return
	}
	for i, t := range l.Slot.Targets {
		serves := l.API.within(l.Stores[i].Peek(t.Ref.Path))
		if serves != nil && (serves.ID == victim.ID || !l.API.works(serves)) {
			l.breach("promise 2: %s is revoked before the deadline while %s serves no other live token", victim.Label, t.Key())
		}
	}
}

// cutOff reports whether a target may serve the dead token, because an operator's
// emergency wouldn't wait for that target.
func (l *Lab) cutOff(t rotation.Token) bool { return waitsForNobody(l.condemning(t), l.API.Now()) }

// Unanswered finds requests that are still open.
func (l *Lab) Unanswered() {
	open, err := l.Journal.Requests(context.Background(), l.Slot.Policy.Slot)
	if err != nil || len(open) > 0 {
		l.breach("requests are open at the end: %v, %v", open, err)
	}
}

// Leaks finds the tokens that live although an emergency's deadline was over so
// long ago.
func (l *Lab) Leaks(bound time.Duration) {
	l.API.mu.Lock()
	defer l.API.mu.Unlock()
	for _, t := range l.API.tokens {
		for _, q := range l.condemning(t.Token) {
			if over := l.API.now().Sub(deadline(q)); over > bound && l.API.works(&t) {
				l.breach("emergency: %s lives %s after the deadline", t.Label, over)
			}
		}
	}
}
