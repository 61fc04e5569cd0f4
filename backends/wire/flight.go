package wire

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Flight is what became of the requests of one call. It travels in the context,
// for an SDK can hide the transport's error, above all when a context ends. It
// is safe for concurrent use.
type Flight struct {
	mu      sync.Mutex
	arrived bool
	status  int
	wait    time.Duration
	err     error
}

type flightKey struct{}

// Track starts a Flight. The requests with ctx that Options.Asks means are noted
// in it.
func Track(ctx context.Context) (context.Context, *Flight) {
	f := &Flight{}
	return context.WithValue(ctx, flightKey{}, f), f
}

// flightOf is the Flight of ctx; where nobody tracks it, one that nobody reads.
func flightOf(ctx context.Context) *Flight {
	if f, ok := ctx.Value(flightKey{}).(*Flight); ok {
		return f
	}
	return &Flight{}
}

func (f *Flight) sent(acts bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = f.arrived || acts
}

func (f *Flight) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *Flight) answered(resp *http.Response) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.wait, f.err = resp.StatusCode, RetryAfter(resp.Header), nil
}

// Arrived reports whether a request that the store acts on was given a
// connection: it may have been carried out.
func (f *Flight) Arrived() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.arrived
}

// Status is that of the last whole answer; 0 is none.
func (f *Flight) Status() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// RetryAfter is how long the last whole answer asks to wait; 0 is unsaid.
func (f *Flight) RetryAfter() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait
}

// Err is why the last request got no answer; nil where it got one, or none was
// made.
func (f *Flight) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// RetryAfter reads the header of that name: seconds, or a date. 0 is unsaid.
func RetryAfter(h http.Header) time.Duration {
	header := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
