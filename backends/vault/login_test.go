package vault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// used opens a backend, delivers and reads a token, closes it, and sees that
// nothing runs on and that the login ended.
func used(t *testing.T, v *realtest.VaultServer, o *Options) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	log := newPhrases()
	b := openLogging(t, o, log)
	ref, item := refOf("connections/"+realtest.Name(t)), itemOf("eyJ.login.sig", 1)
	mustPut(t, b, ref, item, backends.Absent)
	if got, _ := mustGet(t, b, ref); !got.Payload.Equal(item.Payload) {
		t.Error("another value came back")
	}
	token := b.sessions.current.token
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	goleak.VerifyNone(t, before)
	if log.count(token.Reveal()) > 0 {
		t.Error("the log holds the login's token")
	}
	status, _ := v.Try(t, http.MethodPost, "auth/token/lookup", map[string]any{"token": token.Reveal()})
	if o.Auth.Method != methodToken && status == http.StatusOK {
		t.Error("the login's token lives on after Close")
	}
}

// refusedLogin is the error of a backend that can't log in.
func refusedLogin(t *testing.T, o *Options, kind error, says string) {
	t.Helper()
	_, err := opened(t, o).Put(t.Context(), refOf("connections/x"), itemOf("eyJ.a.b", 1), backends.Absent)
	wantError(t, err, kind, says, "")
}

// keyPair is a signing key with its public half as PEM.
func keyPair(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func signed(t *testing.T, key *ecdsa.PrivateKey, claims jwt.MapClaims) string {
	t.Helper()
	claims["iat"], claims["nbf"], claims["exp"] = time.Now().Unix(), time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestJWTLogin(t *testing.T) {
	v := realtest.Vault(t)
	mount, at := v.MountKV(t, "2"), v.MountAuth(t, "jwt")
	key, public := keyPair(t)
	v.Do(t, http.MethodPost, "auth/"+at+"/config", map[string]any{"jwt_validation_pubkeys": []string{public}, "jwt_supported_algs": []string{"ES256"}})
	v.Do(t, http.MethodPost, "auth/"+at+"/role/handover", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"},
		"token_policies": []string{v.Policy(t, manualPolicy(t, 2, mount))}, "token_ttl": "1h",
	})
	o := withToken(t, v.Addr, mount, "")
	claims := jwt.MapClaims{"sub": "agent", "aud": "vault"}
	o.Auth = Auth{Method: methodJWT, Mount: at, Role: "handover", JWT: source(t, signed(t, key, claims))}
	used(t, v, o)

	claims["aud"] = "others"
	o.Auth.JWT = source(t, signed(t, key, claims))
	refusedLogin(t, o, backends.ErrDenied, "the role takes the issuer, audience and subject of the JWT from file "+o.Auth.JWT.File)
	o.Auth.JWT = secret.Source{File: "/nonexistent/jwt"}
	refusedLogin(t, o, backends.ErrUnavailable, "/nonexistent/jwt")
}

// TestKubernetesLogin is on a real Vault; the cluster that it asks about the
// pod's token is played.
func TestKubernetesLogin(t *testing.T) {
	v := realtest.Vault(t)
	mount, at := v.MountKV(t, "2"), v.MountAuth(t, "kubernetes")
	key, _ := keyPair(t)
	token := signed(t, key, jwt.MapClaims{
		"sub": "system:serviceaccount:data:handover", "iss": "kubernetes/serviceaccount",
		"aud":           []string{"vault"},
		"kubernetes.io": map[string]any{"namespace": "data", "serviceaccount": map[string]any{"name": "handover", "uid": "42"}},
	})
	cluster := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Connection", "close") // no goroutine of the test's own stays
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": map[string]any{
			"authenticated": strings.Contains(string(body), token), "audiences": []string{"vault"},
			"user": map[string]any{"username": "system:serviceaccount:data:handover", "uid": "42", "groups": []string{"system:serviceaccounts"}},
		}})
	}))
	t.Cleanup(cluster.Close)
	v.Do(t, http.MethodPost, "auth/"+at+"/config", map[string]any{
		"kubernetes_host":      cluster.URL,
		"kubernetes_ca_cert":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})),
		"disable_local_ca_jwt": true, "disable_iss_validation": true,
	})
	v.Do(t, http.MethodPost, "auth/"+at+"/role/handover", map[string]any{
		"bound_service_account_names": "handover", "bound_service_account_namespaces": "data", "audience": "vault",
		"token_policies": []string{v.Policy(t, manualPolicy(t, 2, mount))}, "token_ttl": "1h",
	})
	o := withToken(t, v.Addr, mount, "")
	o.Auth = Auth{Method: methodKubernetes, Mount: at, Role: "handover", JWT: source(t, token)}
	used(t, v, o)
	o.Auth.Role = "nobody"
	refusedLogin(t, o, backends.ErrDenied, "the role nobody is for this pod's service account")
	o.Auth.JWT = secret.Source{}
	refusedLogin(t, o, backends.ErrUnavailable, podToken)
}

// clientCertificate makes a certificate that trusts itself, and its key, as
// files.
func clientCertificate(t *testing.T, name string) (certFile, keyFile, text string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, certFile, text)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return certFile, keyFile, text
}

func TestCertificateLogin(t *testing.T) {
	v := realtest.NewOwnVault(t)
	mount, at := v.MountKV(t, "2"), v.MountAuth(t, "cert")
	certFile, keyFile, text := clientCertificate(t, "handover")
	v.Do(t, http.MethodPost, "auth/"+at+"/certs/handover", map[string]any{
		"certificate": text, "token_policies": []string{v.Policy(t, manualPolicy(t, 2, mount))}, "token_ttl": "1h",
	})
	o := withToken(t, v.Addr, mount, "")
	o.CAFile, o.CertFile, o.KeyFile = v.CA, certFile, keyFile
	o.Auth = Auth{Method: methodCert, Mount: at}
	used(t, &v.VaultServer, o)
	o.Auth.Role = "handover"
	used(t, &v.VaultServer, o)
	o.CertFile, o.KeyFile, _ = clientCertificate(t, "nobody")
	refusedLogin(t, o, backends.ErrDenied, "a role there trusts the certificate in cert_file")
}

// TestNamespace: login and entries are in one. Whether a server has namespaces,
// only it knows.
func TestNamespace(t *testing.T) {
	v := realtest.Vault(t)
	team := realtest.Name(t)
	if status, _ := v.Try(t, http.MethodPost, "sys/namespaces/"+team, map[string]any{}); status == http.StatusNotFound {
		t.Skip("this server has no namespaces")
	}
	t.Cleanup(func() { v.Try(t, http.MethodDelete, "sys/namespaces/"+team, nil) })
	v.Do(t, http.MethodPost, team+"/sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]any{"version": "1"}})
	v.Do(t, http.MethodPost, team+"/sys/auth/approle", map[string]any{"type": "approle"})
	v.Do(t, http.MethodPut, team+"/sys/policies/acl/handover", map[string]any{"policy": manualPolicy(t, 1, "secret")})
	role, secretID := v.NewRoleIn(t, team, "approle", map[string]any{"token_policies": []string{"handover"}, "token_ttl": "1h"})
	o := withRole(t, v.Addr, "secret", "", role, secretID)
	o.Namespace = "/" + team + "/"
	used(t, v, o)
	o.Namespace = ""
	refusedLogin(t, o, backends.ErrDenied, "log in by approle at auth/approle")
}

// awsVault plays the login of Vault's aws method, which OpenBao hasn't got, and
// keeps what it was sent.
func awsVault(t *testing.T, sent *map[string]string) string {
	t.Helper()
	s, _ := scripted(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/auth/aws/login" {
			s.ServeHTTP(w, r)
			return
		}
		_ = json.NewDecoder(r.Body).Decode(sent)
		_, _ = io.WriteString(w, `{"auth":{"client_token":"`+scriptToken+`","lease_duration":3600,"renewable":true}}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAWSLogin(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-access-key-of-the-tests")
	var sent map[string]string
	o := withToken(t, awsVault(t, &sent), "kv", "")
	o.Auth = Auth{Method: methodAWS, Role: "handover", Region: "eu-central-1", ServerID: "vault.example"}
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
	wantKind(t, err, backends.ErrNotFound)
	if got := b.sessions.current.token.Reveal(); got != scriptToken {
		t.Errorf("the login's token is not used")
	}
	plain := func(key string) string {
		text, err := base64.StdEncoding.DecodeString(sent[key])
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
		return string(text)
	}
	if sent["role"] != "handover" || sent["iam_http_request_method"] != http.MethodPost ||
		!strings.HasPrefix(plain("iam_request_url"), "https://sts.") {
		t.Errorf("the login sent role %q and the question to STS at %s", sent["role"], plain("iam_request_url"))
	}
	headers := plain("iam_request_headers")
	for _, says := range []string{"AKIDEXAMPLE", "/eu-central-1/sts/", "vault.example"} {
		if !strings.Contains(headers, says) {
			t.Errorf("the signed headers don't say %s", says)
		}
	}
	if strings.Contains(headers, "a-secret-access-key") {
		t.Error("the secret access key was sent")
	}
}

// TestAWSLoginIsLeftAlone: the library looks for credentials without regard to
// the context. The caller doesn't wait for it; Close does.
func TestAWSLoginIsLeftAlone(t *testing.T) {
	asked, over := make(chan struct{}, 10), make(chan struct{})
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-over
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(container.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_SHARED_CREDENTIALS_FILE": "",
		"HOME": t.TempDir(), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.URL,
	} {
		t.Setenv(name, value)
	}
	var sent map[string]string
	o := withToken(t, awsVault(t, &sent), "kv", "")
	o.Auth = Auth{Method: methodAWS, Role: "handover"}
	b := openLogging(t, o, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, _, err := b.Get(ctx, refOf("x"), backends.Current)
		failed <- err
	}()
	<-asked
	cancel()
	err := <-failed
	wantError(t, err, backends.ErrUnavailable, "log in by aws at auth/aws", "")
	close(over)
	_, _, err = b.Get(t.Context(), refOf("x"), backends.Current)
	wantError(t, err, backends.ErrUnavailable, "log in by aws at auth/aws", "")
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if sent != nil {
		t.Error("a login without credentials was sent")
	}
}
