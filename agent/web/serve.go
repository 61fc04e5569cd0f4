package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = time.Minute
	stopTimeout   = 5 * time.Second
)

// Serve answers at the listener until ctx is done, and closes it.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: writeTimeout,
		WriteTimeout: writeTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(end), server.Close())
	})
	err := server.Serve(listener)
	if stop() { // ctx isn't done: the server ended by itself
		return fmt.Errorf("serve health, metrics and page: %w", err)
	}
	return <-stopped
}
