package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/handover-agent/handover/backends/secret"
)

// logoutTimeout bounds the revocation of the login's token at Close.
const logoutTimeout = 2 * time.Second

var errClosed = errors.New("the backend is closed")

// session is one login: a client that carries its token, and the renewal that
// keeps the token alive.
type session struct {
	client *api.Client
	token  secret.Value
	// ours: the token came from a login of this process, and ends with it.
	ours bool
	// ended: the token can't be renewed any longer; the next use logs in.
	ended atomic.Bool
	stop  func()
}

// sessions holds the current login of a backend, made at the first use. It is
// safe for concurrent use; one caller logs in while the others wait.
type sessions struct {
	options Options
	http    *http.Client
	log     *slog.Logger

	turn    chan struct{} // held while logging in
	closing context.Context
	end     context.CancelFunc
	renewal sync.WaitGroup

	mu      sync.Mutex
	current *session
}

func newSessions(o Options, t http.RoundTripper, log *slog.Logger) (*sessions, error) {
	closing, end := context.WithCancel(context.Background())
	s := &sessions{
		options: o,
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a redirect would carry the token to another host
		}},
		log:     log,
		turn:    make(chan struct{}, 1),
		closing: closing,
		end:     end,
	}
	_, err := s.newClient() // a mistake in the environment shows at once
	return s, err
}

// newClient makes a client that takes nothing from the environment. The SDK
// itself refuses to start on a malformed VAULT_ variable; all others of them
// are put out of force here.
func (s *sessions) newClient() (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address:          s.options.Address,
		HttpClient:       s.http,
		Timeout:          s.options.Timeout,
		MaxRetries:       0, // the engine decides when to try again
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
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if cur := s.usable(spent); cur != nil {
		return cur, nil
	}
	if s.closing.Err() != nil {
		return nil, errClosed
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

func (s *sessions) usable(spent *session) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current == spent || s.current.ended.Load() {
		return nil
	}
	return s.current
}

// keep renews the token in the background until the session is stopped or the
// token can't be extended any more.
func (s *sessions) keep(ses *session, auth *api.SecretAuth) error {
	ses.stop = func() {}
	if auth == nil || auth.LeaseDuration <= 0 {
		return nil // it never ends, or nobody may say when
	}
	watcher, err := ses.client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: &api.Secret{Auth: auth}})
	if err != nil {
		return fmt.Errorf("renew the login: %w", err)
	}
	ses.stop = func() {
		ses.ended.Store(true)
		watcher.Stop()
	}
	s.renewal.Add(2)
	go func() {
		defer s.renewal.Done()
		watcher.Start()
	}()
	go func() {
		defer s.renewal.Done()
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
				s.log.Warn("vault login could not be renewed; the next use logs in again", "error", loginError(err, ses.token))
			default:
				s.log.Debug("vault login ends soon; the next use logs in again")
			}
			return
		}
	}
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
	if err := cur.client.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		s.log.Debug("vault login not revoked; it ends by itself", "error", loginError(err, cur.token))
	}
}

// wait returns when nothing runs in the background any more.
func (s *sessions) wait() { s.renewal.Wait() }
