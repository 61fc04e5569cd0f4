package main

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/realtest"
	"github.com/handover-agent/handover/internal/toxic"
)

// size is that of a question and of an answer, in bytes.
const size = 20000

// answering serves an answer for each question, and then hangs up.
func answering(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := io.ReadFull(conn, make([]byte, size)); err == nil {
					_, _ = conn.Write(make([]byte, size))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// ask asks over the wire. It returns how much of the answer came, and after
// how long the end came.
func ask(w *toxic.Wire, patience time.Duration) (n int, took time.Duration) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", w.Address(), patience)
	if err != nil {
		return 0, time.Since(began)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(began.Add(patience))
	_, _ = conn.Write(make([]byte, size))
	answer, _ := io.ReadAll(conn)
	return len(answer), time.Since(began)
}

// TestToxics: each toxic does to a wire what it is for, in both directions, and
// a mended wire is whole.
func TestToxics(t *testing.T) {
	w, err := toxic.New(realtest.LastingAddress(t), answering(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cut()
	wholeWire := func(after string) {
		t.Helper()
		if n, took := ask(w, time.Minute); n != size {
			t.Fatalf("after %s: %d of %d bytes in %s", after, n, size, took)
		}
	}
	wholeWire("the start")
	for _, kind := range toxics {
		for _, knob := range []uint64{0, 1} { // the answer, the question
			mend, err := spoil(w, kind, knob)
			if err != nil {
				t.Fatal(err)
			}
			n, took := ask(w, 3*time.Second)
			var least time.Duration
			want := size
			switch kind {
			case "latency":
				least = 100 * time.Millisecond
			case "bandwidth":
				least, want = time.Second, n // it may not be done in time
			case "slow_close":
				if knob == 0 {
					least = 500 * time.Millisecond
				}
			default:
				want = 0
			}
			if n != want || took < least {
				t.Errorf("%s: %d of %d bytes in %s", kind, n, size, took)
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			wholeWire(kind)
		}
	}
	if _, err := spoil(w, "nonsense", 0); err == nil {
		t.Error("there is no toxic of that name, and it was set")
	}
}

// TestToxicsUnderWay: an answer that is under way is hit too.
func TestToxicsUnderWay(t *testing.T) {
	w, err := toxic.New(realtest.LastingAddress(t), answering(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cut()
	conn, err := net.Dial("tcp", w.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(make([]byte, size/2)); err != nil {
		t.Fatal(err)
	}
	mend, err := spoil(w, "limit_data", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(make([]byte, size/2)) // it may be closed already
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("%d bytes of the answer came", len(answer))
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
}

// TestToxicsDiffer: the knob changes the numbers.
func TestToxicsDiffer(t *testing.T) {
	for _, name := range toxics[:len(toxics)-1] {
		seen := map[string]bool{}
		for knob := range uint64(2000) {
			seen[fmt.Sprint(draw(name, knob))] = true
		}
		if len(seen) < 10 || draw(name, 0).Type != name {
			t.Errorf("%s comes in %d forms", name, len(seen))
		}
	}
}
