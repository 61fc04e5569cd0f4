package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// agent is one agent: a disk, and one process after the other on it. Its
// fields are the world's: they are used with the world locked.
type agent struct {
	w       *World
	name    string
	runs    int
	disk    Disk
	journal rotation.Journal // the last process's hold on the disk
	copy    Disk             // a backup
	full    time.Time        // the disk is full until
	down    time.Time        // nobody starts it before
	wrong   time.Duration    // the local clock, beside the API's
	retired bool             // it is never started again
	states  map[string]rotation.SlotState
	current *life
	// records and account are what the journal is known to have.
	records map[string]rotation.Record
	account *rotation.AccountRecord
}

// life is one process. What it started dies with it.
type life struct {
	agent  *agent
	engine *rotation.Engine
	dead   atomic.Bool
	// ahead is what the process takes for the API's time, beside the real one:
	// not zero before the first answer, and after its clock was set.
	ahead atomic.Int64
	// The rest is used with the world locked. looked is when this process last
	// read each target, proved is when it last proved each token.
	looked map[string]moment
	proved map[int64]moment
	began  time.Time
	stood  time.Time // when it last went on after it had stood still
	loaded moment    // when it last read the declaration
	// read is when it last took a target's value, not only its description;
	// unread: its last attempt failed.
	read   map[string]time.Time
	unread map[string]bool
	listed moment // what its last list of tokens showed; zero when it lagged
	// unsure are the labels whose post had no answer, or none that says what
	// became of it.
	unsure map[string]bool
	// woken: an operator asked for something.
	woken chan struct{}
	// slots is the declaration of that edition, as this process runs it.
	slots   []rotation.Declared
	edition int
	// late: the process was held up between its last look and this act;
	// landing: the act takes place after its caller had given up.
	late, landing bool
}

var errCrashed = errors.New("this process has ended")

func (w *World) newAgent(name string, disk Disk) (*agent, error) {
	a := &agent{w: w, name: name, disk: disk, states: map[string]rotation.SlotState{}}
	w.agents = append(w.agents, a)
	return a, a.open()
}

// open takes hold of the disk, as the next process.
func (a *agent) open() (err error) {
	a.records, a.account = map[string]rotation.Record{}, nil
	a.journal, err = a.disk.Open()
	if err != nil {
		return fmt.Errorf("journal of agent %s: %w", a.name, err)
	}
	return nil
}

// record is what the journal has of a slot; the zero Record for nothing. It is
// not to be changed.
func (a *agent) record(slot string) rotation.Record {
	if rec, known := a.records[slot]; known {
		return rec
	}
	rec, err := a.journal.Slot(context.Background(), slot)
	if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
		a.w.check.breach("the journal can't be read: %v", err)
	}
	a.records[slot] = rec
	return rec
}

// accountRecord is record for the account.
func (a *agent) accountRecord() rotation.AccountRecord {
	if a.account != nil {
		return *a.account
	}
	rec, err := a.journal.Account(context.Background(), rotation.AccountID(accountName))
	if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
		a.w.check.breach("the journal can't be read: %v", err)
	}
	a.account = &rec
	return rec
}

// committed takes note of what a journal took, if it is still this agent's.
func (a *agent) committed(to rotation.Journal, rec rotation.Record) {
	if to == a.journal {
		a.records[rec.Slot] = rec
	}
}

// committedAccount is committed for the account.
func (a *agent) committedAccount(to rotation.Journal, rec rotation.AccountRecord) {
	if to == a.journal {
		a.account = &rec
	}
}

// process names the process that runs.
func (a *agent) process() string { return fmt.Sprintf("%s-%d", a.name, a.runs) }

// start begins a new process on the journal as it is now.
func (a *agent) start() *life {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.runs++
	if err := a.open(); err != nil {
		a.w.check.breach("%v", err)
	}
	l := &life{agent: a, looked: map[string]moment{}, proved: map[int64]moment{}, read: map[string]time.Time{}, unread: map[string]bool{}, unsure: map[string]bool{},
		woken: make(chan struct{}, 1), began: time.Now()}
	l.ahead.Store(int64(a.wrong))
	var log *slog.Logger
	if a.w.log != nil {
		log = slog.New(slog.NewJSONHandler(a.w.log, nil))
	}
	l.engine = rotation.New(rotation.Options{Issuer: issuer{l}, Journal: journal{a.journal, l}, Log: log,
		Process: a.process(), InTurn: true, OnEvent: func(e rotation.Event) { a.w.check.event(l, e) }})
	a.current = l
	return l
}

// live runs one process after the other until ctx is done.
func (a *agent) live(ctx context.Context) {
	for ctx.Err() == nil {
		a.w.mu.Lock()
		retired, down := a.retired, a.down
		a.w.mu.Unlock()
		if retired {
			return
		}
		if wait := time.Until(down); wait > 0 {
			sleep(ctx, min(wait, 6*time.Hour))
			continue
		}
		a.start().run(ctx)
		r := a.w.dice.next("restart " + a.name)
		sleep(ctx, between(r, time.Second, 10*time.Minute))
	}
}

// run passes over the slots as the agent's queue would, until the process dies.
func (l *life) run(ctx context.Context) {
	next, failed := map[string]time.Time{}, map[string]int{}
	for ctx.Err() == nil && !l.dead.Load() {
		soonest := time.Now().Add(6 * time.Hour) // looks for a changed declaration
		for _, d := range l.agent.w.engineSlots(l) {
			slot := d.Policy.Slot
			if at, known := next[slot]; !known || !at.After(time.Now()) || l.agent.w.wanted(slot) {
				l.agent.w.passed()
				outcome, err := l.engine.Pass(ctx, d)
				if l.dead.Load() || ctx.Err() != nil {
					return
				}
				if errors.Is(err, rotation.ErrFenced) {
					l.dead.Store(true)
					return
				}
				if err != nil && !errors.Is(err, errDisk) {
					l.agent.w.failed(slot, err)
				}
				next[slot] = l.local(outcome.NextAt)
				if failed[slot]++; err == nil {
					failed[slot] = 0
				}
				if err != nil || outcome.NextAt.IsZero() {
					next[slot] = time.Now().Add(time.Minute * time.Duration(min(1+failed[slot], 5)))
				}
			}
			if next[slot].Before(soonest) {
				soonest = next[slot]
			}
		}
		l.rest(ctx, max(time.Second, time.Until(soonest)))
	}
}

// rest waits so long, or until an operator asks for something. Two agents never
// wake at one instant, nor while an operator still acts, so that a world replays.
func (l *life) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.woken:
		sleep(ctx, time.Second)
	case <-ctx.Done():
	}
	sleep(ctx, time.Duration(len(l.agent.name))*time.Microsecond)
}

// failed: a pass ended in a way that no fault explains.
func (w *World) failed(slot string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.breach("a pass over %s failed: %v", slot, err)
}

// now is what the process takes for the API's time, local is the bubble's.
func (l *life) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

func (l *life) local(t time.Time) time.Time { return t.Add(-time.Duration(l.ahead.Load())) }

// wanted reports whether an operator asked for the slot.
func (w *World) wanted(slot string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.check.wanted[slot]
	delete(w.check.wanted, slot)
	return was
}

// written keeps what was logged.
type written struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write takes it in.
func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(p)
}

// bytes is all of it so far.
func (w *written) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.all.Bytes())
}
