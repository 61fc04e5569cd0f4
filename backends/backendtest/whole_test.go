package backendtest_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// whole is a backend with every capability, each method of which a flaw can
// replace.
type whole struct {
	put      func(context.Context, backends.Ref, backends.Item, backends.Version) (backends.Version, error)
	get      func(context.Context, backends.Ref, backends.Stage) (backends.Item, backends.Version, error)
	props    func() backends.Properties
	end      func() error
	stage    func(context.Context, backends.Ref, backends.Item) (backends.Version, error)
	promote  func(context.Context, backends.Ref, backends.Version, backends.Version) error
	describe func(context.Context, backends.Ref) (backends.Meta, backends.Version, error)
	check    func(context.Context, backends.Ref) error
	remove   func(context.Context, backends.Ref, backends.Version) error
	log      io.Writer
	note     string // what a flaw keeps
}

func (w *whole) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	return w.put(ctx, ref, item, prev)
}

func (w *whole) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	return w.get(ctx, ref, at)
}
func (w *whole) Properties() backends.Properties { return w.props() }
func (w *whole) Close() error                    { return w.end() }
func (w *whole) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	return w.stage(ctx, ref, item)
}

func (w *whole) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	return w.promote(ctx, ref, pending, prev)
}

func (w *whole) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	return w.describe(ctx, ref)
}
func (w *whole) Check(ctx context.Context, ref backends.Ref) error { return w.check(ctx, ref) }
func (w *whole) Remove(ctx context.Context, ref backends.Ref, v backends.Version) error {
	return w.remove(ctx, ref, v)
}

// newWhole is the flawless one.
func newWhole(inner backends.Backend) *whole {
	s, _ := backends.As[backends.Stager](inner)
	d, _ := backends.As[backends.Describer](inner)
	c, _ := backends.As[backends.Checker](inner)
	r, _ := backends.As[backends.Remover](inner)
	return &whole{
		put: inner.Put, get: inner.Get, props: inner.Properties, end: inner.Close,
		stage: s.PutPending, promote: s.Promote, describe: d.Describe, check: c.Check, remove: r.Remove,
	}
}

// limit is the largest payload of the store here.
const limit = 4096

// able is a store with every capability.
func able() mem.Options {
	options := mem.LikeAWS()
	options.FirstIsCurrent, options.MaxPayload = false, limit
	return options
}

// flawedHarness is the harness of a store in memory, of whose backends each has
// the flaw.
func flawedHarness(options mem.Options, flaw func(*whole, *mem.Store)) backendtest.Harness {
	store, log := mem.New(options), &backendtest.Log{}
	flawed := func(inner backends.Backend, s *mem.Store) backends.Backend {
		w := newWhole(inner)
		w.log = log
		flaw(w, s)
		return w
	}
	var places atomic.Int64
	ref := func(*testing.T) backends.Ref {
		return backends.Ref{Backend: "memory", Path: fmt.Sprintf("suite/place-%d", places.Add(1))}
	}
	return backendtest.Harness{
		Open: func(*testing.T) backends.Backend { return flawed(store.Backend(), store) },
		Ref:  ref,
		Overwrite: func(_ *testing.T, ref backends.Ref, payload secret.Value) {
			store.Overwrite(ref.Path, payload)
		},
		Delete: func(_ *testing.T, ref backends.Ref) { store.Delete(ref.Path) },
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			place := ref(t)
			store.Deny(place.Path)
			return flawed(store.Backend(), store), place
		},
		Unreachable: func(*testing.T) backends.Backend {
			down := mem.New(options)
			down.SetDown(true)
			return flawed(down.Backend(), down)
		},
		AnswerLost: func(*testing.T) backends.Backend {
			return flawed(faulty.Wrap(store.Backend(), func(c faulty.Call) faulty.Fault {
				if c.Op.Writes() {
					return faulty.LoseAnswer()
				}
				return faulty.Fault{}
			}), store)
		},
		Hanging: func(*testing.T) backends.Backend {
			return flawed(faulty.Wrap(store.Backend(), func(faulty.Call) faulty.Fault { return faulty.Hang() }), store)
		},
		Throttled: func(*testing.T) backends.Backend {
			return flawed(faulty.Wrap(store.Backend(), func(c faulty.Call) faulty.Fault {
				return faulty.Fail(&backends.Error{Op: string(c.Op), Ref: c.Ref, Kind: backends.ErrThrottled, RetryAfter: time.Hour})
			}), store)
		},
		RetryAfter: time.Hour,
		Annotate: func(_ *testing.T, ref backends.Ref) func(*testing.T) bool {
			store.Mark(ref.Path, true)
			return func(*testing.T) bool { return store.Marked(ref.Path) }
		},
		Escapes: []string{"", "../a", "a/../b"},
		Secrets: []secret.Value{credential},
		Log:     log,
	}
}

// credential is what the backends here were opened with.
var credential = secret.New("a-credential-of-the-backend")
