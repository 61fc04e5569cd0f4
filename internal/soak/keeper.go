package main

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

const (
	// respawn is the pause before an agent that ended by itself is started
	// again, as an init system does.
	respawn = 300 * time.Millisecond
	// endTimeout bounds an agent's end after SIGTERM.
	endTimeout = 30 * time.Second
)

// keeper keeps one agent running. An agent ends when the keeper is told so; one
// that ends by itself is started again, and complained of unless it is excused.
type keeper struct {
	launch  func() (*outside.Process, error)
	excused func() bool
	// complain tells of an agent that ended with this status.
	complain func(how string)

	mu      sync.Mutex
	process *outside.Process // nil while none runs
	pending *time.Timer      // the next start
	closed  bool
	starts  int
	exits   int // excused ones
}

// start starts an agent unless one runs.
func (k *keeper) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.startLocked()
}

func (k *keeper) startLocked() {
	if k.process != nil || k.closed {
		return
	}
	p, err := k.launch()
	if err != nil {
		k.complain(fmt.Sprintf("can't be started: %v", err))
		k.pending = time.AfterFunc(respawn, k.start)
		return
	}
	k.process = p
	k.starts++
	go k.mind(p)
}

// mind waits for the end of a process that nobody has taken.
func (k *keeper) mind(p *outside.Process) {
	<-p.Exited
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.process != p {
		return
	}
	k.process = nil
	if k.excused() {
		k.exits++
	} else {
		k.complain(fmt.Sprintf("ended by itself with status %d", p.ExitCode()))
	}
	k.pending = time.AfterFunc(respawn, k.start)
}

// current is the running agent; nil while there is none.
func (k *keeper) current() *outside.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.process
}

// take takes the running agent, if there is one, from the keeper, who starts
// none until it is told.
func (k *keeper) take() *outside.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.process
	k.process = nil
	if k.pending != nil {
		k.pending.Stop()
		k.pending = nil
	}
	return p
}

// kill ends the agent as the machine's end would. It reports whether one ran.
func (k *keeper) kill() bool {
	p := k.take()
	if p != nil {
		p.Kill()
	}
	return p != nil
}

// terminate asks the agent to end. That takes its time, and ends with 0 unless
// it is excused.
func (k *keeper) terminate() {
	p := k.take()
	if p == nil {
		return
	}
	defer p.Kill()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		k.complain(fmt.Sprintf("can't be told to end: %v", err))
		return
	}
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.Exited:
		if code := p.ExitCode(); code != 0 && !k.excused() {
			k.complain(fmt.Sprintf("ended with status %d when it was told to end", code))
		}
	case <-timer.C:
		k.complain(fmt.Sprintf("didn't end within %s of SIGTERM", endTimeout))
	}
}

// close ends the agent for good.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.kill()
}

// counts are the starts, and the ends by itself that were excused.
func (k *keeper) counts() (starts, exits int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.starts, k.exits
}
