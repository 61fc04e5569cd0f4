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
}

func flaws() []flaw {
	return slices.Concat(putFlaws(), getFlaws(), errorFlaws(), stageFlaws(), otherFlaws())
}

func putFlaws() []flaw {
	return []flaw{
		{"Put ignores a done context", "CancelledPut", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if ctx.Err() != nil {
					ctx = context.WithoutCancel(ctx)
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{"Put ignores prev", "StaleVersionIsConflict", blindPut},
		{"Put ignores Absent", "AbsentIsComparedToo", blindPut},
		{"Put compares before it is idempotent", "LostPutCanBeRepeated", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if _, v, _ := w.get(ctx, ref, backends.Current); ctx.Err() == nil && v != prev {
					return "", &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrConflict}
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{"Put makes a version of the same payload", "PutIsIdempotent", func(w *whole, s *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if ctx.Err() == nil && s.Peek(ref.Path).Equal(item.Payload) {
					s.Overwrite(ref.Path, secret.New("in between"))
					_, prev, _ = w.get(ctx, ref, backends.Current)
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{"Put cuts a payload", "LargePayload", mangled(func(text string) string { return text[:min(len(text), 1000)] })},
		{"Put trims a payload", "BinaryAndUnicodePayload", mangled(strings.TrimSpace)},
		{"Put repairs bytes", "BinaryAndUnicodePayload", mangled(func(text string) string { return strings.ToValidUTF8(text, "?") })},
		{"Put takes too much", "TooLargeIsInvalid", mangled(func(text string) string { return text[:min(len(text), limit)] })},
		{"Put forgets metadata", "MetaComesBack", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				return put(ctx, ref, backends.Item{Payload: item.Payload}, prev)
			}
		}},
		{"Put returns another version", "PutThenGet", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				return "v" + v, err
			}
		}},
		{"a lost answer is a success", "LostAnswerIsUnknownOutcome", func(w *whole, _ *mem.Store) {
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
		{"unreachable is not found", "UnreachableIsNotNotFound", kinds(backends.ErrUnavailable, backends.ErrNotFound)},
		{"denied is unavailable", "DeniedIsTold", kinds(backends.ErrDenied, backends.ErrUnavailable)},
		{"a deletion is forgotten", "NotFoundVersionIsWhatPutExpects", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					v = backends.Absent
				}
				return item, v, err
			}
		}},
		{"metadata stays when the value changes", "MetaFitsVersion", func(w *whole, _ *mem.Store) {
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
		{"previous is nothing", "PreviousIsKept", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				if at == backends.Previous {
					return backends.Item{}, "", &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrNotFound}
				}
				return get(ctx, ref, at)
			}
		}},
		{"every stage is current", "StageThatIsMissingIsNotFound", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, _ backends.Stage) (backends.Item, backends.Version, error) {
				return get(ctx, ref, backends.Current)
			}
		}},
	}
}

func errorFlaws() []flaw {
	return []flaw{
		{"a store that asks to wait is called out of reach", "ThrottledIsTold", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if errors.Is(backends.KindOf(err), backends.ErrThrottled) {
					err = &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrUnavailable}
				}
				return item, v, err
			}
		}},
		{"a name that the rule allows is refused", "EveryAllowedNameGoes", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				if len(ref.Path) > 500 {
					return "", &backends.Error{Op: "put", Ref: ref, Kind: backends.ErrInvalid}
				}
				return put(ctx, ref, item, prev)
			}
		}},
		{"paths are joined and cleaned", "PathCannotLeaveRoot", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				ref.Path = strings.TrimPrefix(path.Clean("/"+ref.Path), "/")
				return get(ctx, ref, at)
			}
		}},
		{"an error without a kind", "GetOfNothingIsNotFound", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					err = fmt.Errorf("get %s: %w", ref, backends.ErrNotFound)
				}
				return item, v, err
			}
		}},
		{"the context's error is lost", "CancelledGet", func(w *whole, _ *mem.Store) {
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
		{"the first value is staged, although it is said to become current", "StagedFirstIsCurrent", func(w *whole, _ *mem.Store) {
			props := w.props
			w.props = func() backends.Properties {
				p := props()
				p.FirstIsCurrent = true
				return p
			}
		}},
		{"staging makes current", "StagedIsNotCurrent", func(w *whole, _ *mem.Store) {
			w.stage = func(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
				_, v, _ := w.get(ctx, ref, backends.Current)
				return w.put(ctx, ref, item, v)
			}
		}},
		{"promote ignores prev", "PromoteLosesRace", func(w *whole, _ *mem.Store) {
			promote := w.promote
			w.promote = func(ctx context.Context, ref backends.Ref, pending, _ backends.Version) error {
				_, v, _ := w.get(ctx, ref, backends.Current)
				return promote(ctx, ref, pending, v)
			}
		}},
		{"promote can't be repeated", "PromoteTwiceIsOnce", func(w *whole, _ *mem.Store) {
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
		{"promote replaces what others keep beside the value", "OthersMetadataSurvives", func(w *whole, s *mem.Store) {
			promote := w.promote
			w.promote = func(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
				s.Delete(ref.Path + noted)
				return promote(ctx, ref, pending, prev)
			}
		}},
		{"describe tells of nothing", "DescribeAgreesWithGet", func(w *whole, _ *mem.Store) {
			w.describe = func(context.Context, backends.Ref) (backends.Meta, backends.Version, error) {
				return backends.Meta{}, "1", nil
			}
		}},
		{"check writes", "CheckChangesNothing", func(w *whole, s *mem.Store) {
			w.check = func(_ context.Context, ref backends.Ref) error {
				s.Overwrite(ref.Path, secret.New("probe"))
				return nil
			}
		}},
		{"remove takes the current", "CurrentIsNotRemoved", func(w *whole, s *mem.Store) {
			w.remove = func(_ context.Context, ref backends.Ref, _ backends.Version) error {
				s.Delete(ref.Path)
				return nil
			}
		}},
		{"remove does nothing", "RemovedVersionIsNotFound", func(w *whole, _ *mem.Store) {
			w.remove = func(context.Context, backends.Ref, backends.Version) error { return nil }
		}},
		{"properties depend on use", "PropertiesNeverChange", func(w *whole, s *mem.Store) {
			props := w.props
			w.props = func() backends.Properties {
				p := props()
				p.Volatile = s.Written("suite/place-1") > 0
				return p
			}
		}},
		{"an error repeats the payload", "ErrorsHoldNoSecret", func(w *whole, _ *mem.Store) {
			put := w.put
			w.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
				v, err := put(ctx, ref, item, prev)
				if err != nil {
					err = &backends.Error{Op: "put", Ref: ref, Kind: backends.KindOf(err), Err: fmt.Errorf("body %.60q: %w", item.Payload.Reveal(), err)}
				}
				return v, err
			}
		}},
		{"an error repeats a credential", "ErrorsHoldNoSecret", func(w *whole, _ *mem.Store) {
			get := w.get
			w.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
				item, v, err := get(ctx, ref, at)
				if err != nil {
					err = &backends.Error{Op: "get", Ref: ref, Kind: backends.KindOf(err), Err: fmt.Errorf("with %s: %w", credential.Reveal(), err)}
				}
				return item, v, err
			}
		}},
		{"Close leaves a goroutine", "CloseEndsBackground", func(_ *whole, _ *mem.Store) {
			go func() { select {} }()
		}},
		{"what was put is known to one backend alone", "ReopenedFindsTheSame", func(w *whole, s *mem.Store) {
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
		backendtest.Run(t, flawedHarness(func(*whole, *mem.Store) {}))
		return
	}
	for _, f := range flaws() {
		if f.name == want {
			backendtest.Run(t, flawedHarness(f.make))
		}
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
