package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// The time limits of a connection.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 30 * time.Second
	stopTimeout   = 5 * time.Second
	// maxHeader bounds a header, in bytes.
	maxHeader = 16 << 10
)

// Server answers at a socket. Make it with Listen.
type Server struct {
	path     string
	listener *net.UnixListener
	// made is the socket's file as it was made: what stands at path later may
	// be another agent's.
	made    os.FileInfo
	handler Handler
	log     *slog.Logger
	// patience is how long Serve lets calls under way end by themselves.
	patience time.Duration
	// calls counts the calls under way.
	calls sync.WaitGroup
}

// Listen makes the socket at path, mode 0600, and its folder, mode 0700, when
// that is missing. A socket that nobody answers at is replaced; one that
// somebody answers at is an error, and so is a file of another kind. A nil log
// is silence. Callers may connect from here on, and are answered by Serve.
// Serve takes the socket away at its end; without it, Close does.
func Listen(path string, handler Handler, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	listener, made, err := bind(path)
	if err != nil {
		return nil, err
	}
	return &Server{path: path, listener: listener, made: made, handler: handler, log: log, patience: stopTimeout}, nil
}

// Serve answers until ctx ends, then lets the calls under way end, for a few
// seconds, cancels those that don't, waits for all, and removes the socket. It
// returns nil after the end of ctx, else why it can't go on. Call it once.
func (s *Server) Serve(ctx context.Context) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           s.counted(s.routes()),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return calls },
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(s.listener) }()

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-stopped:
		stopped <- failed
	}
	s.stop(calls, server)
	cancel()
	s.calls.Wait()
	if err := <-stopped; failed == nil && !errors.Is(err, http.ErrServerClosed) {
		failed = err
	}
	return errors.Join(failed, s.remove())
}

// Close takes the socket away of a Server that doesn't serve. After Serve it
// does nothing.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil {
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	}
	return s.remove()
}

// stop waits for the calls under way, and cuts off what takes too long.
func (s *Server) stop(calls context.Context, server *http.Server) {
	patience, cancel := context.WithTimeout(calls, s.patience)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		s.log.Warn("control calls cut off", "error", err)
		if err := server.Close(); err != nil {
			s.log.Debug("control socket not closed cleanly", "error", err)
		}
	}
}

// counted makes calls known to Serve, which waits for them.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		defer s.calls.Done()
		next.ServeHTTP(w, r)
	})
}

// remove takes the socket away, unless another agent has put its own there.
func (s *Server) remove() error {
	now, err := os.Lstat(s.path)
	if err != nil || !os.SameFile(now, s.made) {
		return nil //nolint:nilerr // it is gone already, or not ours
	}
	return os.Remove(s.path)
}
