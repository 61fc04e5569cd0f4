package vault

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

// logoutTimeout bounds the revocation of the login's token at Close.
const logoutTimeout = 2 * time.Second

// believeDenied is how long a token that may not look itself up, and was refused
// something as soon as it was got, is taken for a good one when refused again.
const believeDenied = time.Minute

// A node of a cluster that has not caught up with what this client wrote
// answers 412; it is asked again a few times.
const (
	behindTries = 4
	behindWait  = 50 * time.Millisecond
)

// session is one login: its token, and the renewal that keeps it alive.
type session struct {
	token secret.Value
	// ours: the token came from a login of this process, and ends with it.
	ours bool
	// ended: the token can't be renewed any longer; the next use logs in.
	ended atomic.Bool
	// denied is when a 403 was met right after this login, in Unix seconds: for
	// a while then another doesn't count as a sign of the token's end.
	denied atomic.Int64
	stop   func()
}

// sessions holds the current login of a backend, made at the first use. It is
// safe for concurrent use; one caller logs in while the others wait.
type sessions struct {
	options Options
	http    *http.Client
	log     *slog.Logger
	// client makes all requests but logins. It has no token of its own: each
	// request carries its session's. It is one for all sessions, for it
	// remembers what was written, so that a node of a cluster that is behind
	// doesn't answer with less (ReadYourWrites).
	client *api.Client

	turn    chan struct{} // held while logging in
	unwrap  unwrapped     // used while logging in
	closing context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	current *session
}

func newSessions(o Options, t *wire.Transport, log *slog.Logger) (*sessions, error) {
	closing, end := context.WithCancel(context.Background())
	s := &sessions{
		options: o,
		http:    t.Client(),
		log:     log,
		turn:    make(chan struct{}, 1),
		closing: closing,
		end:     end,
	}
	var err error
	s.client, err = s.newClient() // a mistake in the environment shows at once
	return s, err
}

// newClient makes a client that takes nothing from the environment. The SDK
// itself refuses to start on a malformed VAULT_ variable; all others of them
// are put out of force here. When else to try again, the engine decides.
func (s *sessions) newClient() (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address:      s.options.Address,
		HttpClient:   s.http,
		Timeout:      s.options.Timeout,
		MaxRetries:   behindTries,
		MinRetryWait: behindWait,
		MaxRetryWait: 2 * behindWait,
		CheckRetry: func(_ context.Context, resp *http.Response, _ error) (bool, error) {
			return resp != nil && resp.StatusCode == http.StatusPreconditionFailed, nil
		},
		DisableRedirects: true,
		ReadYourWrites:   true,
	})
	if err != nil {
		return nil, fmt.Errorf("make the client: %w", err)
	}
	client.ClearToken()
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetNamespace(s.options.Namespace)
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	return client, nil
}

// other returns the current login unless it is spent; then, or when there is
// none, it logs in.
func (s *sessions) other(ctx context.Context, spent *session) (*session, error) {
	if cur := s.usable(spent); cur != nil {
		return cur, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.closing.Done():
		return nil, wire.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if cur := s.usable(spent); cur != nil {
		return cur, nil
	}
	if s.closing.Err() != nil {
		return nil, wire.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	next, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	old := s.current
	s.current = next
	s.mu.Unlock()
	if old != nil {
		old.stop()
	}
	return next, nil
}

// usable is the current login if it may be used. A declared token that is
// another one by now, as in the sink of a Vault Agent, ends it.
func (s *sessions) usable(spent *session) *session {
	s.mu.Lock()
	cur := s.current
	s.mu.Unlock()
	if cur == nil || cur == spent || cur.ended.Load() {
		return nil
	}
	if s.options.Auth.Method == methodToken {
		now, err := s.options.Auth.Token.Read()
		if err == nil && !now.Equal(cur.token) { // what can't be read now leaves the old one
			return nil
		}
	}
	return cur
}

// keep renews the token in the background until the session is stopped or the
// token can't be extended any more.
func (s *sessions) keep(ses *session, auth *api.SecretAuth) error {
	ses.stop = func() {}
	if auth == nil || auth.LeaseDuration <= 0 {
		return nil // it never ends, or nobody may say when
	}
	watcher, err := s.client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: &api.Secret{Auth: auth}})
	if err != nil {
		return fmt.Errorf("renew the login: %w", err)
	}
	ses.stop = func() {
		ses.ended.Store(true)
		watcher.Stop()
	}
	s.running.Add(2)
	go func() {
		defer s.running.Done()
		watcher.Start()
	}()
	go func() {
		defer s.running.Done()
		s.follow(ses, watcher)
	}()
	return nil
}

// follow logs what the renewal does and marks the session when it ends.
func (s *sessions) follow(ses *session, watcher *api.LifetimeWatcher) {
	for {
		select {
		case <-watcher.RenewCh():
			s.log.Debug("vault login renewed")
		case err := <-watcher.DoneCh():
			switch {
			case ses.ended.Swap(true): // stopped
			case err != nil:
				s.log.Warn("vault login could not be renewed; the next use logs in again", "error", briefly(err, ses.token))
			default:
				s.log.Debug("vault login ends soon; the next use logs in again")
			}
			return
		}
	}
}

// alive asks Vault whether it still knows the session's token. One without the
// right to look itself up counts as unknown.
func (s *sessions) alive(ctx context.Context, ses *session) bool {
	if time.Since(time.Unix(ses.denied.Load(), 0)) < believeDenied {
		return true
	}
	r, err := s.ask(ctx, ses.token, request{method: http.MethodGet, path: "auth/token/lookup-self"})
	return err != nil || r.status != http.StatusForbidden
}

// close stops the renewal, refuses further logins and revokes the token that
// this process got by logging in.
func (s *sessions) close() {
	s.end()
	s.turn <- struct{}{} // a login that was under way has ended
	s.mu.Lock()
	cur := s.current
	s.current = nil
	s.mu.Unlock()
	if cur == nil {
		return
	}
	cur.stop()
	if !cur.ours {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	r, err := send(ctx, s.client, cur.token, request{method: http.MethodPut, path: "auth/token/revoke-self"})
	switch {
	case err != nil:
		s.log.Debug("vault login not revoked; it ends by itself", "error", briefly(err, cur.token))
	case r.status >= http.StatusMultipleChoices:
		s.log.Debug("vault login not revoked; it ends by itself", "status", r.status)
	}
}

// wait returns when nothing runs in the background any more.
func (s *sessions) wait() { s.running.Wait() }
