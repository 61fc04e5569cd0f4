package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// flaw is a mistake that a driver can make, and the subtest that finds it.
type flaw struct {
	name  string
	found string
	make  func(w *whole, s *mem.Store)
	// lacks takes a capability from the store; nil is none.
	lacks func(o *mem.Options)
}

func flaws() []flaw {
	return slices.Concat(putFlaws(), getFlaws(), errorFlaws(), stageFlaws(), otherFlaws(),
		metaFlaws(), lookFlaws(), nameFlaws(), faultFlaws(), raceFlaws(), poorFlaws())
}

func putFlaws() []flaw {
	return []flaw{
		{name: "Put ignores a done context", found: "CancelledPut", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if ctx.Err() != nil {
					ctx = context.WithoutCancel(ctx)
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{name: "Put ignores prev", found: "StaleVersionIsConflict", make: blindPut},
		{name: "Put ignores Absent", found: "AbsentIsComparedToo", make: blindPut},
		{name: "Put compares before it is idempotent", found: "LostPutCanBeRepeated", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if _, v, _ := w.get(ctx, ref, backends.Current); ctx.Err() == nil && v != prev {
					return "", &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrConflict}
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{name: "Put makes a version of the same payload", found: "PutIsIdempotent", make: func(w *whole, s *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if ctx.Err() == nil && s.Peek(ref.Path).Equal(item.Payload) {
					s.Overwrite(ref.Path, secret.New("in between"))
					_, prev, _ = w.get(ctx, ref, backends.Current)
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{name: "Put cuts a payload", found: "LargePayload", make: mangled(func(text string) string { return text[:min(len(text), 1000)] })},
		{name: "Put trims a payload", found: "BinaryAndUnicodePayload", make: mangled(strings.TrimSpace)},
		{name: "Put repairs bytes", found: "BinaryAndUnicodePayload", make: mangled(func(text string) string { return strings.ToValidUTF8(text, "?") })},
		{name: "Put takes too much", found: "TooLargeIsInvalid", make: mangled(func(text string) string { return text[:min(len(text), limit)] })},
		{name: "Put forgets metadata", found: "MetaComesBack", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				return put(ctx, ref, backends.Item{Payload: item.Payload}, prev)
			}
		}},
		{name: "Put returns another version", found: "PutThenGet", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				return "v" + v, err
			}
		}},
		{name: "a lost answer is a success", found: "LostAnswerIsUnknownOutcome", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				if errors.Is(err, backends.ErrUnknownOutcome) {
					err = nil
				}
				return v, err
			}
		}},
	}
}

func blindPut(w *whole, _ *mem.Store) {
	put := w.put
	w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, _ backends.Version) (backends.Version, error) {
		_, v, _ := w.get(ctx, ref, backends.Current)
		return put(ctx, ref, item, v)
	}
}

// mangled changes the payload on its way into the store.
func mangled(change func(string) string) func(*whole, *mem.Store) {
	return func(w *whole, _ *mem.Store) {
		put := w.put
		w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
			item.Payload = secret.New(change(item.Payload.Reveal()))
			return put(ctx, ref, item, prev)
		}
	}
}

func getFlaws() []flaw {
	return []flaw{
		{name: "unreachable is not found", found: "UnreachableIsNotNotFound", make: kinds(backends.ErrUnavailable, backends.ErrNotFound)},
		{name: "denied is unavailable", found: "DeniedIsTold", make: kinds(backends.ErrDenied, backends.ErrUnavailable)},
		{name: "a deletion is forgotten", found: "NotFoundVersionIsWhatPutExpects", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					v = backends.Absent
				}
				return item, v, err
			}
		}},
		{name: "metadata stays when the value changes", found: "MetaFitsVersion", make: func(w *whole, _ *mem.Store) {
			put, get, last := w.put, w.get, map[string]backends.Meta{}
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				last[ref.Path] = item.Meta
				return put(ctx, ref, item, prev)
			}
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err == nil {
					item.Meta = last[ref.Path]
				}
				return item, v, err
			}
		}},
		{name: "previous is nothing", found: "PreviousIsKept", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if at == backends.Previous {
					return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrNotFound}
				}
				return get(ctx, ref, at)
			}
		}},
		{name: "every stage is current", found: "StageThatIsMissingIsNotFound", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, _ backends.Stage) (backends.Item, backends.Version, error) {
				return get(ctx, ref, backends.Current)
			}
		}},
	}
}

func errorFlaws() []flaw {
	return []flaw{
		{name: "paths are joined and cleaned", found: "PathCannotLeaveRoot", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				ref.Path = strings.TrimPrefix(path.Clean("/"+ref.Path), "/")
				return get(ctx, ref, at)
			}
		}},
		{name: "an error without a kind", found: "GetOfNothingIsNotFound", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					err = fmt.Errorf("get %s: %w", ref, backends.ErrNotFound)
				}
				return item, v, err
			}
		}},
		{name: "the context's error is lost", found: "CancelledGet", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if ctx.Err() != nil {
					return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrUnavailable}
				}
				return get(ctx, ref, at)
			}
		}},
	}
}

// kinds passes one kind of error of Get off as another.
func kinds(from, to error) func(*whole, *mem.Store) {
	return func(w *whole, _ *mem.Store) {
		get := w.get
		w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
			item, v, err := get(ctx, ref, at)
			if ctx.Err() == nil && errors.Is(err, from) {
				err = &backends.Error{Op: "get", Ref: ref, Kind: to}
			}
			return item, v, err
		}
	}
}

func stageFlaws() []flaw {
	return []flaw{
		{name: "staging makes current", found: "StagedIsNotCurrent", make: func(w *whole, _ *mem.Store) {
			w.stage = func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				_, v, _ := w.get(ctx, ref, backends.Current)
				return w.put(ctx, ref, item, v)
			}
		}},
		{name: "promote ignores prev", found: "PromoteLosesRace", make: func(w *whole, _ *mem.Store) {
			promote := w.promote
			w.promote = func(ctx context.Context, ref backends.Ref, pending, _ backends.Version) error {
				_, v, _ := w.get(ctx, ref, backends.Current)
				return promote(ctx, ref, pending, v)
			}
		}},
		{name: "promote can't be repeated", found: "PromoteTwiceIsOnce", make: func(w *whole, _ *mem.Store) {
			promote := w.promote
			w.promote = func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				if _, v, _ := w.get(ctx, ref, backends.Current); v == pending {
					return &backends.Error{Op: "promote", Ref: ref, Kind: backends.ErrConflict}
				}
				return promote(ctx, ref, pending, prev)
			}
		}},
	}
}

func otherFlaws() []flaw {
	return []flaw{
		{name: "describe tells of nothing", found: "DescribeAgreesWithGet", make: func(w *whole, _ *mem.Store) {
			w.describe = func(context.Context, backends.Ref) (backends.Meta, backends.Version, error) {
				return backends.Meta{}, "1", nil
			}
		}},
		{name: "check writes", found: "CheckChangesNothing", make: func(w *whole, s *mem.Store) {
			w.check = func(_ context.Context, ref backends.Ref) error {
				s.Overwrite(ref.Path, secret.New("probe"))
				return nil
			}
		}},
		{name: "remove takes the current", found: "CurrentIsNotRemoved", make: func(w *whole, s *mem.Store) {
			w.remove = func(_ context.Context, ref backends.Ref, _ backends.Version) error {
				s.Delete(ref.Path)
				return nil
			}
		}},
		{name: "remove does nothing", found: "RemovedVersionIsNotFound", make: func(w *whole, _ *mem.Store) {
			w.remove = func(context.Context, backends.Ref, backends.Version) error { return nil }
		}},
		{name: "properties depend on use", found: "PropertiesNeverChange", make: func(w *whole, s *mem.Store) {
			props := w.props
			w.props = func() backends.Properties {
				p := props()
				p.Volatile = s.Written("suite/place-1") > 0
				return p
			}
		}},
		{name: "an error repeats the payload", found: "ErrorsHoldNoSecret", make: func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				if err != nil {
					err = &backends.Error{Op: "put", Ref: ref, Kind: backends.KindOf(err), Err: fmt.Errorf("body %.60q: %w", item.Payload.Reveal(), err)}
				}
				return v, err
			}
		}},
		{name: "an error repeats a credential", found: "ErrorsHoldNoSecret", make: func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					err = &backends.Error{Op: "get", Ref: ref, Kind: backends.KindOf(err), Err: fmt.Errorf("with %s: %w", credential.Reveal(), err)}
				}
				return item, v, err
			}
		}},
		{name: "Close leaves a goroutine", found: "CloseEndsBackground", make: func(_ *whole, _ *mem.Store) {
			go func() { select {} }()
		}},
		{name: "what was put is known to one backend alone", found: "ReopenedFindsTheSame", make: func(w *whole, s *mem.Store) {
			w.end = func() error { s.Wipe(); return nil }
		}},
	}
}

// flawName tells the child which flaw to have.
const flawName = "HANDOVER_TEST_FLAW"

// TestFlawed is the child of TestFlawsAreFound. Without a flaw it passes: what
// the other test finds is the flaw alone.
func TestFlawed(t *testing.T) {
	want, flawed := os.LookupEnv(flawName)
	if !flawed {
		backendtest.Run(t, flawedHarness(able(), func(*whole, *mem.Store) {}))
		return
	}
	for _, f := range flaws() {
		if f.name == want {
			options := able()
			if f.lacks != nil {
				f.lacks(&options)
			}
			backendtest.Run(t, flawedHarness(options, f.make))
		}
	}
}

// TestEverySubtestFindsAFlaw: a MUST that no flawed driver fails is no MUST.
func TestEverySubtestFindsAFlaw(t *testing.T) {
	found := map[string]bool{}
	for _, f := range flaws() {
		found[f.found] = true
	}
	for _, name := range backendtest.Names() {
		if !found[name] {
			t.Errorf("no flaw is found by %s", name)
		}
		delete(found, name)
	}
	for name := range found {
		t.Errorf("a flaw is to be found by %s, and there is no such subtest", name)
	}
}

// TestFlawsAreFound runs the suite on drivers with one mistake each, in
// processes of their own, and wants the right subtest to fail.
func TestFlawsAreFound(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flaws() {
		t.Run(f.name, func(t *testing.T) {
			child := exec.Command(self, "-test.run=^TestFlawed$/^"+f.found+"$", "-test.v")
			child.Env = append(os.Environ(), flawName+"="+f.name)
			out, err := child.CombinedOutput()
			if err == nil {
				t.Fatal("the suite passed")
			}
			if !strings.Contains(string(out), "--- FAIL: TestFlawed/"+f.found+" ") {
				t.Errorf("%s did not fail, but:\n%s", f.found, failures(string(out)))
			}
		})
	}
}

func failures(out string) string {
	var failed []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "FAIL") || strings.Contains(line, "panic") {
			failed = append(failed, strings.TrimSpace(line))
		}
	}
	return strings.Join(failed, "\n")
}
