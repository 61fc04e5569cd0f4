package vaulttest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tokenPrefix begins every token that the login servers give. The client's id
// follows, so that a token of one server is good on all: the SDK keeps a
// managed identity's token for the whole process.
const tokenPrefix = "vaulttest."

// bearer is the client whose token a request carries.
func bearer(r *http.Request) (client string, known bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	client, known = strings.CutPrefix(token, tokenPrefix)
	client, _, _ = strings.Cut(client, ".")
	return client, known
}

// Identity are the variables by which a process believes that it runs where the
// server gives managed identities their tokens. Every client id is taken.
func (s *Server) Identity() map[string]string {
	return map[string]string{"IDENTITY_ENDPOINT": s.URL + "/msi/token", "IDENTITY_HEADER": "vaulttest"}
}

// ManagedIdentity sets them for this process.
func (s *Server) ManagedIdentity(tb testing.TB) {
	tb.Helper()
	for name, value := range s.Identity() {
		tb.Setenv(name, value)
	}
}

// login answers for Entra and for managed identities.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/msi/token" && r.Header.Get("X-IDENTITY-HEADER") != "":
		client := r.URL.Query().Get("client_id")
		if client == "" {
			client = Client
		}
		s.give(w, client)
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		answer(w, http.StatusOK, map[string]string{
			"authorization_endpoint": s.URL + "/" + Tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         s.URL + "/" + Tenant + "/oauth2/v2.0/token",
			"issuer":                 s.URL + "/" + Tenant + "/v2.0",
		})
	case path == "/"+Tenant+"/oauth2/v2.0/token":
		s.entra(w, r)
	default:
		http.NotFound(w, r)
	}
}

// entra checks what an application logs in with: the secret, a token of a
// service account, or an assertion signed with a certificate, of which it looks
// at the form alone.
func (s *Server) entra(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	client, assertion := r.PostForm.Get("client_id"), r.PostForm.Get("client_assertion")
	proven := r.PostForm.Get("client_secret") == s.Secret || assertion == s.Assertion ||
		(strings.Count(assertion, ".") == 2 && strings.HasPrefix(assertion, "ey"))
	switch {
	case r.PostForm.Get("scope") == "" || client == "":
		http.Error(w, "no scope", http.StatusBadRequest)
	case client != Client && client != Stranger:
		unproven(w, "unauthorized_client", 700016)
	case !proven:
		unproven(w, "invalid_client", 7000215)
	default:
		s.give(w, client)
	}
}

// unproven repeats nothing of what it was sent, as Entra doesn't.
func unproven(w http.ResponseWriter, word string, code int) {
	answer(w, http.StatusUnauthorized, map[string]any{"error": word, "error_codes": []int{code}})
}

func (s *Server) give(w http.ResponseWriter, client string) {
	answer(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600,
		"expires_on":   time.Now().Add(time.Hour).Unix(),
		"resource":     "https://vault.azure.net",
		"access_token": tokenPrefix + client + "." + rand.Text(),
	})
}
