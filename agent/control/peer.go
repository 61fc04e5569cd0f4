package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

// peer is who stands at the other end of a connection, by the kernel's word.
type peer struct {
	uid int
	err error
}

// peerKey is the key of a connection's peer in the contexts of its calls: the
// one way that net/http has for what belongs to a connection.
type peerKey struct{}

// withPeer asks the kernel once for each connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(conn))
}

func peerOf(conn net.Conn) peer {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{err: fmt.Errorf("a connection of type %T has no peer", conn)}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return peer{err: err}
	}
	var p peer
	err = raw.Control(func(fd uintptr) { p.uid, p.err = peerUID(int(fd)) })
	if err != nil {
		return peer{err: err}
	}
	return p
}

// caller is the peer of the connection that a call came by.
func caller(ctx context.Context) peer {
	p, ok := ctx.Value(peerKey{}).(peer)
	if !ok {
		return peer{err: errors.New("the connection has no peer")}
	}
	return p
}

// allowed refuses all but the agent's own user and root, whatever became of
// the socket's mode.
func (p peer) allowed() error {
	switch {
	case p.err != nil:
		return fmt.Errorf("%w: the system doesn't tell who calls: %w", ErrDenied, p.err)
	case p.uid != 0 && p.uid != os.Geteuid():
		return fmt.Errorf("%w: uid %d may not steer this agent: become uid %d or root", ErrDenied, p.uid, os.Geteuid())
	}
	return nil
}

// name is the actor of the peer's requests: "uid 1000 (ada)", or "uid 1000"
// when the system knows no name.
func (p peer) name() string {
	uid := strconv.Itoa(p.uid)
	if known, err := user.LookupId(uid); err == nil && known.Username != "" {
		return fmt.Sprintf("uid %s (%s)", uid, known.Username)
	}
	return "uid " + uid
}
