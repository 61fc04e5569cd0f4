// Package vaulttest serves a stand-in for Azure Key Vault on loopback, for
// tests: the SDK's own fake server (azsecrets/fake) with a state of ours behind
// it, over real TLS, with the challenge to log in and the login servers.
//
// It is written to Azure's documents and shows that the driver and the SDK work
// together; it proves nothing about Azure.
package vaulttest

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// Tenant is the tenant that the vault names in its challenge.
const Tenant = "0b2a2b7e-6c0c-4a33-9d2e-7d7f5f6a1c11"

// Client is an application that may do everything; it has the secret and the
// assertion of the server. Stranger is one that may do nothing.
const (
	Client   = "5f1c2d3e-4a5b-4c6d-8e7f-901234567890"
	Stranger = "6a1c2d3e-4a5b-4c6d-8e7f-901234567891"
)

// Server is a vault with its login servers. It is safe for concurrent use.
type Server struct {
	// URL is the vault's, of the form https://127.0.0.1:port.
	URL string
	// CAFile is a PEM file with the certificate to trust.
	CAFile string
	// Secret is the client secret of Client, and Assertion the only token of
	// a service account that the tenant takes for it.
	Secret, Assertion string

	state *state
	fake  *fake.ServerTransport
	page  sync.Mutex

	mu        sync.Mutex
	calls     []string
	intercept Interceptor
}

// Interceptor may take the place of an answer: it returns true when it has
// answered. op is the SDK's name of the operation, such as "SetSecret", or
// "Login". forward has the server answer into w as it would have.
type Interceptor func(op string, w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter)) bool

// Start starts a server that ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{Secret: "vaulttest~client.secret~0123456789abcdef", Assertion: "vaulttest.service.account.token"}
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = true
	server.StartTLS()
	tb.Cleanup(server.Close)
	s.URL = server.URL
	s.state = newState(server.URL)
	s.fake = fake.NewServerTransport(s.state.operations())
	s.CAFile = filepath.Join(tb.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(s.CAFile, block, 0o600); err != nil {
		tb.Fatalf("write the certificate: %v", err)
	}
	return s
}

// SlowRecover makes each recovery go on for so many writes, which are refused.
func (s *Server) SlowRecover(writes int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.slow = writes
}

// Advance moves the vault's clock, which stands at whole seconds in its
// answers.
func (s *Server) Advance(d time.Duration) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.ahead += d
}

// Certify makes a secret the other side of a certificate.
func (s *Server) Certify(name string) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.entry(name).managed = true
}

// Intercept puts i before every answer; nil takes it away.
func (s *Server) Intercept(i Interceptor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = i
}

// Calls are the operations that were asked for with a login, in their order,
// by the SDK's names.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Forget empties Calls.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}
