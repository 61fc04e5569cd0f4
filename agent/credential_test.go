package agent

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
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
		watching.Go(func() { a.watchCredential(ctx) })
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
		cancel()
		watching.Wait()
	})
}

func TestOwnCredentialWithoutAnEnd(t *testing.T) {
	for name, text := range map[string]string{"never": credential(t, time.Time{}), "no JWT": "opaque", "missing": ""} {
		w := newWorld(t, oneStore, oneSlot)
		w.put("admin.token", text)
		a := w.agent()
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
