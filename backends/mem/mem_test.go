package mem_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// TestConformance runs the suite on every kind of store that others' tests
// play.
func TestConformance(t *testing.T) {
	kinds := map[string]mem.Options{
		"poorest":    {},
		"like vault": mem.LikeVault(),
		"like aws":   mem.LikeAWS(),
		"like azure": mem.LikeAzure(),
		"like file":  mem.LikeFile(),
		"all":        {CompareAndSet: true, Versions: true, Metadata: true, Volatile: true, Staging: true, Describing: true, Checking: true},
	}
	for name, options := range kinds {
		t.Run(name, func(t *testing.T) { backendtest.Run(t, harness(options)) })
	}
}

func harness(options mem.Options) backendtest.Harness {
	store := mem.New(options)
	var places atomic.Int64
	ref := func(*testing.T) backends.Ref {
		return backends.Ref{Backend: "memory", Path: fmt.Sprintf("suite/place-%d", places.Add(1))}
	}
	return backendtest.Harness{
		Open: func(*testing.T) backends.Backend { return store.Backend() },
		Ref:  ref,
		Overwrite: func(_ *testing.T, ref backends.Ref, payload secret.Value) {
			store.Overwrite(ref.Path, payload)
		},
		Delete: func(_ *testing.T, ref backends.Ref) { store.Delete(ref.Path) },
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			place := ref(t)
			store.Deny(place.Path)
			return store.Backend(), place
		},
		Unreachable: func(*testing.T) backends.Backend {
			down := mem.New(options)
			down.SetDown(true)
			return down.Backend()
		},
		AnswerLost: func(*testing.T) backends.Backend {
			return faulty.Wrap(store.Backend(), func(c faulty.Call) faulty.Fault {
				if c.Op.Writes() {
					return faulty.LoseAnswer()
				}
				return faulty.Fault{}
			})
		},
		Hanging: func(*testing.T) backends.Backend {
			return faulty.Wrap(store.Backend(), func(faulty.Call) faulty.Fault { return faulty.Hang() })
		},
		Throttled: func(*testing.T) backends.Backend {
			return faulty.Wrap(store.Backend(), func(c faulty.Call) faulty.Fault {
				return faulty.Fail(&backends.Error{Op: string(c.Op), Ref: c.Ref, Kind: backends.ErrThrottled, RetryAfter: 7 * time.Second})
			})
		},
		RetryAfter: 7 * time.Second,
		Annotate: func(_ *testing.T, ref backends.Ref) func(*testing.T) bool {
			store.Mark(ref.Path, true)
			return func(*testing.T) bool { return store.Marked(ref.Path) }
		},
		Names:   func(*testing.T) []string { return []string{"x", ".a", "a b/c..d/é"} },
		Log:     &backendtest.Log{}, // nothing here logs
		Escapes: []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", strings.Repeat("a", 513)},
	}
}

// TestCapabilitiesAreChosen: a type assertion finds what the options say.
func TestCapabilitiesAreChosen(t *testing.T) {
	for bits := range 8 {
		o := mem.Options{Staging: bits&1 != 0, Describing: bits&2 != 0, Checking: bits&4 != 0}
		b := mem.New(o).Backend()
		_, stages := backends.As[backends.Stager](b)
		_, describes := backends.As[backends.Describer](b)
		_, checks := backends.As[backends.Checker](b)
		if got := (mem.Options{Staging: stages, Describing: describes, Checking: checks}); got != o {
			t.Errorf("chosen %+v, found %+v", o, got)
		}
	}
}

func TestOtherHands(t *testing.T) {
	tests := []struct {
		name    string
		options mem.Options
		act     func(*mem.Store)
		// current is the payload afterwards, "" for none; version and meta
		// what Get tells with it.
		current  string
		version  backends.Version
		wantMeta bool
	}{
		{name: "nothing", options: mem.LikeVault(), act: func(*mem.Store) {}, current: "two", version: "2", wantMeta: true},
		{name: "overwrite", options: mem.LikeVault(), act: func(s *mem.Store) { s.Overwrite("a", secret.New("three")) }, current: "three", version: "3"},
		{name: "slip a value in beside the metadata", options: mem.LikeVault(), act: func(s *mem.Store) { s.Slip("a", secret.New("three")) }, current: "three", version: "3", wantMeta: true},
		{name: "overwrite with nothing", options: mem.LikeVault(), act: func(s *mem.Store) { s.Overwrite("a", secret.Value{}) }, version: "2"},
		{name: "roll back makes a version", options: mem.LikeVault(), act: func(s *mem.Store) { s.RollBack("a") }, current: "one", version: "3"},
		{name: "roll back moves the label", options: mem.LikeAWS(), act: func(s *mem.Store) { s.RollBack("a") }, current: "one", version: "1", wantMeta: true},
		{name: "roll back without versions", options: mem.LikeFile(), act: func(s *mem.Store) { s.RollBack("a") }, current: "two", version: "2", wantMeta: true},
		{name: "delete", options: mem.LikeVault(), act: func(s *mem.Store) { s.Delete("a") }, version: "2"},
		{name: "wipe", options: mem.LikeVault(), act: func(s *mem.Store) { s.Wipe() }},
		{name: "deny and allow", options: mem.LikeVault(), act: func(s *mem.Store) { s.Deny("a"); s.Allow("a") }, current: "two", version: "2", wantMeta: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := mem.New(test.options)
			b, ref := store.Backend(), backends.Ref{Backend: "memory", Path: "a"}
			putText(t, b, ref, "one")
			putText(t, b, ref, "two")
			test.act(store)
			item, v, err := b.Get(t.Context(), ref, backends.Current)
			if (err == nil) != (test.current != "") {
				t.Fatalf("get: %v", err)
			}
			if item.Payload.Reveal() != test.current || v != test.version || item.Meta.IsZero() == test.wantMeta {
				t.Errorf("got %q at %q, meta %v; want %q at %q, meta %v", item.Payload.Reveal(), v, !item.Meta.IsZero(),
					test.current, test.version, test.wantMeta)
			}
			if got := store.Peek("a"); got.Reveal() != test.current {
				t.Errorf("a consumer reads %q, want %q", got.Reveal(), test.current)
			}
		})
	}
}

func putText(t *testing.T, b backends.Backend, ref backends.Ref, text string) {
	t.Helper()
	_, v, _ := b.Get(t.Context(), ref, backends.Current)
	item := backends.Item{Payload: secret.New(text), Meta: backends.Meta{Slot: "s", Generation: 1}}
	if _, err := b.Put(t.Context(), ref, item, v); err != nil {
		t.Fatal(err)
	}
}

func TestWrittenCountsVersions(t *testing.T) {
	store := mem.New(mem.Options{})
	b, ref := store.Backend(), backends.Ref{Path: "a"}
	putText(t, b, ref, "one")
	putText(t, b, ref, "one")
	store.Overwrite("a", secret.New("two"))
	store.Delete("a")
	if n := store.Written("a"); n != 2 {
		t.Errorf("written %d, want 2", n)
	}
}

// TestOnlyWhatStandsIsKept: a version that stands at no stage is gone.
func TestOnlyWhatStandsIsKept(t *testing.T) {
	store := mem.New(mem.Options{})
	b, ref := store.Backend(), backends.Ref{Path: "a"}
	putText(t, b, ref, "one")
	putText(t, b, ref, "two")
	if store.RollBack("a") {
		t.Error("a store without versions rolled back")
	}
	_, _, err := b.Get(t.Context(), ref, backends.Previous)
	if !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("previous: %v", err)
	}
}

func TestEmptyPayloadIsInvalid(t *testing.T) {
	b := mem.New(mem.LikeAWS()).Backend()
	_, err := b.Put(t.Context(), backends.Ref{Path: "a"}, backends.Item{}, backends.Absent)
	if !errors.Is(err, backends.ErrInvalid) {
		t.Errorf("put: %v", err)
	}
	stager, _ := backends.As[backends.Stager](b)
	_, err = stager.PutPending(t.Context(), backends.Ref{Path: "a"}, backends.Item{})
	if !errors.Is(err, backends.ErrInvalid) {
		t.Errorf("stage: %v", err)
	}
}

// TestPromoteOfWhatIsGone: a pending version that another replaced can't be
// promoted any more.
func TestPromoteOfWhatIsGone(t *testing.T) {
	b, ref := mem.New(mem.Options{Staging: true}).Backend(), backends.Ref{Path: "a"}
	stager, _ := backends.As[backends.Stager](b)
	v, err := stager.PutPending(t.Context(), ref, backends.Item{Payload: secret.New("one")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stager.PutPending(t.Context(), ref, backends.Item{Payload: secret.New("two")}); err != nil {
		t.Fatal(err)
	}
	for _, pending := range []backends.Version{v, backends.Absent} {
		err = stager.Promote(t.Context(), ref, pending, backends.Absent)
		if !errors.Is(err, backends.ErrConflict) {
			t.Errorf("promote %q: %v", pending, err)
		}
	}
}

func TestDriver(t *testing.T) {
	d := mem.Driver()
	options, ok := d.Options().(*mem.Options)
	if !ok || d.Type != "mem" || d.TargetOptions != nil {
		t.Fatalf("driver %q with options %T", d.Type, d.Options())
	}
	options.Versions, options.MaxPayload = true, 9
	b, err := d.Open(context.Background(), backends.Env{Name: "memory", Log: slog.New(slog.DiscardHandler)}, options)
	if err != nil {
		t.Fatal(err)
	}
	if declared, opened := d.Properties(options), b.Properties(); !declared.Versions || declared.MaxPayload != opened.MaxPayload {
		t.Errorf("properties declared %+v, opened %+v", declared, opened)
	}
	if place := d.Place(options, backends.Ref{Backend: "memory", Path: "a/b"}); place != "memory/a/b" {
		t.Errorf("place %q", place)
	}
	if got := d.Properties("no options"); got.Versions {
		t.Errorf("properties of foreign options: %+v", got)
	}
	for _, bad := range []any{nil, "text", &mem.Options{MaxPayload: -1}} {
		if _, err := d.Open(context.Background(), backends.Env{Name: "memory"}, bad); err == nil {
			t.Errorf("options %v were opened", bad)
		}
	}
}
