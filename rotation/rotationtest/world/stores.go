package world

import (
	"context"
	"errors"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// journal is a journal on a disk that can be full or fail.
type journal struct {
	rotation.Journal
	life *life
}

var errDisk = errors.New("input/output error")

func (j journal) commit(ctx context.Context, name, slot string, do func() error) error {
	w := j.life.agent.w
	w.mu.Lock()
	full := time.Now().Before(j.life.agent.full)
	w.mu.Unlock()
	if full {
		return errDisk
	}
	_, err := j.life.perform(ctx, act{class: commit, name: "commit " + name, slot: slot, do: do, cause: cause{what: "commit"},
		fails: func(failure, time.Duration) error { return errDisk }})
	return err
}

// Commit stores a slot's record.
func (j journal) Commit(ctx context.Context, rec rotation.Record, e rotation.Event) (stored rotation.Record, err error) {
	err = j.commit(ctx, rec.Slot+" "+string(e.Act), rec.Slot, func() error {
		stored, err = j.Journal.Commit(ctx, rec, e)
		if err == nil {
			j.life.agent.committed(j.Journal, stored)
		}
		if err == nil && rec.Intent != nil {
			j.life.agent.w.check.intended(j.life.agent, *rec.Intent)
		}
		return err
	})
	if err != nil {
		return rec, err
	}
	return stored, nil
}

// CommitAccount stores an account's record.
func (j journal) CommitAccount(ctx context.Context, rec rotation.AccountRecord, e rotation.Event) (stored rotation.AccountRecord, err error) {
	err = j.commit(ctx, rec.ID+" "+string(e.Act), "", func() error {
		stored, err = j.Journal.CommitAccount(ctx, rec, e)
		if err == nil {
			j.life.agent.committedAccount(j.Journal, stored)
		}
		return err
	})
	if err != nil {
		return rec, err
	}
	return stored, nil
}

// CloseRequest marks a request as done.
func (j journal) CloseRequest(ctx context.Context, id int64, outcome string) error {
	return j.commit(ctx, "close request", "", func() error { return j.Journal.CloseRequest(ctx, id, outcome) })
}

// store is a store as one process reaches it. It can do what the store behind
// it can (backends.As asks both).
type store struct {
	life *life
	shop *shop
	slot string
	next backends.Backend
}

// access is a shop as the process reaches it, for one slot.
func (l *life) access(s *shop, slot string) backends.Backend {
	return store{life: l, shop: s, slot: slot, next: s.store.Backend()}
}

// Unwrap is what capabilities are found through.
func (s store) Unwrap() backends.Backend { return s.next }

// perform does one act on the store. serves: it can change what is read there.
func (s store) perform(ctx context.Context, class class, op string, ref backends.Ref, serves bool, do func() error) error {
	w := s.life.agent.w
	fails := func(why failure, wait time.Duration) error {
		e := &backends.Error{Op: op, Ref: ref, Kind: backends.ErrUnavailable, RetryAfter: wait}
		switch {
		case why == refused:
			e.Kind = backends.ErrDenied
		case why == throttled:
			e.Kind = backends.ErrThrottled
		case why == unsure && class != get:
			e.Kind = backends.ErrUnknownOutcome
		}
		return e
	}
	w.mu.Lock()
	down, denied := time.Now().Before(s.shop.down), time.Now().Before(s.shop.denied)
	w.mu.Unlock()
	switch {
	case down:
		return fails(unreached, 0)
	case denied && (class == put || op == "check"):
		return fails(refused, 0)
	}
	place := ref.String()
	by := cause{what: op}
	if serves {
		by.target = place
	}
	_, err := s.life.perform(ctx, act{class: class, name: op + " " + place, slot: s.slot, do: do, fails: fails, cause: by})
	return err
}

// write is perform for what writes. A write that lands late has no caller whose
// context could end it.
func (s store) write(ctx context.Context, op string, ref backends.Ref, serves bool, do func(context.Context) error) error {
	return s.perform(ctx, put, op, ref, serves, func() error {
		if s.life.agent.w.lying {
			return nil
		}
		before := s.shop.store.Peek(ref.Path)
		err := do(context.WithoutCancel(ctx))
		if err == nil && serves && (op != "stage" || before.IsZero()) {
			s.life.agent.w.check.wrote(s, ref, before)
		}
		return err
	})
}

// Put writes.
func (s store) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (v backends.Version, err error) {
	err = s.write(ctx, "put", ref, true, func(ctx context.Context) error {
		s.life.agent.w.check.sent(s.life, s.slot, ref, item.Payload)
		v, err = s.next.Put(ctx, ref, item, prev)
		return err
	})
	return v, err
}

// Get reads.
func (s store) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (item backends.Item, v backends.Version, err error) {
	err = s.perform(ctx, get, "get", ref, false, func() error {
		item, v, err = s.next.Get(ctx, ref, at)
		if at == backends.Current && (err == nil || errors.Is(err, backends.ErrNotFound)) {
			s.looked(ref)
			s.life.read[ref.String()] = time.Now()
		}
		return err
	})
	failed := err != nil && !errors.Is(err, backends.ErrNotFound)
	if at == backends.Current {
		s.life.agent.w.mu.Lock()
		s.life.unread[ref.String()] = failed
		s.life.agent.w.mu.Unlock()
	}
	if failed {
		return backends.Item{}, "", err
	}
	return item, v, err
}

// Remove takes an old version out of reach. It must hold a dead token.
func (s store) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	remover, _ := backends.As[backends.Remover](s.next)
	return s.write(ctx, "remove", ref, false, func(ctx context.Context) error {
		w := s.life.agent.w
		item, at, err := s.next.Get(ctx, ref, backends.Previous)
		token, known := w.api.Within(item.Payload)
		switch lives := !known || w.check.works(token); {
		case err != nil || at != version || !lives:
		case w.check.calls.restored[token.ID].after(s.life.listed):
			w.check.window(changedSinceLook)
		default:
			w.check.breach("promise 5: a version of %s is removed that holds no dead token: %q", ref, token.Label)
		}
		return remover.Remove(ctx, ref, version)
	})
}

// looked notes what the process has seen there. The world is locked.
func (s store) looked(ref backends.Ref) {
	s.life.looked[ref.String()] = s.life.agent.w.moment()
	s.life.agent.w.check.sawServed(s.life.agent, ref)
}

// Properties are the store's.
func (s store) Properties() backends.Properties { return s.next.Properties() }

// Close has nothing to end.
func (s store) Close() error { return nil }

// Describe tells what stands there without the value.
func (s store) Describe(ctx context.Context, ref backends.Ref) (meta backends.Meta, v backends.Version, err error) {
	describer, _ := backends.As[backends.Describer](s.next)
	err = s.perform(ctx, get, "describe", ref, false, func() error {
		if meta, v, err = describer.Describe(ctx, ref); err == nil || errors.Is(err, backends.ErrNotFound) {
			s.looked(ref)
		}
		return err
	})
	return meta, v, err
}

// Check asks beforehand.
func (s store) Check(ctx context.Context, ref backends.Ref) error {
	checker, _ := backends.As[backends.Checker](s.next)
	return s.perform(ctx, get, "check", ref, false, func() error { return checker.Check(ctx, ref) })
}

// PutPending writes beside the current value. Where there is none, some stores
// make it current.
func (s store) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (v backends.Version, err error) {
	stager, _ := backends.As[backends.Stager](s.next)
	err = s.write(ctx, "stage", ref, s.shop.kind.FirstIsCurrent, func(ctx context.Context) error {
		s.life.agent.w.check.sent(s.life, s.slot, ref, item.Payload)
		v, err = stager.PutPending(ctx, ref, item)
		return err
	})
	return v, err
}

// Promote makes a pending version current.
func (s store) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	stager, _ := backends.As[backends.Stager](s.next)
	return s.write(ctx, "promote", ref, true, func(ctx context.Context) error { return stager.Promote(ctx, ref, pending, prev) })
}
