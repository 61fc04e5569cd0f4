package faulty

import (
	"context"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
)

// Op names a method of a backend, as errors do.
type Op string

// The methods that take a place.
const (
	Put      Op = "put"
	Get      Op = "get"
	Stage    Op = "stage"
	Promote  Op = "promote"
	Describe Op = "describe"
	Check    Op = "check"
	Remove   Op = "remove"
)

// Writes reports whether the method changes the store.
func (o Op) Writes() bool {
	return o == Put || o == Stage || o == Promote || o == Remove
}

// Call is one use of a backend.
type Call struct {
	// N counts the calls of one Backend from 1.
	N   int
	Op  Op
	Ref backends.Ref
	// At is the stage that a Get asks for.
	At backends.Stage
}

// Fault is what goes wrong with one call. The zero Fault is nothing. The
// functions may block; they see the call's own context.
type Fault struct {
	// Before runs before the act. When it fails, the act doesn't take place.
	Before func(ctx context.Context) error
	// After runs after the act, with its error. When it fails, the caller
	// gets that error, whatever the act did.
	After func(err error) error
	// Late takes the act out of the call: the caller gets UnknownOutcome at
	// once, and the act takes place when land is called, if ever. Calls that
	// change nothing are not affected.
	Late func(land func())
}

// Script chooses the fault of each call. It is called for one call at a time
// and must not block.
type Script func(Call) Fault

// Fail makes a call fail before the act. err is a kind of package backends, or
// a whole *backends.Error.
func Fail(err error) Fault {
	return Fault{Before: func(context.Context) error { return err }}
}

// FailAfter makes a call fail after its act took place.
func FailAfter(err error) Fault {
	return Fault{After: func(error) error { return err }}
}

// LoseAnswer is a write that took place, and nobody was told.
func LoseAnswer() Fault { return FailAfter(backends.ErrUnknownOutcome) }

// Delay waits before the act, or fails with the context.
func Delay(d time.Duration) Fault {
	return Fault{Before: func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

// Hang never answers: the call fails when its context ends.
func Hang() Fault {
	return Fault{Before: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
}

// LandLate is a write that times out and takes place when the test calls what
// keep was given.
func LandLate(keep func(land func())) Fault { return Fault{Late: keep} }

// Nothing is the script without faults: it counts calls.
func Nothing() Script { return func(Call) Fault { return Fault{} } }

// Always gives every call of op the same fault.
func Always(op Op, fault Fault) Script {
	return func(c Call) Fault {
		if c.Op == op {
			return fault
		}
		return Fault{}
	}
}

// InTurn gives the first call of op the first fault, and so on; later calls
// have none.
func InTurn(op Op, faults ...Fault) Script {
	var mu sync.Mutex
	return func(c Call) Fault {
		mu.Lock()
		defer mu.Unlock()
		if c.Op != op || len(faults) == 0 {
			return Fault{}
		}
		next := faults[0]
		faults = faults[1:]
		return next
	}
}

// Both asks one script after the other; the first fault wins.
func Both(scripts ...Script) Script {
	return func(c Call) Fault {
		for _, s := range scripts {
			f := s(c)
			if f.Before != nil || f.After != nil || f.Late != nil {
				return f
			}
		}
		return Fault{}
	}
}
