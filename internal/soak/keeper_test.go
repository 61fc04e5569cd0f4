package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// kept is a keeper of a shell script, and what it complained of.
type kept struct {
	*keeper
	excuse atomic.Bool

	mu   sync.Mutex
	said []string
}

func keep(t *testing.T, script string) *kept {
	t.Helper()
	k := &kept{}
	k.keeper = &keeper{
		launch:  func() (*outside.Process, error) { return outside.Start(nil, nil, "sh", "-c", script) },
		excused: k.excuse.Load,
		complain: func(how string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.said = append(k.said, how)
		},
	}
	t.Cleanup(k.close)
	k.start()
	return k
}

// complaints are what the keeper said.
func (k *kept) complaints() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.said, "; ")
}

// await waits until the keeper has started so many.
func (k *kept) await(t *testing.T, starts int) {
	t.Helper()
	if err := outside.Await(context.Background(), time.Minute, "a start", func() (bool, string) {
		n, _ := k.counts()
		return n >= starts, fmt.Sprint(n, " ", k.complaints())
	}); err != nil {
		t.Fatal(err)
	}
}

// TestKeeperKills: an agent that the keeper ends isn't complained of, and comes
// again when it is told to.
func TestKeeperKills(t *testing.T) {
	k := keep(t, "sleep 1000")
	for range 3 {
		first := k.current()
		k.start() // one runs already
		if !k.kill() || first.Running() || k.current() != nil {
			t.Fatal("the agent wasn't killed")
		}
		if k.kill() {
			t.Error("an agent was killed twice")
		}
		k.start()
	}
	k.terminate()
	if starts, exits := k.counts(); starts != 4 || exits != 0 || !strings.Contains(k.complaints(), "status -1 when it was told to end") {
		t.Errorf("%d starts, %d exits; %q", starts, exits, k.complaints())
	}
}

// TestKeeperMinds: an agent that ends by itself is started again, and complained
// of unless it is excused.
func TestKeeperMinds(t *testing.T) {
	k := keep(t, "exit 3")
	k.await(t, 3)
	if said := k.complaints(); !strings.Contains(said, "ended by itself with status 3") {
		t.Errorf("it said %q", said)
	}
	k.close()

	k = keep(t, "sleep 0.2; exit 3")
	k.excuse.Store(true)
	k.await(t, 2)
	if _, exits := k.counts(); exits == 0 || k.complaints() != "" {
		t.Errorf("%d exits; it said %q", exits, k.complaints())
	}
}

// TestKeeperTerminates: an agent that ends with 0 when it is told so is right.
func TestKeeperTerminates(t *testing.T) {
	for code, want := range map[int]string{0: "", 5: "ended with status 5 when"} {
		file := t.TempDir() + "/ready"
		k := keep(t, fmt.Sprintf(`trap "exit %d" TERM; : >%s; while :; do sleep 0.05; done`, code, file))
		awaitFile(t, file)
		k.terminate()
		if said := k.complaints(); want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("it said %q, want %q", said, want)
		}
		if k.current() != nil {
			t.Error("it was started again")
		}
	}
}

// TestKeeperCantStart: it tries again, and says so.
func TestKeeperCantStart(t *testing.T) {
	k := keep(t, "sleep 1000")
	k.kill()
	launch := k.launch
	var tries atomic.Int64
	k.launch = func() (*outside.Process, error) {
		if tries.Add(1) == 1 {
			return nil, fmt.Errorf("no such program")
		}
		return launch()
	}
	k.start()
	k.await(t, 2)
	if said := k.complaints(); !strings.Contains(said, "can't be started: no such program") {
		t.Errorf("it said %q", said)
	}
}
