package agent

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// slow is an API whose mints wait for a word. The request itself doesn't look
// at its context: it is on its way.
type slow struct {
	http.RoundTripper
	entered, leave chan struct{}
	once           sync.Once
}

func newSlow(api *sim.Server) *slow {
	return &slow{RoundTripper: api.Transport(), entered: make(chan struct{}), leave: make(chan struct{})}
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.URL.Path == "/api/user-tokens" {
		s.once.Do(func() { close(s.entered) })
		<-s.leave
	}
	return s.RoundTripper.RoundTrip(r)
}

// The end falls between two acts: a mint that is under way is finished and
// committed, and nothing new is begun.
func TestStopFinishesTheActUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		api := newSlow(w.api)
		a := w.agent(func(o *Options) { o.Transport = api })
		run := w.drive(a)
		<-api.entered
		ended := make(chan error, 1)
		go func() { ended <- run.stop() }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("drive ended (%v) while a mint was under way", err)
		default:
		}
		close(api.leave)
		if err := <-ended; err != nil {
			t.Errorf("drive = %v", err)
		}
		if got := len(w.acts(pipelineSlot, rotation.ActIssued)); got != 1 {
			t.Errorf("%d issues were committed, the one under way was expected", got)
		}
		if got := w.acts(pipelineSlot, rotation.ActProved, rotation.ActSending, rotation.ActDelivered); len(got) > 0 {
			t.Errorf("after the end it went on with %s", got[0].Act)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		goesOn(t, w)
	})
}

// goesOn starts a second process on the world's journal. It finds the value of
// the first token nowhere, so there is a second one, and the first is retired.
func goesOn(t *testing.T, w *world) {
	t.Helper()
	a, err := New(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := a.Once(t.Context())
	if err != nil || sum.Settled != 1 || w.serves("one", "pipeline") != "live" {
		t.Errorf("the next process: %+v, %v; the store serves: %s", sum, err, w.serves("one", "pipeline"))
	}
	tokens := w.api.LiveTokens("pipeline@service")
	if len(tokens) > 2 {
		t.Errorf("%d live tokens are there, the lost one and its replacement were expected", len(tokens))
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// An act that doesn't end is given up after a while, and is no failed attempt.
func TestStopDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		rule := w.api.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Times: -1, Effect: sim.Hang()})
		a := w.agent()
		run := w.drive(a)
		synctest.Wait()
		if rule.Struck() != 1 {
			t.Fatalf("%d mints hang, one was expected", rule.Struck())
		}
		began := time.Now()
		if err := run.stop(); err != nil {
			t.Errorf("drive = %v", err)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("the end took %s, an act under way may go on for 15s", took)
		}
		if got := w.acts(pipelineSlot, rotation.ActIssueFailed); len(got) > 0 {
			t.Error("the end of the process was counted as a failed issue")
		}
		rule.Remove()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		goesOn(t, w)
	})
}

func TestOnceEndsBetweenTwoActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		api := newSlow(w.api)
		a := w.agent(func(o *Options) { o.Transport, o.Concurrency = api, 1 })
		ctx, cancel := context.WithCancel(t.Context())
		var sum Summary
		var err error
		var once sync.WaitGroup
		once.Go(func() { sum, err = a.Once(ctx, pipelineSlot, gateSlot) })
		<-api.entered
		cancel()
		close(api.leave)
		once.Wait()
		if err == nil || sum.Settled != 0 || sum.Slots != 2 {
			t.Errorf("Once = %+v, %v after it was told to end", sum, err)
		}
		if len(w.acts(pipelineSlot, rotation.ActIssued)) != 1 || len(w.acts(gateSlot, rotation.ActIssued)) != 0 {
			t.Error("not just the act under way was finished")
		}
	})
}
