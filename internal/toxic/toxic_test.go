package toxic_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/toxic"
)

// echo is a server that gives back what it gets.
func echo(t *testing.T) string {
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
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, w *toxic.Wire) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// ask sends a byte and waits for it to come back.
func ask(conn net.Conn) error {
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

// TestHarsh: a harsh wire is whole before its fault, which then ends the
// connections that stand by a reset on TCP's level.
func TestHarsh(t *testing.T) {
	for _, up := range []bool{true, false} {
		w, err := toxic.New("127.0.0.1:0", echo(t))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Cut()
		if err := w.Harsh(); err != nil {
			t.Fatal(err)
		}
		conn := dial(t, w)
		if err := ask(conn); err != nil {
			t.Errorf("before the reset: %v", err)
		}
		if err := w.Spoil(toxic.Fault{Type: "reset_peer", Upstream: up}); err != nil {
			t.Fatal(err)
		}
		if err := ask(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("at the reset: %v", err)
		}
		if err := w.Mend(); err != nil {
			t.Fatal(err)
		}
		if err := ask(dial(t, w)); err != nil {
			t.Errorf("after the reset: %v", err)
		}
	}
}

// TestCut: a wire that is cut takes its connections with it, and comes back at
// its address.
func TestCut(t *testing.T) {
	w, err := toxic.New("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cut()
	conn := dial(t, w)
	if err := ask(conn); err != nil {
		t.Fatal(err)
	}
	w.Cut()
	if err := ask(conn); err == nil {
		t.Error("the connection has outlived the wire")
	}
	if _, err := net.Dial("tcp", w.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial where nobody listens: %v", err)
	}
	if err := w.Raise(); err != nil {
		t.Fatal(err)
	}
	if err := ask(dial(t, w)); err != nil {
		t.Errorf("after it was raised: %v", err)
	}
}

func TestUnknownFault(t *testing.T) {
	w, err := toxic.New("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cut()
	for what, err := range map[string]error{
		"spoil": w.Spoil(toxic.Fault{Type: "nonsense"}), "mend": w.Mend(),
	} {
		if err == nil {
			t.Errorf("%s: there is no such fault, and no error", what)
		}
	}
}
