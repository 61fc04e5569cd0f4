package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

const (
	// commitWait bounds the wait for a commit at which the agent is killed.
	commitWait = 3 * time.Second
	// meetWait bounds the wait for the agent to meet a full disk.
	meetWait = 10 * time.Second
)

// play lets one lane's faults happen until ctx is done; the last one is mended
// before it returns.
func (f *field) play(ctx context.Context, d *dealer) {
	for {
		h := d.next()
		if wait(ctx, h.after); ctx.Err() != nil {
			return
		}
		f.Logf("%s begins, for %s", h.kind, h.length.Round(time.Millisecond))
		met := f.strike(ctx, h)
		if met {
			f.counts[h.kind].Add(1)
		}
		f.Logf("%s ends; met: %t", h.kind, met)
	}
}

// strike lets one fault happen and mends it. It reports whether it met what it
// was for.
func (f *field) strike(ctx context.Context, h hit) bool {
	switch h.kind {
	case kill, killWait:
		return f.strikeKill(ctx, h)
	case pause:
		return f.strikePause(ctx, h)
	case diskFull:
		return f.strikeDisk(ctx, h)
	case vaultRestart:
		f.vault.Kill()
		wait(ctx, h.length/2)
		f.vault.Restart(f)
		wait(ctx, h.length/2) // it is sealed
		f.vault.Unseal(f)
	case apiRestart:
		f.sim.kill()
		wait(ctx, h.length)
		f.must(f.sim.start())
	default:
		return f.strikeWire(ctx, h)
	}
	return true
}

// strikeKill kills the agent, every second time when it has just committed
// something: then it is about to act, or has acted.
func (f *field) strikeKill(ctx context.Context, h hit) bool {
	if h.knob&1 == 0 {
		f.awaitCommit(ctx)
		wait(ctx, time.Duration(h.knob>>1%25)*time.Millisecond)
	}
	met := f.keeper.kill()
	if h.kind == killWait {
		wait(ctx, h.length)
	}
	f.keeper.start()
	return met
}

// awaitCommit waits until the agent has written its journal.
func (f *field) awaitCommit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, commitWait)
	defer cancel()
	written := func() time.Time {
		info, err := os.Stat(f.path("state/state.db-wal"))
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	for before := written(); ctx.Err() == nil && written().Equal(before); {
		wait(ctx, time.Millisecond)
	}
}

func (f *field) strikePause(ctx context.Context, h hit) bool {
	p := f.keeper.current()
	if p == nil {
		return false
	}
	f.must(p.Signal(syscall.SIGSTOP))
	wait(ctx, h.length)
	f.must(p.Signal(syscall.SIGCONT))
	return true
}

// strikeDisk fills the journal's disk: under an agent that runs, under one whose
// write-ahead log has yet to grow, or before it starts. It lasts until the
// agent has met it, if it does. Half of the agents are killed on the full disk.
func (f *field) strikeDisk(ctx context.Context, h hit) bool {
	said, exits := f.logged(), f.exits()
	switch h.knob % 3 {
	case 0: // as it runs
	case 1:
		f.terminate(ctx)
		f.keeper.start()
		f.awaitCommit(ctx)
	case 2:
		f.terminate(ctx)
	}
	f.must(f.disk.fill())
	f.keeper.start()
	wait(ctx, h.length)
	met := outside.Await(ctx, meetWait, "the agent to meet a full disk", func() (bool, string) {
		return f.exits() > exits || f.saidSince(said, fullDisk), ""
	}) == nil
	if h.knob>>2&1 == 0 {
		f.keeper.kill()
	}
	f.must(f.disk.free())
	f.keeper.start()
	return met
}

func (f *field) exits() int {
	_, exits := f.keeper.counts()
	return exits
}

// logged is the size of the agent's log.
func (f *field) logged() int64 {
	info, err := os.Stat(f.agentLog())
	f.must(err)
	return info.Size()
}

// saidSince reports whether the agent said something behind that place of its
// log.
func (f *field) saidSince(from int64, text string) bool {
	log, err := os.Open(f.agentLog())
	f.must(err)
	defer func() { _ = log.Close() }() // only read from
	said, err := io.ReadAll(io.NewSectionReader(log, from, math.MaxInt64-from))
	f.must(err)
	return bytes.Contains(said, []byte(text))
}

func (f *field) strikeWire(ctx context.Context, h hit) bool {
	name, fault, _ := strings.Cut(string(h.kind), "_")
	mend, err := spoil(f.wires[name], fault, h.knob)
	f.must(err)
	wait(ctx, h.length)
	f.must(mend())
	return true
}

// keepJournal copies the journal, whose disk ends with this program.
func (f *field) keepJournal() {
	files, err := filepath.Glob(f.path("state/state.db*"))
	f.must(err)
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil { // SQLite may have removed it
			f.must(os.WriteFile(filepath.Join(f.dir, filepath.Base(file)), content, 0o600))
		}
	}
}
