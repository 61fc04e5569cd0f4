package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// credential is a token that ends at the given time, as far as its claims tell.
func credential(t *testing.T, end time.Time) string {
	t.Helper()
	claims := jwt.RegisteredClaims{Subject: "handover_admin@service"}
	if !end.IsZero() {
		claims.ExpiresAt = jwt.NewNumericDate(end)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("any"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOwnCredentialIsWatched: its end shows in status from the first day on, and
// from thirty days before it the log warns once a day.
func TestOwnCredentialIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		end := time.Now().Add(60 * 24 * time.Hour).Truncate(time.Second)
		w.put("admin.token", credential(t, end))
		a := w.agent()
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { a.keepCredentialAnd(ctx, nil) })
		synctest.Wait()
		doc, err := a.Status(t.Context())
		if err != nil || doc.CredentialExpiresAt == nil || !doc.CredentialExpiresAt.Equal(end) {
			t.Errorf("status tells %v as the end, want %s; %v", doc.CredentialExpiresAt, end, err)
		}
		warned := func() int { return strings.Count(w.logged(), "credential expires soon") }
		later(29 * 24 * time.Hour)
		if n := warned(); n != 0 {
			t.Errorf("warned %d times, 31 days before the end", n)
		}
		later(5 * 24 * time.Hour)
		if n := warned(); n < 3 || n > 5 {
			t.Errorf("warned %d times in the first days of the last thirty, want once a day", n)
		}
		later(26 * 24 * time.Hour)
		if !strings.Contains(w.logged(), "the agent's own credential has expired") {
			t.Error("its end isn't told")
		}
		cancel()
		watching.Wait()
	})
}

func TestOwnCredentialWithoutAnEnd(t *testing.T) {
	for name, text := range map[string]string{"never": credential(t, time.Time{}), "no JWT": "opaque", "missing": ""} {
		w := newWorld(t, oneStore, oneSlot)
		w.put("admin.token", text)
		a := w.agent()
		_ = a.client.RenewCredential(t.Context())
		a.tellCredential(true)
		a.tellCredential(false)
		if doc, err := a.Status(t.Context()); err != nil || doc.CredentialExpiresAt != nil {
			t.Errorf("%s: status tells the end %v; %v", name, doc.CredentialExpiresAt, err)
		}
		if n := strings.Count(w.logged(), "isn't known"); n != 1 {
			t.Errorf("%s: told %d times that the end isn't known, want once", name, n)
		}
	}
}

// admin makes another token of the agent's account by hand.
func (w *world) admin(label string) (int64, secret.Value) {
	w.t.Helper()
	id, token, err := w.api.CreateToken("handover_admin@service", label, 90)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, token
}

// awaitLog waits until the log says something.
func (w *world) awaitLog(text string) {
	w.t.Helper()
	for !strings.Contains(w.logged(), text) {
		select {
		case <-w.wrote:
		case <-w.t.Context().Done():
			w.t.Fatalf("the log never said %q", text)
		}
	}
}

// turning makes the credential's file one of a Kubernetes Secret: a link through
// a folder that is turned to another one.
func (w *world) turning() (turn func(secret.Value)) {
	w.t.Helper()
	link := func(to, from string) {
		w.t.Helper()
		from = filepath.Join(w.folder, from)
		if err := errors.Join(os.Symlink(to, from+"_tmp"), os.Rename(from+"_tmp", from)); err != nil {
			w.t.Fatal(err)
		}
	}
	edition := 0
	turn = func(token secret.Value) {
		w.t.Helper()
		edition++
		folder := fmt.Sprintf("..%d", edition)
		if err := os.Mkdir(filepath.Join(w.folder, folder), 0o700); err != nil {
			w.t.Fatal(err)
		}
		w.put(filepath.Join(folder, "admin.token"), token.Reveal())
		link(folder, "..data")
	}
	turn(w.adminToken())
	link("..data/admin.token", "admin.token")
	return turn
}

// TestCredentialFileIsFollowed: what stands in the file anew is tried and taken
// into use without a refusal; one that is refused isn't, and status and log tell.
// The file is replaced as an editor does, and as Kubernetes turns a link.
func TestCredentialFileIsFollowed(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	turn := w.turning()
	a := w.agent()
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	keeping.Go(func() { a.keepCredential(ctx) })
	w.awaitLog("the agent's own credential")

	_, fresh := w.admin("fresh")
	turn(fresh)
	w.awaitLog("works with another credential")
	if got := a.client.Credential(); got.Working != fresh.Fingerprint() {
		t.Errorf("it works with %q", got.Working.Short())
	}
	id, dead := w.admin("dead")
	if err := w.api.RevokeToken(id); err != nil {
		t.Fatal(err)
	}
	turn(dead)
	w.awaitLog("is not in use")
	if got := a.client.Credential(); got.Working != fresh.Fingerprint() {
		t.Errorf("after one that is refused it works with %q", got.Working.Short())
	}
	doc, err := a.Status(t.Context())
	if err != nil || doc.Credential == nil || !strings.Contains(doc.Credential.Error, "doesn't work: GET /users/me: 401") {
		t.Errorf("status tells %+v, %v", doc.Credential, err)
	}
	if problems := doc.Problems(); len(problems) == 0 || !strings.Contains(problems[0].Text, "the agent works with the credential from") {
		t.Errorf("problems: %v", problems)
	}
	w.put("admin.token", fresh.Reveal())
	w.awaitLog("works with what stands at its credential's place")
	if doc, err := a.Status(t.Context()); err != nil || doc.Credential.Error != "" {
		t.Errorf("after it was mended status tells %+v, %v", doc.Credential, err)
	}
}

// elsewhere has the agent's credential in a store.
const elsewhere = "{backend: one, path: admin, format: token, every: 1m}"

func storedWorld(t *testing.T) *world {
	w := newWorld(t, oneStore, oneSlot)
	w.edit("{file: admin.token}", elsewhere)
	return w
}

// stand puts a value at the place of the credential by hand.
func (w *world) stand(value secret.Value) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stores["one"].Overwrite("admin", value)
}

// TestCredentialFromAStore: it is read through the backend, looked at again
// cheaply, and taken into use when it works.
func TestCredentialFromAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := storedWorld(t)
		var reads []string
		w.look = func(_ context.Context, ref backends.Ref) error { reads = append(reads, ref.Path); return nil }
		a := w.agent()
		w.stand(w.adminToken())
		ctx, cancel := context.WithCancel(t.Context())
		var keeping sync.WaitGroup
		keeping.Go(func() { a.keepCredentialAnd(ctx, nil) })
		w.drive(a)
		later(30 * time.Second)
		if got := w.serves("one", "pipeline"); got != "live" {
			t.Fatalf("the slot serves: %s", got)
		}
		w.look = nil
		_, fresh := w.admin("fresh")
		w.stand(fresh)
		later(time.Minute)
		if got := a.client.Credential(); got.Working != fresh.Fingerprint() || got.From != "one/admin" {
			t.Errorf("a minute after the change it works with %q from %q", got.Working.Short(), got.From)
		}
		doc, err := a.Status(t.Context())
		if err != nil || doc.Credential.From != "one/admin" || doc.Credential.Error != "" {
			t.Errorf("status tells %+v, %v", doc.Credential, err)
		}
		cancel()
		keeping.Wait()
	})
}

// TestStoredCredentialIsLookedAtCheaply: a store that can tell its version is
// asked for that, and read when it has changed.
func TestStoredCredentialIsLookedAtCheaply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := storedWorld(t)
		a := w.agent()
		w.stand(w.adminToken())
		gets := 0
		w.got = func(backends.Ref) { gets++ }
		ctx, cancel := context.WithCancel(t.Context())
		var keeping sync.WaitGroup
		keeping.Go(func() { a.keepCredentialAnd(ctx, nil) })
		later(time.Hour)
		if gets != 1 {
			t.Errorf("read %d times in an hour in which nothing changed", gets)
		}
		cancel()
		keeping.Wait()
	})
}

// TestCredentialIsTriedAgain: what stands at the place was refused for a while,
// and the agent went back to the one before. It takes the better one up again by
// itself.
func TestCredentialIsTriedAgain(t *testing.T) {
	for name, where := range map[string]string{"a file": "{file: admin.token}", "a store": elsewhere} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, oneStore, oneSlot)
			w.edit("{file: admin.token}", where)
			x := w.wire()
			a := w.agent(x.through)
			stand := func(token secret.Value) { w.put("admin.token", token.Reveal()); w.stand(token) }
			stand(w.adminToken())
			changed := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			var keeping sync.WaitGroup
			keeping.Go(func() { a.keepCredentialAnd(ctx, changed) })
			use := func() {
				if _, err := a.client.Tokens(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			use()
			_, fresh := w.admin("fresh")
			stand(fresh)
			changed <- struct{}{}
			synctest.Wait()
			x.refuse(fresh, true)
			use()
			if got := a.client.Credential(); got.Working == fresh.Fingerprint() || got.Trouble == nil {
				t.Errorf("%s: after a refusal it works with %q", name, got.From)
			}
			later(2 * time.Minute)
			x.refuse(fresh, false)
			later(2 * time.Minute)
			if got := a.client.Credential(); got.Working != fresh.Fingerprint() || got.Trouble != nil {
				t.Errorf("%s: it still works with %q; %v", name, got.Working.Short(), got.Trouble)
			}
			cancel()
			keeping.Wait()
		})
	}
}

// TestStoredCredentialIsReadAgainOnRefusal: also ahead of the next look.
func TestStoredCredentialIsReadAgainOnRefusal(t *testing.T) {
	w := storedWorld(t)
	a := w.agent()
	id, first := w.admin("first")
	w.stand(first)
	if _, err := a.client.Tokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, fresh := w.admin("fresh")
	w.stand(fresh)
	if err := w.api.RevokeToken(id); err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.Tokens(t.Context()); err != nil {
		t.Errorf("after the old one was revoked: %v", err)
	}
	if got := a.client.Credential(); got.Working != fresh.Fingerprint() {
		t.Errorf("it works with %q", got.Working.Short())
	}
}

// TestStoredCredentialOfBefore: what stands there is refused at the start, and
// the version before still works.
func TestStoredCredentialOfBefore(t *testing.T) {
	w := storedWorld(t)
	a := w.agent()
	w.stand(w.adminToken())
	w.stand(secret.New("a.wrong.token"))
	if _, err := a.client.Tokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := a.client.Credential()
	if got.From != "previous version of one/admin" || got.Working != w.adminToken().Fingerprint() {
		t.Errorf("it works with %q of %q", got.Working.Short(), got.From)
	}
}

func TestStoredCredentialMissing(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(w *world)
		says string
	}{
		"nothing there":  {func(*world) {}, "nothing stands at one/admin: put the token of an Admin there"},
		"another format": {func(w *world) { w.stand(secret.New("two\nlines")) }, "read one/admin: invalid: what stands there is no token in the declared format"},
		"out of reach": {func(w *world) {
			w.look = func(context.Context, backends.Ref) error {
				return &backends.Error{Op: "get", Ref: backends.Ref{Backend: "one", Path: "admin"}, Kind: backends.ErrUnavailable}
			}
		}, "get one/admin: unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := storedWorld(t)
			a := w.agent()
			test.set(w)
			_, err := a.client.Tokens(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("err = %v, want %q", err, test.says)
			}
			doc, err := a.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := report.Problem{Text: "the agent has no credential of its own: " + test.says}
			if problems := doc.Problems(); len(problems) != 1 || problems[0] != want {
				t.Errorf("problems %v, want %v", problems, want)
			}
		})
	}
}

// TestStoredCredentialOutlivesAReload: it is read through the backends in force.
func TestStoredCredentialOutlivesAReload(t *testing.T) {
	w := storedWorld(t)
	a := w.agent()
	w.stand(w.adminToken())
	w.edit("purpose: starts scans", "purpose: starts all scans")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.Tokens(t.Context()); err != nil { // a closed backend would fail the test
		t.Error(err)
	}
	w.edit("path: admin,", "path: elsewhere,")
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "qualytics changed; restart the agent") {
		t.Errorf("another place by a reload: %v", err)
	}
}
