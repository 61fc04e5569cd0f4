package vaulttest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// ServeHTTP implements http.Handler: the vault, Entra's two endpoints under
// the tenant, and the endpoint of managed identities.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, vault := operation(r)
	serve := s.login
	if vault {
		serve = func(w http.ResponseWriter, r *http.Request) { s.vault(op, w, r) }
	}
	authorized := !vault || r.Header.Get("Authorization") != ""
	s.mu.Lock()
	intercept := s.intercept
	if authorized {
		s.calls = append(s.calls, op)
	}
	s.mu.Unlock()
	if intercept != nil && authorized && intercept(op, w, r, func(w http.ResponseWriter) { serve(w, r) }) {
		return
	}
	serve(w, r)
}

// operation is the SDK's name of what is asked for; vault is false for a login.
func operation(r *http.Request) (name string, vault bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) < 2 || (parts[0] != "secrets" && parts[0] != "deletedsecrets"):
		return "Login", false
	case parts[0] == "deletedsecrets" && r.Method == http.MethodPost:
		return "RecoverDeletedSecret", true
	case parts[0] == "deletedsecrets" && r.Method == http.MethodDelete:
		return "PurgeDeletedSecret", true
	case parts[0] == "deletedsecrets":
		return "GetDeletedSecret", true
	case len(parts) > 2 && parts[2] == "versions":
		return "NewListSecretPropertiesVersionsPager", true
	}
	return map[string]string{
		http.MethodPut: "SetSecret", http.MethodGet: "GetSecret",
		http.MethodPatch: "UpdateSecretProperties", http.MethodDelete: "DeleteSecret",
	}[r.Method], true
}

// vault answers as Key Vault does: a challenge, a refusal, or what the SDK's
// fake server makes of the state.
func (s *Server) vault(op string, w http.ResponseWriter, r *http.Request) {
	client, known := bearer(r)
	switch {
	case !known:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("WWW-Authenticate", `Bearer authorization="`+s.URL+"/"+Tenant+`", resource="https://vault.azure.net"`)
		refuse(w, &refusal{http.StatusUnauthorized, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."})
		return
	case client == Stranger:
		refuse(w, &refusal{http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."})
		return
	case r.URL.Query().Get("api-version") == "":
		refuse(w, &refusal{http.StatusBadRequest, "BadParameter", "", "The api-version query parameter is missing."})
		return
	}
	if op == "NewListSecretPropertiesVersionsPager" {
		s.page.Lock() // the fake server keeps one listing for each name
		defer s.page.Unlock()
	}
	asked := r.Clone(context.WithValue(r.Context(), runtime.CtxAPINameKey{}, "Client."+op))
	here, err := url.Parse(s.URL)
	if err != nil {
		http.Error(w, "bad address", http.StatusInternalServerError)
		return
	}
	asked.URL.Scheme, asked.URL.Host = here.Scheme, here.Host
	resp, err := s.fake.Do(asked)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		refuse(w, refused)
		return
	case err != nil:
		http.Error(w, "the fake server failed", http.StatusInternalServerError)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// refuse writes an error in Key Vault's form.
func refuse(w http.ResponseWriter, r *refusal) {
	body := map[string]any{"code": r.code, "message": r.message}
	if r.inner != "" {
		body["innererror"] = map[string]string{"code": r.inner}
	}
	answer(w, r.status, map[string]any{"error": body})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
