// Package wiretest is what every driver with a network has to pass: faults on
// TCP's level (toxiproxy), each at a chosen instant of a Put or a Get. What is
// asserted is what [backends.Backend] says of a write whose fate isn't known:
//
//   - a Put fails with UnknownOutcome where the store may have carried it out,
//     and with Unavailable where it can't have been;
//   - a Get fails with Unavailable, and never finds "nothing";
//   - once the wire is mended, the next Get finds the old value whole, or the
//     new one whole, whichever the store has; the same Put again makes the new
//     one current, with no version more than needed, and the old one stands
//     before it where the store keeps versions;
//   - nothing goes on after the deadline.
//
// Between the wire and the store stands a relay, which tells when the request
// that makes a value current has arrived and was answered.
package wiretest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

const (
	// patience is how long a call may go on after the fault, or after its
	// deadline. It is generous: a loaded machine makes a test slower, never red.
	patience = 30 * time.Second
	// long is the backend's own time limit where something else has to end the
	// call.
	long = 2 * patience
	// least and times say what that limit is where it has to end the call: so
	// many times what a whole Put took here, for what comes before the fault
	// has to fit in.
	least, times = 500 * time.Millisecond, 20
)

// Harness is how the suite gets at a driver and at the store behind it.
type Harness struct {
	// Store is the store's URL, and CAFile a PEM file with the authority of its
	// certificate, with https.
	Store, CAFile string
	// Commits reports whether a request of a Put is one that makes a value
	// current. Of several the first counts.
	Commits func(r Request) bool
	// Aside reports whether a request belongs to no operation: the driver makes
	// it in the background. nil: none does.
	Aside func(r Request) bool
	// Open returns a backend that finds the store at the URL, with that time
	// limit for each of its calls. With https the server's authority stands in
	// the file. The suite closes it.
	Open func(t *testing.T, url, caFile string, timeout time.Duration) backends.Backend
	// Ref returns a place where nothing was ever written, another one at each
	// call.
	Ref func(t *testing.T) backends.Ref
}

// Run plays every fault, in places where nothing stands yet and in such where an
// older value does.
func Run(t *testing.T, h Harness) {
	t.Helper()
	fresh, standing := h.measure(t, false), h.measure(t, true)
	for _, f := range faults() {
		t.Run("Put/Fresh/"+f.name, func(t *testing.T) {
			t.Parallel()
			h.newScene(t, f, fresh).put()
		})
		t.Run("Put/Standing/"+f.name, func(t *testing.T) {
			t.Parallel()
			h.newScene(t, f, standing).put()
		})
		if f.at == first {
			t.Run("Get/"+f.name, func(t *testing.T) {
				t.Parallel()
				h.newScene(t, f, standing).get()
			})
		}
	}
}

// course is how a Put goes whose wire is whole.
type course struct {
	// standing: an older value stands where it goes.
	standing bool
	// before is how many requests come before the one that commits.
	before int
	// request is the size of the one that commits, in bytes.
	request int64
	// limit is a time limit for each call that such a Put keeps.
	limit time.Duration
}

// measure makes a Put and looks how it goes.
func (h Harness) measure(t *testing.T, standing bool) course {
	t.Helper()
	s := h.newScene(t, fault{}, course{standing: standing})
	s.relay.watch(nil)
	began := time.Now()
	must(t, s.backend, s.ref, s.item, s.version)
	c := course{standing: standing, limit: max(least, times*time.Since(began))}
	c.before, c.request = s.relay.committed()
	if c.request == 0 {
		t.Fatal("no request of a Put is one that commits: see Harness.Commits")
	}
	if c.before == 0 {
		t.Fatal("a Put commits with its first request: this suite is for drivers that look first")
	}
	return c
}

// newItem is a payload like a JWT that nobody wrote before.
func newItem(generation uint64) backends.Item {
	text := "eyJhbGciOiJIUzI1NiJ9."
	for range 8 {
		text += rand.Text()
	}
	payload := secret.New(text + "." + rand.Text())
	return backends.Item{Payload: payload, Meta: backends.Meta{
		Slot: "suite@service/wire", Generation: generation, TokenID: 4711 + int64(generation), Token: payload.Fingerprint(),
		Expires: time.Date(2031, time.March, 5, 12, 34, 56, 0, time.UTC),
	}}
}

// must makes item current over a wire that is whole.
func must(t *testing.T, b backends.Backend, ref backends.Ref, item backends.Item, prev backends.Version) backends.Version {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := b.Put(ctx, ref, item, prev)
	if err != nil {
		t.Fatalf("put over a whole wire: %v", err)
	}
	return v
}
