package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
)

// begin is when test instances start.
var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that a test turns.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// instance is a server with a client that holds an admin's token.
type instance struct {
	*sim.Server
	t     *testing.T
	clock *clock
	admin secret.Value
}

// start makes an instance and closes it at the end of the test.
func start(t *testing.T, edit ...func(*sim.Options)) *instance {
	t.Helper()
	i := &instance{t: t, clock: &clock{t: begin}}
	opts := sim.Options{Now: i.clock.now}
	for _, e := range edit {
		e(&opts)
	}
	var err error
	if i.Server, err = sim.New(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	if i.admin, err = i.AdminToken("Handover Admin"); err != nil {
		t.Fatal(err)
	}
	return i
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request or of reading the body
}

// text is the body without a token's value.
func (r reply) text() string {
	return regexp.MustCompile(`"bearer_token":"[^"]*"`).ReplaceAllString(string(r.body), `"bearer_token":…`)
}

// into decodes the body.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("decode %s: %v", r.text(), err)
	}
}

// send makes one request in-process.
func (i *instance) send(ctx context.Context, method, path string, bearer secret.Value, body string) reply {
	i.t.Helper()
	return send(ctx, i.t, i.Transport(), "http://qualytics.test"+path, method, bearer, body)
}

// do is send as the admin.
func (i *instance) do(method, path, body string) reply {
	i.t.Helper()
	return i.send(i.t.Context(), method, path, i.admin, body)
}

func send(ctx context.Context, t *testing.T, via http.RoundTripper, url, method string, bearer secret.Value, body string) reply {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	if !bearer.IsZero() {
		r.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	resp, err := via.RoundTrip(r)
	if err != nil {
		return reply{err: err}
	}
	var all bytes.Buffer
	_, err = io.Copy(&all, resp.Body)
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: all.Bytes(), err: err}
}

// want fails unless the status is that.
func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Fatalf("got %d %s (error %v), want %d", r.status, r.text(), r.err, status)
	}
	return r
}

// user is what tests read of a user.
type user struct {
	ID        int64    `json:"id"`
	UserID    string   `json:"user_id"`
	UserName  string   `json:"user_name"`
	Email     string   `json:"email"`
	Name      string   `json:"name"`
	UserType  string   `json:"user_type"`
	Role      string   `json:"role"`
	Teams     []string `json:"teams"`
	CreatedBy int64    `json:"created_by_id"`
	DeletedAt string   `json:"deleted_at"`
	Active    bool     `json:"active"`
}

// row is what tests read of a token.
type row struct {
	ID         int64      `json:"id"`
	Name       string     `json:"name"`
	Active     bool       `json:"active"`
	Created    time.Time  `json:"created"`
	Expiration *time.Time `json:"expiration"`
	LastUsed   *time.Time `json:"last_used"`
	User       user       `json:"user"`
	// BearerToken is in the answer to POST alone.
	BearerToken string `json:"bearer_token"`
}

func (r row) value() secret.Value { return secret.New(r.BearerToken) }

// account makes a service account by the API.
func (i *instance) account(name, role string) user {
	i.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "role": role})
	if err != nil {
		i.t.Fatal(err)
	}
	var u user
	i.do("POST", "/api/users", string(body)).want(i.t, 200).into(i.t, &u)
	return u
}

// mint makes a service token by the API.
func (i *instance) mint(u user, name string, days int) row {
	i.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "user_id": u.ID, "expires_in_days": days})
	if err != nil {
		i.t.Fatal(err)
	}
	var r row
	i.do("POST", "/api/user-tokens", string(body)).want(i.t, 200).into(i.t, &r)
	return r
}

// listed is GET /user-tokens/service, by label; the admin's own left out.
func (i *instance) listed() map[string]row {
	i.t.Helper()
	var list []row
	i.do("GET", "/api/user-tokens/service", "").want(i.t, 200).into(i.t, &list)
	byName := map[string]row{}
	for _, r := range list {
		if r.Name != "bootstrap" {
			byName[r.Name] = r
		}
	}
	return byName
}

// proves is the status of GET /users/me with a token.
func (i *instance) proves(value secret.Value) int {
	i.t.Helper()
	return i.send(i.t.Context(), "GET", "/api/users/me", value, "").status
}
