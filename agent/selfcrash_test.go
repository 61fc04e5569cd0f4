package agent

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation"
)

var errDead = errors.New("the process is dead")

// death ends an agent at its n-th step: before it is done, or after it was.
type death struct {
	at    int
	after bool
	end   func() // closes the journal

	mu   sync.Mutex
	n    int
	dead bool
}

func (d *death) step(do func() error) error {
	d.mu.Lock()
	d.n++
	dead, now := d.dead, d.n == d.at
	d.dead = dead || now
	d.mu.Unlock()
	switch {
	case now:
		if d.after {
			_ = do()
		}
		d.end()
		return errDead
	case dead:
		return errDead
	}
	return do()
}

// TestSelfCrashesAnywhere kills the agent at each of its steps, before and after
// it, from a request to rotate its own credential until the old token is
// deleted. The agent that starts again finds a credential that works, and brings
// the slot to rest.
func TestSelfCrashesAnywhere(t *testing.T) {
	each := 1
	if testing.Short() {
		each = 9
	}
	for at := 1; ; at += each {
		died := false
		for _, after := range []bool{false, true} {
			name := fmt.Sprintf("%d, after %v", at, after)
			synctest.Test(t, func(t *testing.T) { died = crashAt(t, name, at, after) })
		}
		if !died {
			if at < 20 {
				t.Errorf("the rotation took only %d steps", at)
			}
			return
		}
	}
}

func crashAt(t *testing.T, name string, at int, after bool) (died bool) {
	w := selfWorld(t)
	x := w.wire()
	run := settledOwn(w, x)
	old := w.secretAt("admin")
	d := &death{at: at, after: after, end: func() { _ = run.journal.Close() }}
	w.setStep(d.step)
	rotateOwn(t, run.Agent)
	later(6 * 24 * time.Hour) // grace and observation are over
	d.mu.Lock()
	died = d.dead
	d.mu.Unlock()
	kill(run)
	w.setStep(nil)

	again := w.drive(w.agent(x.through))
	later(6 * 24 * time.Hour)
	if doc, err := again.Status(t.Context()); err != nil || doc.Held != nil {
		t.Errorf("%s: calls wait: %+v, %v", name, doc.Held, err)
	}
	w.worksWithStored(again.Agent)
	if s := w.status(again.Agent, ownSlot); s.State != rotation.SlotCurrent || len(w.live()) != 1 || w.api.Check(old) == nil {
		t.Errorf("%s: the slot is %s (%s), live tokens %v, the old one %v", name, s.State, s.Reason, w.live(), w.api.Check(old))
	}
	if n := x.refusals(); n != 0 {
		t.Errorf("%s: %d calls were refused", name, n)
	}
	_ = again.stop()
	return died
}

func (w *world) setStep(step func(do func() error) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
}
