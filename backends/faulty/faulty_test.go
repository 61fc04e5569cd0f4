package faulty_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

var ref = backends.Ref{Backend: "memory", Path: "a"}

func itemOf(text string) backends.Item { return backends.Item{Payload: secret.New(text)} }

// TestNothingChangesNothing: without faults the suite passes as it does without
// the wrapper.
func TestNothingChangesNothing(t *testing.T) {
	for name, options := range map[string]mem.Options{"all": mem.LikeAWS(), "checking": mem.LikeVault(), "poorest": {}} {
		t.Run(name, func(t *testing.T) {
			store, n := mem.New(options), 0
			elsewhere := "it is shown on mem itself, with the faults that are made here"
			backendtest.Run(t, backendtest.Harness{
				Open: func(*testing.T) backends.Backend { return faulty.Wrap(store.Backend(), faulty.Nothing()) },
				Ref: func(*testing.T) backends.Ref {
					n++
					return backends.Ref{Backend: "memory", Path: "p" + strconv.Itoa(n)}
				},
				Overwrite: func(_ *testing.T, ref backends.Ref, payload secret.Value) { store.Overwrite(ref.Path, payload) },
				Delete:    func(_ *testing.T, ref backends.Ref) { store.Delete(ref.Path) },
				Escapes:   []string{"../a"},
				Without: map[string]string{
					"LostAnswerIsUnknownOutcome": elsewhere, "HangingStoreEndsWithContext": elsewhere,
					"DeniedIsTold": elsewhere, "UnreachableIsNotNotFound": elsewhere, "ThrottledIsTold": elsewhere,
					"LostPromoteIsUnknownOutcome": elsewhere, "OtherNamesAreRefusedUnasked": elsewhere,
					"OthersMetadataSurvives": elsewhere, "LogsHoldNoSecret": elsewhere,
				},
			})
		})
	}
}

// ops calls each method of a backend once; the store holds one pending value.
func ops(t *testing.T, b backends.Backend) map[faulty.Op]func(context.Context) error {
	t.Helper()
	s, _ := backends.As[backends.Stager](b)
	d, _ := backends.As[backends.Describer](b)
	c, _ := backends.As[backends.Checker](b)
	r, _ := backends.As[backends.Remover](b)
	return map[faulty.Op]func(context.Context) error{
		faulty.Put: func(ctx context.Context) error {
			_, err := b.Put(ctx, ref, itemOf("put"), backends.Absent)
			return err
		},
		faulty.Get: func(ctx context.Context) error {
			_, _, err := b.Get(ctx, ref, backends.Pending)
			return err
		},
		faulty.Stage: func(ctx context.Context) error {
			_, err := s.PutPending(ctx, ref, itemOf("staged"))
			return err
		},
		faulty.Promote:  func(ctx context.Context) error { return s.Promote(ctx, ref, "1", backends.Absent) },
		faulty.Describe: func(ctx context.Context) error { _, _, err := d.Describe(ctx, ref); return err },
		faulty.Check:    func(ctx context.Context) error { return c.Check(ctx, ref) },
		faulty.Remove:   func(ctx context.Context) error { return r.Remove(ctx, ref, "1") },
	}
}

func newStore(t *testing.T) *mem.Store {
	t.Helper()
	options := mem.LikeAWS()
	options.FirstIsCurrent = false
	store := mem.New(options)
	s, _ := backends.As[backends.Stager](store.Backend())
	if _, err := s.PutPending(t.Context(), ref, itemOf("pending")); err != nil {
		t.Fatal(err)
	}
	return store
}

// trace tells what a write changed in the store of newStore.
func trace(t *testing.T, store *mem.Store) string {
	t.Helper()
	pending, _, _ := store.Backend().Get(t.Context(), ref, backends.Pending)
	return store.Peek("a").Reveal() + "/" + pending.Payload.Reveal()
}

const untouched = "/pending"

var landed = map[faulty.Op]string{
	faulty.Put: "put/pending", faulty.Stage: "/staged", faulty.Promote: "pending/", faulty.Remove: "/",
}

// TestFailBefore: the act doesn't take place, the error is a driver's.
func TestFailBefore(t *testing.T) {
	for op := range ops(t, newStore(t).Backend()) {
		store := newStore(t)
		b := faulty.Wrap(store.Backend(), faulty.Always(op, faulty.Fail(backends.ErrThrottled)))
		err := ops(t, b)[op](t.Context())
		want := string(op) + " memory/a: throttled: injected by the test"
		if err == nil || err.Error() != want || !errors.Is(err, backends.ErrThrottled) {
			t.Errorf("%s: %v", op, err)
		}
		if got := trace(t, store); got != untouched {
			t.Errorf("%s: the store holds %q", op, got)
		}
	}
}

// TestLoseAnswer: the act takes place, and the caller doesn't know.
func TestLoseAnswer(t *testing.T) {
	for op, after := range landed {
		store := newStore(t)
		b := faulty.Wrap(store.Backend(), faulty.Always(op, faulty.LoseAnswer()))
		if err := ops(t, b)[op](t.Context()); !errors.Is(err, backends.ErrUnknownOutcome) {
			t.Errorf("%s: %v", op, err)
		}
		if got := trace(t, store); got != after {
			t.Errorf("%s: the store holds %q, want %q", op, got, after)
		}
	}
}

// TestLandLate: the act takes place when the test says so, though the call and
// its context are over; calls that only look are not affected.
func TestLandLate(t *testing.T) {
	for op := range ops(t, newStore(t).Backend()) {
		store := newStore(t)
		var land func()
		b := faulty.Wrap(store.Backend(), faulty.Always(op, faulty.LandLate(func(l func()) { land = l })))
		ctx, cancel := context.WithCancel(t.Context())
		err := ops(t, b)[op](ctx)
		cancel()
		if !op.Writes() {
			if land != nil {
				t.Errorf("%s was put off", op)
			}
			continue
		}
		if !errors.Is(err, backends.ErrUnknownOutcome) || trace(t, store) != untouched {
			t.Errorf("%s: %v, the store holds %q", op, err, trace(t, store))
		}
		land()
		if got := trace(t, store); got != landed[op] {
			t.Errorf("%s: the store holds %q, want %q", op, got, landed[op])
		}
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New(mem.Options{})
		b := faulty.Wrap(store.Backend(), faulty.Always(faulty.Put, faulty.Delay(time.Minute)))
		start := time.Now()
		if _, err := b.Put(t.Context(), ref, itemOf("one"), ""); err != nil || time.Since(start) != time.Minute {
			t.Errorf("put after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Put(ctx, ref, itemOf("two"), "")
		if !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put past its deadline: %v", err)
		}
		if got := store.Peek("a").Reveal(); got != "one" {
			t.Errorf("the store holds %q", got)
		}
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faulty.Wrap(mem.New(mem.Options{}).Backend(), faulty.Always(faulty.Get, faulty.Hang()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, _, err := b.Get(ctx, ref, backends.Current)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("get after %v: %v", time.Since(start), err)
		}
	})
}

// TestScripts: who gets which fault.
func TestScripts(t *testing.T) {
	denied, throttled := faulty.Fail(backends.ErrDenied), faulty.Fail(backends.ErrThrottled)
	tests := []struct {
		name   string
		script faulty.Script
		want   []error // of put, get, put, put
	}{
		{"nothing", faulty.Nothing(), []error{nil, nil, nil, nil}},
		{"always", faulty.Always(faulty.Put, denied), []error{backends.ErrDenied, nil, backends.ErrDenied, backends.ErrDenied}},
		{"in turn", faulty.InTurn(faulty.Put, denied, faulty.Fault{}, throttled), []error{backends.ErrDenied, nil, nil, backends.ErrThrottled}},
		{"in turn, then none", faulty.InTurn(faulty.Put, denied), []error{backends.ErrDenied, nil, nil, nil}},
		{
			"both", faulty.Both(faulty.InTurn(faulty.Put, denied), faulty.Always(faulty.Get, throttled)),
			[]error{backends.ErrDenied, backends.ErrThrottled, nil, nil},
		},
		{
			"by number", func(c faulty.Call) faulty.Fault {
				if c.N == 3 {
					return throttled
				}
				return faulty.Fault{}
			}, []error{nil, nil, backends.ErrThrottled, nil},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := mem.New(mem.Options{})
			store.Overwrite("a", secret.New("stands"))
			b := faulty.Wrap(store.Backend(), test.script)
			for i, op := range []faulty.Op{faulty.Put, faulty.Get, faulty.Put, faulty.Put} {
				var err error
				if op == faulty.Get {
					_, _, err = b.Get(t.Context(), ref, backends.Current)
				} else {
					_, err = b.Put(t.Context(), ref, itemOf("x"), "")
				}
				if got := backends.KindOf(err); !errors.Is(got, test.want[i]) {
					t.Errorf("call %d: %v, want %v", i, got, test.want[i])
				}
			}
		})
	}
}

func TestCalls(t *testing.T) {
	b := faulty.Wrap(mem.New(mem.Options{}).Backend(), faulty.Always(faulty.Put, faulty.Fail(backends.ErrDenied)))
	_, _, _ = b.Get(t.Context(), ref, backends.Previous)
	_, _ = b.Put(t.Context(), ref, itemOf("x"), "")
	want := []faulty.Call{{N: 1, Op: faulty.Get, Ref: ref, At: backends.Previous}, {N: 2, Op: faulty.Put, Ref: ref}}
	if diff := cmp.Diff(want, b.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestAfterSeesTheError: what the act said can decide, and an answer that isn't
// replaced comes through whole.
func TestAfterSeesTheError(t *testing.T) {
	var seen error
	script := faulty.Always(faulty.Get, faulty.Fault{After: func(err error) error { seen = err; return nil }})
	store := mem.New(mem.LikeVault())
	store.Overwrite("a", secret.New("x"))
	store.Delete("a")
	_, v, err := faulty.Wrap(store.Backend(), script).Get(t.Context(), ref, backends.Current)
	if !errors.Is(seen, backends.ErrNotFound) || !errors.Is(err, backends.ErrNotFound) || v != "1" {
		t.Errorf("seen %v, got %v at %q", seen, err, v)
	}
}

// TestWholeErrorIsPassedOn: a script can choose everything about an error.
func TestWholeErrorIsPassedOn(t *testing.T) {
	whole := &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrThrottled, RetryAfter: time.Hour}
	b := faulty.Wrap(mem.New(mem.Options{}).Backend(), faulty.Always(faulty.Put, faulty.Fail(whole)))
	_, err := b.Put(t.Context(), ref, itemOf("x"), "")
	if backends.RetryAfter(err) != time.Hour {
		t.Errorf("got %v", err)
	}
}

// TestMissingCapabilities: who goes past backends.As is refused, not answered.
func TestMissingCapabilities(t *testing.T) {
	b := faulty.Wrap(onlyBackend{mem.New(mem.Options{}).Backend()}, faulty.Nothing())
	_, stage := b.PutPending(t.Context(), ref, itemOf("x"))
	_, _, describe := b.Describe(t.Context(), ref)
	for op, err := range map[string]error{
		"stage": stage, "promote": b.Promote(t.Context(), ref, "1", ""), "describe": describe,
		"check": b.Check(t.Context(), ref), "remove": b.Remove(t.Context(), ref, "1"),
	} {
		if !errors.Is(err, backends.ErrInvalid) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// onlyBackend hides the optional interfaces of a backend.
type onlyBackend struct{ backends.Backend }
