package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

const (
	// watchEvery is the least time from one look of a watcher to the next.
	watchEvery = 50 * time.Millisecond
	// fairHold is how long a client may hold a token until it has used it: less
	// than the grace. That this machine stops a client for longer is not the
	// agent's doing; such looks are counted apart.
	fairHold = 2 * time.Second
)

// watcher looks at one place again and again. From the first token on, it must
// always find one that works, but for what somebody else has just done there.
type watcher struct {
	name, place, account string
	client               client

	mu     sync.Mutex
	last   sight
	began  time.Time       // of the last look
	tokens map[string]bool // the fingerprints that it has seen
	looks  int
	slow   int
	wrong  []string
	// meddled is when somebody else wrote there, or took the value away; zero
	// once a look has found a working token again.
	meddled time.Time
}

func (w *watcher) look() {
	began := time.Now()
	seen := w.client.look(w.place)
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	delivered := len(w.tokens) > 0
	w.last, w.began = seen, began
	w.looks++
	theirs := !w.meddled.IsZero() && (seen.Found == none || seen.Found == dead)
	switch {
	case seen.Found == works && seen.Account == w.account:
		w.tokens[seen.Token] = true
		if began.After(w.meddled) {
			w.meddled = time.Time{}
		}
	case theirs, seen.Found == none && !delivered:
	case seen.Found == dead && took > fairHold:
		w.slow++
	default:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: at %s it found %+v, in %s", w.name, began.Format(time.StampMilli), seen, took))
	}
}

// meddle has somebody else change what stands there.
func (w *watcher) meddle(t *testing.T, act func(place string) sight) {
	t.Helper()
	w.setMeddled(time.Now().Add(time.Hour)) // no look so far is one after it
	if did := act(w.place); did.Found != works {
		t.Fatalf("%s: change what stands there: %+v", w.name, did)
	}
	w.setMeddled(time.Now())
}

func (w *watcher) setMeddled(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddled = at
}

// seen is the last look, and when it began.
func (w *watcher) seen() (sight, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.began
}

// watchers look at the places that hold one token.
type watchers []*watcher

// start starts them. They end with the test, or by the returned function.
func (all watchers) start(t *testing.T) (end func()) {
	t.Helper()
	var running sync.WaitGroup
	over := make(chan struct{})
	for _, w := range all {
		running.Go(func() {
			tick := time.NewTicker(watchEvery)
			defer tick.Stop()
			for {
				w.look()
				select {
				case <-tick.C:
				case <-over:
					return
				}
			}
		})
	}
	end = sync.OnceFunc(func() {
		close(over)
		running.Wait()
	})
	t.Cleanup(end)
	return end
}

// agree waits until all of them have found one working token in looks that
// began from now on, another one than the one named, and returns it.
func (all watchers) agree(t *testing.T, other string) string {
	t.Helper()
	from, token := time.Now(), ""
	await(t, patience, "all clients to find one token", func() (bool, string) {
		token = ""
		for _, w := range all {
			seen, began := w.seen()
			if began.Before(from) || seen.Found != works || token != "" && seen.Token != token {
				return false, fmt.Sprintf("%s found %+v at %s", w.name, seen, began.Format(time.TimeOnly))
			}
			token = seen.Token
		}
		return token != other, "it is the one before still"
	})
	return token
}

// judge looks at all that was found.
func (all watchers) judge(t *testing.T, tokens []string) {
	t.Helper()
	for _, w := range all {
		t.Logf("%s: %d looks found %d tokens; %d more held one for too long to count", w.name, w.looks, len(w.tokens), w.slow)
		if w.slow > 2+w.looks/50 {
			t.Errorf("%s was too slow in %d of %d looks", w.name, w.slow, w.looks)
		}
		for _, token := range tokens {
			if !w.tokens[token] {
				t.Errorf("%s never found the token %s, on which all agreed", w.name, token)
			}
		}
		for _, text := range w.wrong[:min(len(w.wrong), 10)] {
			t.Error(text)
		}
	}
}
