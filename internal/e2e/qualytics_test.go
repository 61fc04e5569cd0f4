package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/qualytics/sim"
)

// instance is a simulated Qualytics, asked as a person with an Admin's token
// would, by plain HTTP.
type instance struct{ outside.Instance }

// must is ask as the Admin, for calls that have to succeed.
func (q instance) must(t *testing.T, method, path string, body, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if code, err := q.Ask(ctx, method, path, q.Admin, body, into); err != nil || code >= 300 {
		t.Fatalf("%s %s: %d, %v", method, path, code, err)
	}
}

// tokens is the list of all service tokens that aren't deleted.
func (q instance) tokens(t *testing.T) []outside.Listed {
	t.Helper()
	all, err := q.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// of is the tokens of one slot of the agent "e2e".
func of(all []outside.Listed, slot string) []outside.Listed { return outside.Of(all, "e2e", slot) }

// mintByHand makes a token on an account as a person does, and returns it.
func (q instance) mintByHand(t *testing.T, accountID, name string) (id int64, token string) {
	t.Helper()
	for _, one := range q.tokens(t) {
		if one.User.UserID != accountID {
			continue
		}
		var made struct {
			ID    int64  `json:"id"`
			Token string `json:"bearer_token"`
		}
		q.must(t, http.MethodPost, "/user-tokens",
			map[string]any{"name": name, "user_id": one.User.ID, "expires_in_days": nil}, &made)
		return made.ID, made.Token
	}
	t.Fatalf("no token of %s tells its number", accountID)
	return 0, ""
}

// startSim runs `handover sim` as a process. Its admin's token stands in the
// site's file admin.token. What the agent is to call is the address returned:
// a wire on which every token that is minted is noted as a secret.
func (s *site) startSim() (q instance, wire string) {
	s.t.Helper()
	p := start(s.t, s.evidence, nil, "simulator", "sim", "--listen", "127.0.0.1:0",
		"--admin-token-file", s.path("admin.token"), "--log-level", "debug")
	s.started = append(s.started, p)
	await(s.t, patience, "the simulator's address", func() (bool, string) {
		q.Base = strings.TrimSpace(p.out.String())
		return strings.HasSuffix(p.out.String(), "\n"), "it said " + p.err.String()
	})
	admin, err := os.ReadFile(s.path("admin.token"))
	if err != nil {
		s.t.Fatal(err)
	}
	if info, err := os.Stat(s.path("admin.token")); err != nil || info.Mode().Perm() != 0o600 {
		s.t.Errorf("admin.token has the mode %v, want 0600; %v", info.Mode(), err)
	}
	q.Admin = strings.TrimSpace(string(admin))
	s.secrets.addToken("the admin's token", q.Admin)
	target, err := url.Parse(q.Base)
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: silent}
	return q, s.serve(proxy)
}

// serve puts the wire before an instance and returns its address.
func (s *site) serve(next http.Handler) string {
	s.wire = &tap{secrets: s.secrets, next: next, changing: make(chan struct{}, 1)}
	server := httptest.NewServer(s.wire)
	s.t.Cleanup(server.Close)
	return server.URL
}

// silent takes what a proxy says of a client that was killed.
var silent = log.New(io.Discard, "", 0)

// serveSim serves a simulator of this process, for scripts of faults.
func (s *site) serveSim() (*sim.Server, instance) {
	s.t.Helper()
	server, err := sim.New(sim.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	admin, err := server.AdminToken("Handover Admin")
	if err != nil {
		s.t.Fatal(err)
	}
	s.secret("admin.token", admin.Reveal())
	address := s.serve(server)
	s.t.Cleanup(func() { _ = server.Close() }) // before the wire, which waits for its calls
	return server, instance{outside.Instance{Base: address, Admin: admin.Reveal()}}
}

// tap is the wire between an agent and its instance: it notes every token that
// an answer holds, and tells of calls that change something.
type tap struct {
	secrets *searcher
	next    http.Handler
	minted  atomic.Int64
	// changing gets a signal when such a call has arrived; holds one.
	changing chan struct{}
}

// bearer is a JWT, or what a cut answer holds of one.
var bearer = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{12,}(\.[A-Za-z0-9_-]*)?`)

func (h *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		select {
		case h.changing <- struct{}{}:
		default: // nobody has taken the last one yet
		}
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/user-tokens") {
		h.next.ServeHTTP(w, r)
		return
	}
	copied := &copying{ResponseWriter: w}
	defer func() { // a cut answer may be a panic on its way to the server
		for _, token := range bearer.FindAll(copied.body.Bytes(), -1) {
			h.minted.Add(1)
			h.secrets.addToken(fmt.Sprintf("a token minted at %s", time.Now().Format(time.TimeOnly)), string(token))
		}
	}()
	h.next.ServeHTTP(copied, r)
}

// copying keeps what is written.
type copying struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (c *copying) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (c *copying) Unwrap() http.ResponseWriter { return c.ResponseWriter }
