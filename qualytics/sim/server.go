// Package sim is Qualytics as far as it is publicly documented
// (qualytics-api.md): accounts, teams and tokens behind the documented API, as
// an [http.Handler] with a store. Development mode, `handover sim` and tests
// run on it. Where the documents are silent, the comment at that place says
// "guess".
//
// [Server.ServeHTTP] serves sockets, [Server.Transport] serves a client in the
// same process without one. Hand-made changes ([Server.RevokeToken] and its
// like) act as a person does in the product's pages. A script of faults
// ([Server.Inject]) makes it misbehave.
package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options configure a Server. The zero Options is a server in memory on the
// machine's clock.
type Options struct {
	// Now is the server's clock: expiry, last_used and the Date header
	// follow it. It must not call the server. nil is time.Now.
	Now func() time.Time
	// StateFile keeps accounts, teams, tokens (as HMACs) and keys, mode
	// 0600; "" keeps them in memory. One server at a time may use a file.
	// See [Server.Close] for what survives what.
	StateFile string
	// Log gets each request at level debug, with ids and never a token; nil
	// is silence.
	Log *slog.Logger
	// Teams are made at the start beside Public; nil is DefaultTeams.
	Teams []string
	// KeepDeletedNames: the name of a deleted token stays taken (409). That
	// deleting frees the name is a guess.
	KeepDeletedNames bool
	// ListingItems: GET /users/listing answers {"items": …} instead of an
	// array. Its shape isn't documented.
	ListingItems bool
}

// DefaultTeams are the teams of the vendor's examples.
var DefaultTeams = []string{"Data Engineering", "Data Quality", "Analytics", "Finance Data"}

// Server is a simulated Qualytics instance. All methods are safe for
// concurrent use.
type Server struct {
	opts   Options
	log    *slog.Logger
	routes []route
	mux    *http.ServeMux
	script script
	calls  counters
	closed chan struct{}

	mu    sync.Mutex // guards store and done
	store *store
	done  bool
}

// New starts a server, from its state file if there is one. It fails when that
// file can't be read, is damaged, or is of a newer version; the file is then
// left as it is.
func New(opts Options) (*Server, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Teams == nil {
		opts.Teams = DefaultTeams
	}
	s := &Server{opts: opts, log: opts.Log, routes: routes(), closed: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	store, err := openStore(opts.StateFile)
	if err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	s.store = store
	if err := s.seed(); err != nil {
		return nil, errors.Join(fmt.Errorf("start simulator: %w", err), store.close())
	}
	s.mux = s.newMux()
	return s, nil
}

// seed makes what every instance has: the team Public, the first person, and
// the teams of the options.
func (s *Server) seed() error {
	now := s.now()
	for _, name := range append([]string{publicTeam}, s.opts.Teams...) {
		if err := s.store.createTeam(name, now); err != nil && !isStatus(err, http.StatusConflict) {
			return err
		}
	}
	if _, ok := s.store.accountByUserID(ownerID); ok {
		return nil
	}
	_, err := s.store.createPerson("Instance Owner", ownerID, roleAdmin, now)
	return err
}

// Close ends hanging requests and writes the state file a last time; requests
// after it get 503. Closing again does nothing.
//
// A change is written before its answer, without fsync: what was acknowledged
// survives the end of the process at any instant, not that of the machine.
// last_used is written when it moved by more than a minute of the server's
// clock, so a killed process loses up to that. Close loses nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil
	}
	s.done = true
	close(s.closed)
	if err := s.store.close(); err != nil {
		return fmt.Errorf("close simulator: %w", err)
	}
	return nil
}

// ServeHTTP serves the API, with and without /api before each path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if bare, ok := withoutBase(r.URL.Path); ok {
		u := *r.URL
		u.Path, u.RawPath = bare, ""
		r2 := *r
		r2.URL = &u
		r = &r2
	}
	s.mux.ServeHTTP(w, r)
}

// withoutBase cuts the base path /api off, and tells whether it was there.
func withoutBase(path string) (string, bool) {
	bare, ok := strings.CutPrefix(path, "/api")
	if !ok || bare != "" && bare[0] != '/' {
		return path, false
	}
	if bare == "" {
		bare = "/"
	}
	return bare, true
}

// now is the server's time as the API keeps it: UTC, in microseconds.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }

// Calls counts the requests that came in, by method and path pattern: "GET
// /user-tokens/service", "PUT /user-tokens/{id}". Requests that met a fault
// count; those to no known path count as "ANY /".
func (s *Server) Calls() map[string]int { return s.calls.snapshot() }

// ResetCalls sets all counts to zero.
func (s *Server) ResetCalls() { s.calls.reset() }

// counters count calls by name.
type counters struct {
	mu     sync.Mutex
	byName map[string]int
}

func (c *counters) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]int{}
	}
	c.byName[name]++
}

func (c *counters) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int, len(c.byName))
	for name, n := range c.byName {
		all[name] = n
	}
	return all
}

func (c *counters) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byName)
}
