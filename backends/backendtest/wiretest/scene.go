package wiretest

import (
	"context"
	"errors"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/internal/toxic"
)

// scene is one fault on one wire.
type scene struct {
	t       *testing.T
	harness Harness
	fault   fault
	usual   course

	relay   *relay
	wire    *toxic.Wire
	backend backends.Backend

	ref backends.Ref
	// old is what stands at the beginning; the zero Item is nothing. item is
	// what is put.
	old, item backends.Item
	version   backends.Version // of old
	ctx       *lapsing
}

func (h Harness) newScene(t *testing.T, f fault, usual course) *scene {
	t.Helper()
	s := &scene{t: t, harness: h, fault: f, usual: usual, relay: h.newRelay(t), ref: h.Ref(t), item: newItem(2)}
	at, err := url.Parse(s.relay.url)
	if err != nil {
		t.Fatal(err)
	}
	if s.wire, err = toxic.New("127.0.0.1:0", at.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.wire.Cut)
	s.must(s.wire.Harsh())
	timeout := long
	if f.ends == limit {
		timeout = usual.limit
	}
	s.backend = s.open(at.Scheme+"://"+s.wire.Address(), timeout)
	if usual.standing {
		s.old = newItem(1)
		s.version = must(t, s.backend, s.ref, s.old, backends.Absent)
	} else if _, _, err := s.read(s.backend); !errors.Is(backends.KindOf(err), backends.ErrNotFound) { // it logs in, too
		t.Fatalf("get where nothing stands: %v", err)
	}
	s.ctx = newLapsing(t.Context())
	return s
}

func (s *scene) open(url string, timeout time.Duration) backends.Backend {
	s.t.Helper()
	b := s.harness.Open(s.t, url, s.relay.caFile, timeout)
	s.t.Cleanup(func() {
		if err := b.Close(); err != nil {
			s.t.Errorf("close: %v", err)
		}
	})
	return b
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// put has the fault meet a Put.
func (s *scene) put() {
	s.t.Helper()
	s.arm()
	var version backends.Version
	err := s.within(func() (err error) {
		version, err = s.backend.Put(s.ctx, s.ref, s.item, s.version)
		return err
	})
	switch {
	case err == nil && !s.fault.none:
		s.t.Errorf("put: no error, want %v", s.fault.kinds)
	case err == nil && version == backends.Absent:
		s.t.Error("put: neither a version nor an error")
	case err != nil:
		s.wantKind("put", err, s.fault.kinds...)
	}
	if s.fault.late {
		s.wantValue("before the late request arrives", s.open(s.relay.url, long), s.old)
	}
	s.clear()
	want := s.old
	if s.fault.commits {
		want = s.item
	}
	found := s.wantValue("when the wire is mended", s.backend, want)
	s.again(found)
}

// again makes the same Put over the mended wire.
func (s *scene) again(found backends.Version) {
	s.t.Helper()
	version := must(s.t, s.backend, s.ref, s.item, found)
	if s.fault.commits && version != found {
		s.t.Errorf("the same put again made the version %q of what stood there as %q", version, found)
	}
	s.wantValue("after the same put again", s.backend, s.item)
	item, _, err := s.read(s.backend)
	if err == nil && s.backend.Properties().Metadata && item.Meta != s.item.Meta {
		s.t.Errorf("after the same put again its metadata is %+v, want %+v", item.Meta, s.item.Meta)
	}
	if s.usual.standing && s.backend.Properties().Versions {
		before, _, err := s.backend.Get(s.t.Context(), s.ref, backends.Previous)
		if err != nil || !before.Payload.Equal(s.old.Payload) {
			s.t.Errorf("the previous value is %s, want %s; %v", before.Payload.Fingerprint().Short(), s.old.Payload.Fingerprint().Short(), err)
		}
	}
}

// get has the fault meet a Get.
func (s *scene) get() {
	s.t.Helper()
	s.arm()
	err := s.within(func() error {
		_, _, err := s.backend.Get(s.ctx, s.ref, backends.Current)
		return err
	})
	s.wantKind("get", err, backends.ErrUnavailable)
	s.clear()
	s.wantValue("when the wire is mended", s.backend, s.old)
}

// arm prepares the fault for its instant, and the end of the call.
func (s *scene) arm() {
	s.t.Helper()
	f := s.fault
	if f.at == first {
		s.spring(40) // the least that any answer has, and more
	}
	switch {
	case f.ends == deadline && f.at == first:
		s.ctx.lapseAt(1)
	case f.ends == deadline && f.at == asked:
		s.ctx.lapseAt(s.usual.before + 1)
	}
	s.relay.watch(func(x exchange) {
		switch {
		case f.at == asked && x.number == s.usual.before:
			s.spring(s.usual.request)
		case f.at == answered && x.commits:
			s.spring(x.size)
			if f.ends == deadline {
				s.ctx.lapse()
			}
		case f.at == behind && x.commits:
			s.spring(0)
		}
	})
}

// spring begins the fault on a wire over which so many bytes are to go.
func (s *scene) spring(bytes int64) {
	f := s.fault.toxic
	switch f.Type {
	case "":
		s.wire.Cut()
		return
	case "limit_data":
		f.Attributes = map[string]int64{"bytes": bytes * s.fault.part / 100}
	}
	if err := s.wire.Spoil(f); err != nil {
		s.t.Error(err)
	}
}

// clear ends the fault. A request that was on its way arrives.
func (s *scene) clear() {
	s.t.Helper()
	if s.fault.toxic.Type == "" {
		s.must(s.wire.Raise())
	} else {
		s.must(s.wire.Mend())
	}
	if !s.fault.late {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.relay.landed:
	case <-timer.C:
		s.t.Fatal("the late request never arrived")
	}
}

// within fails the test when the call goes on for too long.
func (s *scene) within(do func() error) error {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		s.ctx.lapse()
		s.t.Fatalf("it goes on after %s", patience)
		return nil
	}
}

func (s *scene) read(b backends.Backend) (backends.Item, backends.Version, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return b.Get(ctx, s.ref, backends.Current)
}

// wantValue fails the test unless a Get finds just that, with metadata that
// describes nothing else, and returns the version.
func (s *scene) wantValue(when string, b backends.Backend, want backends.Item) backends.Version {
	s.t.Helper()
	item, version, err := s.read(b)
	nothing := errors.Is(backends.KindOf(err), backends.ErrNotFound)
	switch {
	case err != nil && !nothing:
		s.t.Fatalf("get %s: %v", when, err)
	case nothing != want.Payload.IsZero() || !item.Payload.Equal(want.Payload):
		s.t.Errorf("get %s: %s with %d bytes, want %s with %d", when,
			item.Payload.Fingerprint().Short(), item.Payload.Len(), want.Payload.Fingerprint().Short(), want.Payload.Len())
	case !item.Meta.IsZero() && item.Meta != want.Meta:
		s.t.Errorf("get %s: the metadata is %+v, want %+v or none", when, item.Meta, want.Meta)
	}
	return version
}

func (s *scene) wantKind(op string, err error, kinds ...error) {
	s.t.Helper()
	var e *backends.Error
	if !errors.As(err, &e) {
		s.t.Errorf("%s: %v is not a *backends.Error", op, err)
		return
	}
	for _, kind := range kinds {
		if errors.Is(e.Kind, kind) {
			if s.fault.ends != itself && !errors.Is(err, context.DeadlineExceeded) {
				s.t.Errorf("%s: %v does not unwrap to the deadline's error", op, err)
			}
			return
		}
	}
	s.t.Errorf("%s: kind %v, want %v (%v)", op, e.Kind, kinds, err)
}

// lapsing is a context whose deadline passes at a chosen instant.
type lapsing struct {
	context.Context
	once    sync.Once
	done    chan struct{}
	written atomic.Int64
	at      atomic.Int64
}

// newLapsing follows the requests that are made with it.
func newLapsing(parent context.Context) *lapsing {
	c := &lapsing{done: make(chan struct{})}
	c.Context = httptrace.WithClientTrace(parent, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		if c.written.Add(1) == c.at.Load() {
			c.lapse()
		}
	}})
	return c
}

// lapseAt lets the deadline pass when so many requests are written.
func (c *lapsing) lapseAt(requests int) { c.at.Store(int64(requests)) }

func (c *lapsing) lapse() { c.once.Do(func() { close(c.done) }) }

// Done implements context.Context.
func (c *lapsing) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *lapsing) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
