package azurekeyvault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// vault is where a test's secrets stand: the server of package vaulttest, or
// one that the environment names.
type vault struct {
	url, caFile, version string
	// server also gives the logins; its vault is not used where another is
	// named.
	server *vaulttest.Server
	// outside: the environment named another vault.
	outside bool
}

// own is the server of package vaulttest.
func own(t *testing.T) vault {
	t.Helper()
	s := vaulttest.Start(t)
	s.ManagedIdentity(t)
	return vault{url: s.URL, caFile: s.CAFile, server: s}
}

// named is the vault of HANDOVER_TEST_AZURE_URL, else our own. It may hold
// other tests' leftovers.
func named(t *testing.T) vault {
	t.Helper()
	v := own(t)
	if address := os.Getenv("HANDOVER_TEST_AZURE_URL"); address != "" {
		v.url, v.version, v.outside = address, os.Getenv("HANDOVER_TEST_AZURE_API_VERSION"), true
		if file := os.Getenv("HANDOVER_TEST_AZURE_CA"); file != "" {
			v.caFile = joined(t, v.caFile, file)
		}
		t.Logf("vault: %s (HANDOVER_TEST_AZURE_URL)", v.url)
		return v
	}
	t.Log("vault: the SDK's fake server of azsecrets v1.5.1 with a state of our own; no Azure")
	return v
}

// joined is one file with the certificates of several.
func joined(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, content...), '\n')
	}
	return write(t, string(all))
}

// write puts text into a new file.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// options declares the vault, with a managed identity of that client.
func (v vault) options(client string) *Options {
	return &Options{
		URL: v.url, CAFile: v.caFile, APIVersion: v.version, Emulator: true, Rate: 10_000,
		Auth: Auth{Method: methodManaged, ClientID: client},
	}
}

// opened is a backend that the test closes at its end.
func opened(t *testing.T, o *Options) *backend {
	t.Helper()
	b := openLogging(t, o, io.Discard)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// openLogging leaves the closing to the test.
func openLogging(t *testing.T, o *Options, log io.Writer) *backend {
	t.Helper()
	env := backends.Env{
		Name: "azure", AgentID: "test",
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	made, err := Driver().Open(context.Background(), env, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	b := made.(*backend)
	b.pause = time.Millisecond
	return b
}

// hands is another client of the vault: other people's.
func (v vault) hands(t *testing.T) *azsecrets.Client {
	t.Helper()
	return opened(t, v.options(vaulttest.Client)).client
}

// overwrite makes payload current as another hand does it.
func overwrite(t *testing.T, c *azsecrets.Client, name string, payload secret.Value) {
	t.Helper()
	set := func() error {
		_, err := c.SetSecret(t.Context(), name, azsecrets.SetSecretParameters{Value: to.Ptr(payload.Reveal())}, nil)
		return err
	}
	if set() == nil {
		return
	}
	must(t)(c.RecoverDeletedSecret(t.Context(), name, nil))
	if err := set(); err != nil {
		t.Fatalf("overwrite: %v", err)
	}
}

// disableLatest takes the latest value away from its readers.
func disableLatest(t *testing.T, c *azsecrets.Client, name string) {
	t.Helper()
	latest, err := c.GetSecret(t.Context(), name, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UpdateSecretProperties(t.Context(), name, latest.ID.Version(), azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// must fails the test when a call of the SDK does.
func must(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func refOf(path string) backends.Ref { return backends.Ref{Backend: "azure", Path: path} }

func newRef(t *testing.T) backends.Ref { return refOf("qualytics-" + realtest.Name(t)) }

func itemOf(payload string, generation uint64) backends.Item {
	v := secret.New(payload)
	return backends.Item{Payload: v, Meta: backends.Meta{
		Slot: "pipeline@service/production", Generation: generation, TokenID: 456,
		Token: v.Fingerprint(), Expires: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
}

func mustPut(t *testing.T, b *backend, ref backends.Ref, item backends.Item) string {
	t.Helper()
	v, err := b.Put(t.Context(), ref, item, backends.Absent)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return string(v)
}

// latest is what the SDK reads at ref.
func latest(t *testing.T, c *azsecrets.Client, ref backends.Ref) azsecrets.Secret {
	t.Helper()
	s, err := c.GetSecret(t.Context(), ref.Path, "", nil)
	if err != nil {
		t.Fatalf("read as others do: %v", err)
	}
	return s.Secret
}

// wantError fails the test unless err is of the kind and says the words.
func wantError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	var e *backends.Error
	if !errors.As(err, &e) || !errors.Is(e.Kind, kind) {
		t.Errorf("error %v is not of the kind %v", err, kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not say %q", err, word)
		}
	}
}

// relayed declares the vault behind a relay, over whose traffic a test has
// power: spoil returns true when it has answered.
func (v vault) relayed(t *testing.T, spoil func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool) *Options {
	t.Helper()
	to, err := url.Parse(v.url)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(v.caFile); err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("read %s: %v", v.caFile, err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !spoil(w, r, forward) {
			forward.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		forward.Transport.(*http.Transport).CloseIdleConnections()
	})
	o := v.options(vaulttest.Client)
	var block bytes.Buffer
	if err := pem.Encode(&block, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	o.URL, o.CAFile = s.URL, joined(t, v.caFile, write(t, block.String()))
	return o
}
