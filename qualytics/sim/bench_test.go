package sim_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
)

// BenchmarkRequests measures whole requests in-process: a proof, and a mint
// with its revocation, in memory and with a state file.
func BenchmarkRequests(b *testing.B) {
	for _, state := range []string{"", filepath.Join(b.TempDir(), "state.json")} {
		kind := map[bool]string{true: "memory", false: "file"}[state == ""]
		b.Run("prove/"+kind, func(b *testing.B) {
			server, admin := benchServer(b, state)
			for b.Loop() {
				ask(b, server.Transport(), "GET", "/api/users/me", admin)
			}
		})
		b.Run("mint+revoke/"+kind, func(b *testing.B) {
			server, _ := benchServer(b, state)
			for n := 0; b.Loop(); n++ {
				id, _, err := server.CreateToken("handover_admin@service", fmt.Sprint("token-", n), 1)
				if err != nil {
					b.Fatal(err)
				}
				if err := server.RevokeToken(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkList measures the list of 10,000 tokens.
func BenchmarkList(b *testing.B) {
	server, admin := benchServer(b, "")
	for n := range 10_000 {
		if _, _, err := server.CreateToken("handover_admin@service", fmt.Sprint(n), 1); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		ask(b, server.Transport(), "GET", "/api/user-tokens/service", admin)
	}
}

func benchServer(b *testing.B, state string) (*sim.Server, secret.Value) {
	b.Helper()
	server, err := sim.New(sim.Options{StateFile: state, KeepDeletedNames: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	admin, err := server.AdminToken("Handover Admin")
	if err != nil {
		b.Fatal(err)
	}
	return server, admin
}

func ask(b *testing.B, via http.RoundTripper, method, path string, bearer secret.Value) {
	r, err := http.NewRequestWithContext(b.Context(), method, "http://qualytics.test"+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	resp, err := via.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%v: %v", resp, err)
	}
	_ = resp.Body.Close()
}
