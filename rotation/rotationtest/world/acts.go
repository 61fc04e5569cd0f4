package world

import (
	"context"
	"errors"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// chance is how likely an act meets a fault while the world is stormy.
const chance = 0.03

// act is one act of a process, and what may befall it.
type act struct {
	class class
	name  string
	// do changes the world; it is called with the world locked, and may be
	// called twice or late.
	do func() error
	// unreached, unsure and throttled make the errors of the place.
	unreached, unsure func() error
	throttled         func(time.Duration) error
	// cause says who acts, for the checker.
	cause cause
}

// perform does an act under the world's faults.
func (l *life) perform(ctx context.Context, a act) (Fault, error) {
	w := l.agent.w
	if l.dead.Load() {
		return "", errCrashed
	}
	a.cause.life = l
	fault := w.draw(l.agent, a)
	r := w.dice.next("details " + l.agent.name + a.name)
	switch fault {
	case CrashBefore:
		l.dead.Store(true)
		return fault, errCrashed
	case LostBefore, CommitFails:
		return fault, a.unreached()
	case Throttled:
		return fault, a.throttled(between(r, time.Second, 10*time.Minute))
	case Slow:
		sleep(ctx, between(r, time.Second, 50*time.Second))
		if ctx.Err() != nil {
			return fault, a.unreached()
		}
	case LandsLate:
		w.acting.Go(func() {
			time.Sleep(between(r, time.Minute, schedule.Grace/3))
			w.mu.Lock()
			defer w.mu.Unlock()
			a.cause.late = true
			_ = a.do()
			w.acted(a.cause)
		})
		return fault, a.unsure()
	}
	if l.dead.Load() {
		return fault, errCrashed
	}
	w.mu.Lock()
	err := a.do()
	if fault == Twice {
		err = a.do()
	}
	w.acted(a.cause)
	w.mu.Unlock()
	switch {
	case fault == CrashAfter:
		l.dead.Store(true)
		return fault, errCrashed
	case (fault == LostAfter || fault == CommitUnsure) && err == nil:
		return fault, a.unsure()
	}
	return fault, err
}

// draw says what befalls an act; "" is nothing.
func (w *World) draw(a *agent, do act) Fault {
	r := w.dice.next("fault " + a.name + do.name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Result.Acts++
	if w.calmed || r.Float64() >= chance {
		return ""
	}
	list := ofAct[do.class]
	total := 0
	for _, f := range list {
		total += f.weight
	}
	pick := r.IntN(total)
	for _, f := range list {
		if pick -= f.weight; pick < 0 {
			w.strike(f.fault, a.name+" "+do.name)
			return f.fault
		}
	}
	return ""
}

// strike numbers a fault and counts it.
func (w *World) strike(f Fault, on string) {
	w.number++
	for _, d := range w.slots {
		if w.Result.Faults[f] == nil {
			w.Result.Faults[f] = map[rotation.SlotState]int{}
		}
		w.Result.Faults[f][w.check.stateOf(d.Policy)]++
	}
	w.note("fault %d: %s: %s", w.number, f, on)
}

// acted remembers the API's list as it became, and checks the promises.
func (w *World) acted(c cause) {
	list, _ := w.api.Tokens(context.Background())
	if c.api {
		w.lists = append(w.lists, pastList{at: time.Now(), list: list})
	}
	w.check.after(c)
}

// issuer is the API as one process reaches it.
type issuer struct{ *life }

func (i issuer) w() *World { return i.agent.w }

// Now is the API's time.
func (i issuer) Now() time.Time { return time.Now() }

func (i issuer) api() *rotationtest.API { return i.w().api }

func (i issuer) call(ctx context.Context, class class, name string, do func() error) (Fault, error) {
	w := i.w()
	w.mu.Lock()
	down := time.Now().Before(w.outage)
	w.mu.Unlock()
	unreached := func() error { return &rotation.APIError{Call: name, Kind: rotation.ErrUnavailable} }
	if down {
		return "", unreached()
	}
	unsure := unreached
	if class == apiMint || class == apiMake {
		unsure = func() error { return &rotation.APIError{Call: name, Kind: rotation.ErrUnknownOutcome} }
	}
	return i.perform(ctx, act{class: class, name: name, do: do, unreached: unreached, unsure: unsure,
		throttled: func(d time.Duration) error {
			return &rotation.APIError{Call: name, Status: 429, Kind: rotation.ErrThrottled, RetryAfter: d}
		}, cause: cause{what: name, api: class != apiLook && class != apiList}})
}

// Accounts lists all accounts.
func (i issuer) Accounts(ctx context.Context) (list []rotation.Account, err error) {
	_, err = i.call(ctx, apiLook, "list accounts", func() error { list, err = i.api().Accounts(ctx); return err })
	return list, err
}

// CreateAccount makes an account.
func (i issuer) CreateAccount(ctx context.Context, spec rotation.AccountSpec) (made rotation.Account, err error) {
	_, err = i.call(ctx, apiMake, "create account", func() error { made, err = i.api().CreateAccount(ctx, spec); return err })
	return made, err
}

// UpdateAccount sets role and teams.
func (i issuer) UpdateAccount(ctx context.Context, id int64, spec rotation.AccountSpec) error {
	_, err := i.call(ctx, apiDeed, "update account", func() error { return i.api().UpdateAccount(ctx, id, spec) })
	return err
}

// Tokens lists all tokens, or an older list, or one with doubles.
func (i issuer) Tokens(ctx context.Context) (list []rotation.Token, err error) {
	fault, err := i.call(ctx, apiList, "list tokens", func() error { list, err = i.api().Tokens(ctx); return err })
	switch {
	case err != nil:
		return nil, err
	case fault == CutShort:
		return nil, &rotation.APIError{Call: "list tokens", Status: 200, Kind: rotation.ErrInvalidAnswer}
	case fault == PagedTwice:
		return append(list, list...), nil
	case fault == Lagging:
		return i.w().older(i.w().dice.next("lag").Int64N(int64(6 * time.Hour))), nil
	}
	return list, nil
}

// older is the list as it was some time ago.
func (w *World) older(ago int64) []rotation.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []rotation.Token
	for _, p := range w.lists {
		if !p.at.After(time.Now().Add(-time.Duration(ago))) {
			list = p.list
		}
	}
	return list
}

// Issue mints a token.
func (i issuer) Issue(ctx context.Context, order rotation.Order) (issued rotation.Issued, err error) {
	w := i.w()
	fault, err := i.call(ctx, apiMint, "issue "+order.Label, func() error {
		made, err := i.api().Issue(ctx, order)
		if err == nil {
			issued = made
		}
		return err
	})
	if fault == NotValidYet && err == nil {
		w.mu.Lock()
		w.notYet[issued.ID] = time.Now().Add(between(w.dice.next("not yet"), time.Second, 10*time.Minute))
		w.mu.Unlock()
	}
	if err != nil {
		return rotation.Issued{}, err
	}
	return issued, nil
}

// Prove uses a token.
func (i issuer) Prove(ctx context.Context, value secret.Value) (id rotation.Identity, err error) {
	w := i.w()
	_, err = i.call(ctx, apiLook, "prove", func() error {
		token, known := i.api().ByValue(value)
		if known && time.Now().Before(w.notYet[token.ID]) {
			return &rotation.APIError{Call: "prove", Status: 401, Kind: rotation.ErrDead}
		}
		id, err = i.api().Prove(ctx, value)
		if err == nil && known {
			i.proved[token.ID] = time.Now()
		}
		return err
	})
	return id, err
}

// Revoke kills a token.
func (i issuer) Revoke(ctx context.Context, id int64) error {
	_, err := i.call(ctx, apiDeed, "revoke", func() error {
		for _, t := range i.w().current() {
			if t.ID == id && i.w().check.works(t) {
				i.w().check.revoking(i.life, t)
			}
		}
		return i.api().Revoke(ctx, id)
	})
	return err
}

// Restore undoes Revoke.
func (i issuer) Restore(ctx context.Context, id int64) error {
	_, err := i.call(ctx, apiDeed, "restore", func() error { return i.api().Restore(ctx, id) })
	return err
}

// Delete removes a revoked token.
func (i issuer) Delete(ctx context.Context, id int64) error {
	_, err := i.call(ctx, apiDeed, "delete", func() error {
		i.w().check.deleting(id)
		return i.api().Delete(ctx, id)
	})
	return err
}

// journal is a journal on a disk that can be full or fail.
type journal struct {
	*rotationtest.Memory
	life *life
}

var errDisk = errors.New("input/output error")

func (j journal) commit(ctx context.Context, name string, do func() error) error {
	w := j.life.agent.w
	w.mu.Lock()
	full := time.Now().Before(j.life.agent.full)
	w.mu.Unlock()
	if full {
		return errDisk
	}
	failed := func() error { return errDisk }
	_, err := j.life.perform(ctx, act{class: commit, name: "commit " + name, do: do, unreached: failed, unsure: failed,
		throttled: func(time.Duration) error { return errDisk }, cause: cause{what: "commit"}})
	return err
}

// Commit stores a slot's record.
func (j journal) Commit(ctx context.Context, rec rotation.Record, e rotation.Event) (stored rotation.Record, err error) {
	err = j.commit(ctx, rec.Slot+string(e.Act), func() error {
		stored, err = j.Memory.Commit(ctx, rec, e)
		if err == nil && rec.Intent != nil {
			j.life.agent.w.check.intended(j.life.agent, rec.Intent.Label)
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
	err = j.commit(ctx, rec.ID+string(e.Act), func() error { stored, err = j.Memory.CommitAccount(ctx, rec, e); return err })
	if err != nil {
		return rec, err
	}
	return stored, nil
}

// CloseRequest marks a request as done.
func (j journal) CloseRequest(ctx context.Context, id int64, outcome string) error {
	return j.commit(ctx, "close request", func() error { return j.Memory.CloseRequest(ctx, id, outcome) })
}

// store is a store as one process reaches it. What the store can do beyond a
// Backend isn't used: a Target works without.
type store struct {
	life *life
	shop *shop
	next backends.Backend
}

func (s store) perform(ctx context.Context, class class, ref backends.Ref, do func() error) error {
	w := s.life.agent.w
	name := map[bool]string{true: "put ", false: "get "}[class == put] + ref.String()
	op := name[:3]
	fail := func(kind error) func() error {
		return func() error { return &backends.Error{Op: op, Ref: ref, Kind: kind} }
	}
	w.mu.Lock()
	down, denied := time.Now().Before(s.shop.down), time.Now().Before(s.shop.denied)
	w.mu.Unlock()
	switch {
	case down:
		return fail(backends.ErrUnavailable)()
	case denied && class == put:
		return fail(backends.ErrDenied)()
	}
	unsure := fail(backends.ErrUnknownOutcome)
	if class == get {
		unsure = fail(backends.ErrUnavailable)
	}
	_, err := s.life.perform(ctx, act{class: class, name: name, do: do, unreached: fail(backends.ErrUnavailable), unsure: unsure,
		throttled: func(d time.Duration) error {
			return &backends.Error{Op: op, Ref: ref, Kind: backends.ErrThrottled, RetryAfter: d}
		}, cause: cause{what: op, target: map[bool]string{true: ref.String()}[class == put]}})
	return err
}

// Put writes.
func (s store) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (v backends.Version, err error) {
	err = s.perform(ctx, put, ref, func() error {
		// A write that lands late has no caller whose context could end it.
		if s.life.agent.w.lying {
			return nil
		}
		v, err = s.next.Put(context.WithoutCancel(ctx), ref, item, prev)
		return err
	})
	return v, err
}

// Get reads.
func (s store) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (item backends.Item, v backends.Version, err error) {
	err = s.perform(ctx, get, ref, func() error {
		item, v, err = s.next.Get(ctx, ref, at)
		if at == backends.Current {
			s.life.looked[ref.String()] = time.Now()
			s.life.agent.w.check.sawServed(s.life.agent, ref)
		}
		return err
	})
	if err != nil && !errors.Is(err, backends.ErrNotFound) {
		return backends.Item{}, "", err
	}
	return item, v, err
}

// Properties are the store's.
func (s store) Properties() backends.Properties { return s.next.Properties() }

// Close has nothing to end.
func (s store) Close() error { return nil }
