package azurekeyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/wire"
)

// TestUntrusted: a certificate that the machine doesn't know is told, with what
// to do.
func TestUntrusted(t *testing.T) {
	v := own(t)
	o := v.options(vaulttest.Client)
	o.CAFile = ""
	_, _, err := opened(t, o).Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrUnavailable, "not trusted", "ca_file")
}

// TestChallengeIsCompared: a vault may not ask for a login that isn't Key
// Vault's own, unless it is declared a stand-in.
func TestChallengeIsCompared(t *testing.T) {
	v := own(t)
	o := v.options(vaulttest.Client).withDefaults()
	o.Emulator = false
	tr, err := wire.New(o.wire())
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	client, err := newClient(o, tr)
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{options: o, client: client, transport: tr, limit: wire.NewLimit(1, 100)}
	v.server.Forget()
	_, err = b.Put(t.Context(), refOf("x"), itemOf("value", 1), backends.Absent)
	wantError(t, err, backends.ErrUnavailable, "challenge", "url")
	if calls := v.server.Calls(); len(calls) != 0 {
		t.Errorf("the agent logged in all the same: %v", calls)
	}
}

// TestTimeout: the declared time bounds one answer, whatever the caller's.
func TestTimeout(t *testing.T) {
	v := own(t)
	o := v.relayed(t, hang)
	o.Timeout = 50 * time.Millisecond
	_, _, err := opened(t, o).Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrUnavailable, "no answer in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not unwrap to the deadline", err)
	}
}

// TestSentOrNot: only a write that the vault may have got is an unknown
// outcome.
func TestSentOrNot(t *testing.T) {
	v := own(t)
	for name, c := range map[string]struct {
		hangs string
		kind  error
	}{
		"the login hangs": {"Login", backends.ErrUnavailable},
		"the read hangs":  {"GetSecret", backends.ErrUnavailable},
		"the write hangs": {"SetSecret", backends.ErrUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			o := v.options(fmt.Sprintf("%08d-2222-3333-4444-777777777777", len(name)+len(c.hangs)))
			b := opened(t, o)
			v.server.Intercept(func(op string, w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
				return op == c.hangs && hang(w, r, nil)
			})
			defer v.server.Intercept(nil)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := b.Put(ctx, newRef(t), itemOf("value", 1), backends.Absent)
			wantError(t, err, c.kind)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v does not unwrap to the deadline", err)
			}
		})
	}
}

// TestWriteThatWasNotSent: a write whose login or challenge gets no answer has
// changed nothing.
func TestWriteThatWasNotSent(t *testing.T) {
	v := own(t)
	for name, hangs := range map[string]func(*http.Request) bool{
		"login":     func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/msi/") },
		"challenge": func(r *http.Request) bool { return r.Method == http.MethodPut },
	} {
		t.Run(name, func(t *testing.T) {
			o := v.relayed(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool { return hangs(r) && hang(w, r, nil) })
			o.Auth.ClientID = map[string]string{"login": "00000001", "challenge": "00000002"}[name] + "-2222-3333-4444-888888888888"
			t.Setenv("IDENTITY_ENDPOINT", o.URL+"/msi/token")
			b := opened(t, o)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := b.set(ctx, newRef(t), found{}, itemOf("value", 1))
			if !errors.Is(kindOf(err), backends.ErrUnavailable) {
				t.Errorf("kind %v of %v", kindOf(err), err)
			}
		})
	}
}

// TestWhoIsAsked: what a call did to the vault is not mixed up with what its
// login did elsewhere, though some logins send an Authorization too.
func TestWhoIsAsked(t *testing.T) {
	o := valid().wire()
	for address, vault := range map[string]bool{
		"https://acme.vault.azure.net/secrets/x": true, "https://ACME.vault.azure.net/secrets/x": true,
		"https://login.microsoftonline.com/x": false, "http://127.0.0.1:40342/metadata/identity/oauth2/token": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if o.Asks(r) != vault {
			t.Errorf("%s is taken for the vault's: %v", address, !vault)
		}
		if o.Acts(r) {
			t.Errorf("%s acts without a login", address)
		}
		r.Header.Set("Authorization", "Basic x")
		if !o.Acts(r) {
			t.Errorf("%s does nothing with a login", address)
		}
	}
}

// TestCloseEndsCalls: those under way and those to come.
func TestCloseEndsCalls(t *testing.T) {
	v := own(t)
	asked := make(chan struct{}, 2)
	o := v.relayed(t, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	b := openLogging(t, o, t.Output())
	failed := make(chan error)
	go func() {
		_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
		failed <- err
	}()
	<-asked
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	for _, err := range []error{<-failed, err} {
		wantError(t, err, backends.ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not the end of the backend", err)
		}
	}
	if err := b.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}
