package wiretest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest/wiretest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/examples/driver"
)

// shelf is a server as the example driver wants it.
type shelf struct {
	mu     sync.Mutex
	values map[string]string
	tags   map[string]int
	last   int
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	text, there := s.values[r.URL.Path]
	tag := fmt.Sprintf(`"%d"`, s.tags[r.URL.Path])
	match := r.Header.Get("If-Match")
	switch {
	case err != nil:
	case r.Method == http.MethodPut && (match != "" && match != tag || match == "" && there):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPut:
		s.last++
		s.values[r.URL.Path], s.tags[r.URL.Path] = string(body), s.last
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, s.last))
		_, _ = io.WriteString(w, strings.Repeat("it is written ", 20))
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", tag)
		_, _ = io.WriteString(w, text)
	}
}

// flawed is the example driver with a flaw.
type flawed struct {
	backends.Backend
	put func(context.Context, backends.Ref, backends.Item, backends.Version) (backends.Version, error)
	get func(context.Context, backends.Ref, backends.Stage) (backends.Item, backends.Version, error)
}

func (f *flawed) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	return f.put(ctx, ref, item, prev)
}

func (f *flawed) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	return f.get(ctx, ref, at)
}

// flaws are mistakes that a driver can make, and a subtest that finds each.
var flaws = map[string]struct {
	found string
	make  func(*flawed)
}{
	"a lost answer is unavailable": {"Put/Standing/ResetAfterTheCommit", func(f *flawed) {
		f.put = otherwise(f.Backend, func(_ backends.Version, err error) (backends.Version, error) {
			return "", &backends.Error{Op: "put", Kind: backends.ErrUnavailable, Err: err}
		})
	}},
	"a lost answer is a success": {"Put/Fresh/AnswerCut", func(f *flawed) {
		f.put = otherwise(f.Backend, func(backends.Version, error) (backends.Version, error) { return "1", nil })
	}},
	"a write that can't have been is unknown": {"Put/Fresh/RefusedAtFirst", func(f *flawed) {
		f.put = otherwise(f.Backend, func(_ backends.Version, err error) (backends.Version, error) {
			return "", &backends.Error{Op: "put", Kind: backends.ErrUnknownOutcome, Err: err}
		})
	}},
	"unreachable is not found": {"Get/ResetAtFirst", func(f *flawed) {
		f.get = func(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
			item, v, err := f.Backend.Get(ctx, ref, at)
			if errors.Is(err, backends.ErrUnavailable) {
				err = &backends.Error{Op: "get", Ref: ref, Kind: backends.ErrNotFound}
			}
			return item, v, err
		}
	}},
	"the same put again makes a version": {"Put/Standing/HalfOpenAfterTheCommit", func(f *flawed) {
		f.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
			if now, v, err := f.Backend.Get(ctx, ref, backends.Current); err == nil && now.Payload.Equal(item.Payload) {
				prev, _ = f.Backend.Put(ctx, ref, backends.Item{Payload: secret.New("in between")}, v)
			}
			return f.Backend.Put(ctx, ref, item, prev)
		}
	}},
	"a part of the payload is written": {"Put/Fresh/AnswerDelayed", func(f *flawed) {
		f.put = func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
			item.Payload = secret.New(item.Payload.Reveal()[:100])
			return f.Backend.Put(ctx, ref, item, prev)
		}
	}},
	"the deadline's error is lost": {"Put/Fresh/HalfOpenBeforeTheCommit", func(f *flawed) {
		f.put = otherwise(f.Backend, func(v backends.Version, err error) (backends.Version, error) {
			return v, &backends.Error{Op: "put", Kind: backends.KindOf(err)}
		})
	}},
}

// otherwise has a Put that fails say something else.
func otherwise(b backends.Backend, say func(backends.Version, error) (backends.Version, error)) func(context.Context, backends.Ref, backends.Item, backends.Version) (backends.Version, error) {
	return func(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
		v, err := b.Put(ctx, ref, item, prev)
		if err != nil {
			return say(v, err)
		}
		return v, nil
	}
}

// flawName tells the child which flaw to have.
const flawName = "HANDOVER_TEST_FLAW"

// TestFlawed is the child of TestFlawsAreFound. Without a flaw it passes.
func TestFlawed(t *testing.T) {
	flaw := flaws[os.Getenv(flawName)]
	server := httptest.NewServer(&shelf{values: map[string]string{}, tags: map[string]int{}})
	t.Cleanup(server.Close)
	var places atomic.Int64
	wiretest.Run(t, wiretest.Harness{
		Store:   server.URL,
		Commits: func(r wiretest.Request) bool { return r.Method == http.MethodPut },
		Open: func(t *testing.T, url, _ string, timeout time.Duration) backends.Backend {
			inner, err := driver.Driver().Open(t.Context(), backends.Env{Name: "shelf", Log: slog.New(slog.DiscardHandler)},
				&driver.Options{URL: url, Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			b := &flawed{Backend: inner, put: inner.Put, get: inner.Get}
			if flaw.make != nil {
				flaw.make(b)
			}
			return b
		},
		Ref: func(*testing.T) backends.Ref {
			return backends.Ref{Backend: "shelf", Path: fmt.Sprintf("tokens/%d", places.Add(1))}
		},
	})
}

func TestFlawsAreFound(t *testing.T) {
	for name, flaw := range flaws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$/^"+strings.ReplaceAll(flaw.found, "/", "$/^")+"$")
			cmd.Env = append(os.Environ(), flawName+"="+name)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) || !strings.Contains(string(out), "--- FAIL: TestFlawed/"+flaw.found) {
				t.Errorf("%s does not find it: %v\n%s", flaw.found, err, out)
			}
		})
	}
}
