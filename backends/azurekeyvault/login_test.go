package azurekeyvault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/secret"
)

// login declares the vault with a way to log in, at the login server of the
// vault.
func (v vault) login(t *testing.T, a Auth) *Options {
	t.Helper()
	t.Setenv("AZURE_AUTHORITY_HOST", v.url+"/")
	o := v.options("")
	o.Auth = a
	return o
}

// source puts a credential into a file.
func source(t *testing.T, text string) secret.Source {
	t.Helper()
	return secret.Source{File: write(t, text+"\n")}
}

// application is the declared login of the vault's one application.
func application(method string) Auth {
	return Auth{Method: method, TenantID: vaulttest.Tenant, ClientID: vaulttest.Client}
}

func TestLogins(t *testing.T) {
	v := own(t)
	for name, auth := range map[string]func(*testing.T) Auth{
		"managed identity": func(*testing.T) Auth { return Auth{Method: methodManaged} },
		"managed identity by client id": func(*testing.T) Auth {
			return Auth{Method: methodManaged, ClientID: "11111111-2222-3333-4444-555555555555"}
		},
		"default chain": func(t *testing.T) Auth {
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
			return Auth{}
		},
		"default chain by environment": func(t *testing.T) Auth {
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential")
			workload(t, v)
			return Auth{Method: methodDefault}
		},
		"client secret": func(t *testing.T) Auth {
			a := application(methodSecret)
			a.ClientSecret = source(t, v.server.Secret)
			return a
		},
		"client certificate": func(t *testing.T) Auth {
			a := application(methodCertificate)
			a.ClientCertificate = source(t, certificate(t))
			return a
		},
		"workload identity": func(t *testing.T) Auth {
			a := application(methodWorkload)
			a.TokenFile = write(t, v.server.Assertion)
			return a
		},
		"workload identity by environment": func(t *testing.T) Auth {
			workload(t, v)
			return Auth{Method: methodWorkload}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := opened(t, v.login(t, auth(t)))
			mustPut(t, b, newRef(t), itemOf("value", 1))
		})
	}
}

// workload is the environment that the webhook of workload identity makes.
func workload(t *testing.T, v vault) {
	t.Helper()
	t.Setenv("AZURE_TENANT_ID", vaulttest.Tenant)
	t.Setenv("AZURE_CLIENT_ID", vaulttest.Client)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", write(t, v.server.Assertion))
}

// certificate is a self-signed one with its key, as PEM.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, key.Public(), key)
}

func pemOf(t *testing.T, public, private any) string {
	t.Helper()
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "handover test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// wrongSecret is a client secret that the login server doesn't know.
const wrongSecret = "a-wrong-client-secret-0123456789"

// refusedLogin is a login that fails.
type refusedLogin struct {
	name string
	auth func(t *testing.T) Auth
	kind error
	says []string
}

func refusedSecrets(v vault) []refusedLogin {
	withSecret := func(t *testing.T, text string) Auth {
		a := application(methodSecret)
		a.ClientSecret = source(t, text)
		return a
	}
	return []refusedLogin{
		{"wrong secret", func(t *testing.T) Auth { return withSecret(t, wrongSecret) },
			backends.ErrDenied, []string{"client-secret", "AADSTS7000215", "the client secret is wrong"}},
		{"unknown application", func(t *testing.T) Auth {
			a := withSecret(t, v.server.Secret)
			a.ClientID = vaulttest.Tenant
			return a
		}, backends.ErrDenied, []string{"AADSTS700016", "client_id"}},
		{"vault of another tenant", func(t *testing.T) Auth {
			a := withSecret(t, v.server.Secret)
			a.TenantID = vaulttest.Client
			return a
		}, backends.ErrDenied, []string{vaulttest.Tenant, "correct url or auth.tenant_id"}},
		{"secret file that is missing", func(*testing.T) Auth {
			a := application(methodSecret)
			a.ClientSecret = secret.Source{File: "/nonexistent/secret"}
			return a
		}, backends.ErrUnavailable, []string{"/nonexistent/secret"}},
	}
}

func refusedProofs() []refusedLogin {
	return []refusedLogin{
		{"token file that is missing", func(*testing.T) Auth {
			a := application(methodWorkload)
			a.TokenFile = "/nonexistent/token"
			return a
		}, backends.ErrUnavailable, []string{"workload-identity"}},
		{"no certificate", func(t *testing.T) Auth {
			a := application(methodCertificate)
			a.ClientCertificate = source(t, wrongSecret)
			return a
		}, backends.ErrUnavailable, []string{"holds no certificate"}},
		{"certificate without its key", func(t *testing.T) Auth {
			a := application(methodCertificate)
			a.ClientCertificate = source(t, strings.Split(certificate(t), "-----BEGIN PRIVATE")[0])
			return a
		}, backends.ErrUnavailable, []string{"holds no certificate"}},
		{"certificate of another kind", func(t *testing.T) Auth {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			a := application(methodCertificate)
			a.ClientCertificate = source(t, pemOf(t, key.Public(), key))
			return a
		}, backends.ErrUnavailable, []string{"client-certificate"}},
		{"workload identity elsewhere", func(*testing.T) Auth { return Auth{Method: methodWorkload} },
			backends.ErrUnavailable, []string{"workload-identity"}},
		{"default chain with nothing", func(t *testing.T) Auth {
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
			return Auth{}
		}, backends.ErrUnavailable, []string{"default chain", "auth.method"}},
		{"identity without a role", func(*testing.T) Auth { return Auth{Method: methodManaged, ClientID: vaulttest.Stranger} },
			backends.ErrDenied, []string{"ForbiddenByRbac"}},
	}
}

func TestRefusedLogins(t *testing.T) {
	v := own(t)
	for _, c := range append(refusedSecrets(v), refusedProofs()...) {
		t.Run(c.name, func(t *testing.T) {
			b := opened(t, v.login(t, c.auth(t)))
			_, err := b.Put(t.Context(), newRef(t), itemOf("value", 1), backends.Absent)
			wantError(t, err, c.kind, c.says...)
			if err != nil && (strings.Contains(err.Error(), wrongSecret) || strings.Contains(err.Error(), v.server.Secret)) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// TestLoginServerFails: what the login server answers, and not the vault, is
// never an unknown outcome.
func TestLoginServerFails(t *testing.T) {
	v := own(t)
	for _, c := range []struct {
		name   string
		method string
		status int
		kind   error
		says   string
		wait   time.Duration
	}{
		{"Entra throttles", methodSecret, 429, backends.ErrThrottled, "429", 90 * time.Second},
		{"Entra fails", methodSecret, 500, backends.ErrUnavailable, "500", 0},
		{"no such identity", methodManaged, 400, backends.ErrDenied, "assign the identity", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Auth{Method: methodManaged, ClientID: "11111111-2222-3333-4444-666666666666"}
			if c.method == methodSecret {
				a = application(methodSecret)
				a.ClientSecret = source(t, v.server.Secret)
			}
			o := v.login(t, a)
			o.Timeout = 3 * time.Second
			b := opened(t, o)
			v.server.Intercept(func(op string, w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
				if op != "Login" || strings.Contains(r.URL.Path, ".well-known") {
					return false
				}
				w.Header().Set("Retry-After", "90")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"error":"no","error_description":"`+v.server.Secret+`"}`)
				return true
			})
			defer v.server.Intercept(nil)
			_, err := b.Put(t.Context(), newRef(t), itemOf("value", 1), backends.Absent)
			wantError(t, err, c.kind, c.says)
			if got := backends.RetryAfter(err); got != c.wait {
				t.Errorf("to be tried again after %v, want %v", got, c.wait)
			}
			if strings.Contains(err.Error(), v.server.Secret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// TestSecretIsReadAgain: a new client secret in the file is used without a
// restart, from the next login on.
func TestSecretIsReadAgain(t *testing.T) {
	v := own(t)
	a := application(methodSecret)
	a.ClientSecret = source(t, "not yet the secret")
	b, ref := opened(t, v.login(t, a)), newRef(t)
	_, err := b.Put(t.Context(), ref, itemOf("value", 1), backends.Absent)
	wantError(t, err, backends.ErrDenied)
	if err := os.WriteFile(a.ClientSecret.File, []byte(v.server.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, ref, itemOf("value", 1))
}

// TestOneLoginServesManyCalls: a login is kept until it is to end.
func TestOneLoginServesManyCalls(t *testing.T) {
	v := own(t)
	a := application(methodSecret)
	a.ClientSecret = source(t, v.server.Secret)
	b, ref := opened(t, v.login(t, a)), newRef(t)
	v.server.Forget()
	for n := range uint64(5) {
		mustPut(t, b, ref, itemOf("value", n))
	}
	if n := count(v.server.Calls(), "Login"); n > 2 { // one asks for Entra's addresses
		t.Errorf("%d calls to the login server", n)
	}
}
