package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// watching is a watch over a simulator with one account, and one reader.
func watching(t *testing.T) (*watch, *mem.Store, *bytes.Buffer) {
	t.Helper()
	world, err := newSimulation("", time.Second, false, &app{streams: streams{err: io.Discard}, logLevel: "error"})
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(world.server)
	t.Cleanup(served.Close)
	if _, err := world.server.CreateAccount("Reader", "Member"); err != nil {
		t.Fatal(err)
	}
	story := &bytes.Buffer{}
	w := newWatch(&config.Declaration{}, world, strings.TrimPrefix(served.URL, "http://"), story)
	format, err := payload.New(payload.Spec{Format: "token", BackendType: "mem", Path: "x"})
	if err != nil {
		t.Fatal(err)
	}
	store := mem.New(mem.LikeFile())
	w.readers = []reader{{target: &backends.Target{Ref: backends.Ref{Backend: "one", Path: "x"},
		Backend: store.Backend(), Format: format}}}
	return w, store, story
}

// give puts a fresh token of the account into the store.
func give(t *testing.T, w *watch, store *mem.Store) (id int64) {
	t.Helper()
	id, value, err := w.server.CreateToken("reader@service", "label", 1)
	if err != nil {
		t.Fatal(err)
	}
	store.Overwrite("x", value)
	return id
}

func TestReaderCountsWhatIsRefused(t *testing.T) {
	w, store, story := watching(t)
	r := &w.readers[0]
	w.read(t.Context(), r) // nothing was delivered yet: nothing to read
	if s := w.summary(); s.Reads != 0 || !s.PromisesHeld {
		t.Errorf("before a delivery: %+v", s)
	}
	id := give(t, w, store)
	w.read(t.Context(), r)
	if s := w.summary(); s.Reads != 1 || s.RefusedReads != 0 || !s.PromisesHeld {
		t.Errorf("a live token: %+v", s)
	}
	if err := w.server.RevokeToken(id); err != nil {
		t.Fatal(err)
	}
	w.read(t.Context(), r)
	if s := w.summary(); s.Reads != 2 || s.RefusedReads != 1 || s.PromisesHeld {
		t.Errorf("a dead token: %+v", s)
	}
	if !strings.Contains(story.String(), "REFUSED               the token at one/x") {
		t.Errorf("the story doesn't tell it: %s", story)
	}
}

func TestReaderTellsWhatItCannotRead(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*mem.Store)
		says  string
	}{
		"emptied":     {func(s *mem.Store) { s.Delete("x") }, "holds no token any more"},
		"overwritten": {func(s *mem.Store) { s.Overwrite("x", secret.New("not\na token")) }, "holds no token any more"},
		"down":        {func(s *mem.Store) { s.SetDown(true) }, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w, store, _ := watching(t)
			give(t, w, store)
			w.read(t.Context(), &w.readers[0])
			c.spoil(store)
			w.read(t.Context(), &w.readers[0])
			if s := w.summary(); s.PromisesHeld || !strings.Contains(strings.Join(s.Broken, "\n"), c.says) {
				t.Errorf("%+v, %q was expected", s, c.says)
			}
		})
	}
}

// What holds at the end: each target serves a live token, and a person's token
// was left alone.
func TestFinish(t *testing.T) {
	for name, c := range map[string]struct {
		arrange  func(*testing.T, *watch, *mem.Store)
		complete bool
		says     string // "" for a good end
	}{
		"all is well": {func(t *testing.T, w *watch, s *mem.Store) { give(t, w, s) }, false, ""},
		"a dead token": {func(t *testing.T, w *watch, s *mem.Store) {
			if err := w.server.RevokeToken(give(t, w, s)); err != nil {
				t.Fatal(err)
			}
		}, false, "holds a dead token at the end"},
		"never delivered":         {func(*testing.T, *watch, *mem.Store) {}, true, "holds no token at the end"},
		"not delivered so far":    {func(*testing.T, *watch, *mem.Store) {}, false, ""},
		"never read":              {func(t *testing.T, w *watch, s *mem.Store) { give(t, w, s) }, true, "nobody read anything"},
		"a person's token":        {byHand(false), false, ""},
		"a person's token is out": {byHand(true), false, "made by hand is revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			w, store, _ := watching(t)
			c.arrange(t, w, store)
			w.complete = c.complete
			w.finish()
			s := w.summary()
			if broken := strings.Join(s.Broken, "\n"); s.PromisesHeld != (c.says == "") || !strings.Contains(broken, c.says) {
				t.Errorf("broken: %q, %q was expected", broken, c.says)
			}
		})
	}
}

// byHand leaves a person's token on the account, revoked or not.
func byHand(revoked bool) func(*testing.T, *watch, *mem.Store) {
	return func(t *testing.T, w *watch, s *mem.Store) {
		give(t, w, s)
		w.event(rotation.Event{Act: rotation.ActCreatedAccount, Account: "reader@service"})
		if w.byHand == 0 {
			t.Fatal("a person made no token")
		}
		if !revoked {
			return
		}
		if err := w.server.RevokeToken(w.byHand); err != nil {
			t.Fatal(err)
		}
	}
}

// The token of a person is watched over in later runs too.
func TestWatchKnowsTheTokenOfAnEarlierRun(t *testing.T) {
	w, store, story := watching(t)
	byHand(false)(t, w, store)
	world := &simulation{server: w.server, clock: w.clock}
	if later := newWatch(w.declaration, world, w.address, story); later.byHand != w.byHand {
		t.Errorf("a later watch looks at token %d, a person made %d", later.byHand, w.byHand)
	}
}

func TestDevVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		s                summary
		judged, complete bool
		code             int
	}{
		"held":                {summary{PromisesHeld: true}, true, true, exitDone},
		"broken":              {summary{Broken: []string{"x"}}, true, true, exitFailed},
		"broken, not judged":  {summary{Broken: []string{"x"}}, false, false, exitDone},
		"held, and cut short": {summary{PromisesHeld: true}, true, false, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := &app{streams: streams{out: &out, err: &errs}, output: "table"}
			if code := a.report(a.verdict(c.s, c.judged, c.complete)); code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			if got := strings.Contains(out.String(), "BROKEN: x"); got != (len(c.s.Broken) > 0) {
				t.Errorf("printed was %s", out.String())
			}
		})
	}
}
