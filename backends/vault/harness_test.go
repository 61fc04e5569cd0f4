package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// source puts a credential into a file of the test.
func source(t *testing.T, text string) secret.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credential")
	write(t, file, text)
	return secret.Source{File: file}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatalf("write a credential: %v", err)
	}
}

// withToken declares a backend that uses a token.
func withToken(t *testing.T, address, mount, token string) *Options {
	t.Helper()
	return &Options{
		Address: address,
		Mount:   mount,
		Timeout: 10 * time.Second,
		Auth:    Auth{Method: methodToken, Token: source(t, token)},
	}
}

// withRole declares a backend that logs in with AppRole.
func withRole(t *testing.T, address, mount, authMount, roleID, secretID string) *Options {
	t.Helper()
	return &Options{
		Address: address,
		Mount:   mount,
		Timeout: 10 * time.Second,
		Auth:    Auth{Method: methodAppRole, Mount: authMount, RoleID: roleID, SecretID: source(t, secretID)},
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
		Name:    "vault",
		AgentID: "test",
		Log:     slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b, err := Driver().Open(context.Background(), env, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return b.(*backend)
}

func refOf(path string) backends.Ref { return backends.Ref{Backend: "vault", Path: path} }

func itemOf(payload string, generation uint64) backends.Item {
	v := secret.New(payload)
	return backends.Item{Payload: v, Meta: backends.Meta{
		Slot:       "pipeline@service/production",
		Generation: generation,
		TokenID:    456,
		Token:      v.Fingerprint(),
		Expires:    time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
}

func mustPut(t *testing.T, b *backend, ref backends.Ref, item backends.Item, prev backends.Version) backends.Version {
	t.Helper()
	v, err := b.Put(t.Context(), ref, item, prev)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return v
}

func mustGet(t *testing.T, b *backend, ref backends.Ref) (backends.Item, backends.Version) {
	t.Helper()
	item, v, err := b.Get(t.Context(), ref, backends.Current)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return item, v
}

// wantKind fails the test unless err is of the kind.
func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(backends.KindOf(err), kind) {
		t.Errorf("error %v is of kind %v, want %v", err, backends.KindOf(err), kind)
	}
}

// custom is the custom metadata of an entry as the server's administrator sees
// it.
func custom(t *testing.T, v *realtest.VaultServer, mount, path string) map[string]any {
	t.Helper()
	data, _ := v.Do(t, http.MethodGet, mount+"/metadata/"+path, nil)["data"].(map[string]any)
	all, _ := data["custom_metadata"].(map[string]any)
	return all
}

// entryOf is an entry's fields as the server's administrator sees them.
func entryOf(t *testing.T, v *realtest.VaultServer, mount, path string) map[string]any {
	t.Helper()
	outer, _ := v.Do(t, http.MethodGet, mount+"/data/"+path, nil)["data"].(map[string]any)
	fields, _ := outer["data"].(map[string]any)
	return fields
}

// overwrite writes an entry as another hand does, in the way a payload is laid
// out.
func overwrite(t *testing.T, v *realtest.VaultServer, mount, path string, fields map[string]any) {
	t.Helper()
	v.Do(t, http.MethodPost, mount+"/data/"+path, map[string]any{"data": fields})
}

// relay passes requests on to a real server; spoil may answer instead, before
// or after.
type relay struct {
	to    string
	spoil func(w http.ResponseWriter, r *http.Request, forward func() *http.Response) bool
}

func (p relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	forward := func() *http.Response {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, p.to+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return resp
	}
	if p.spoil(w, r, forward) {
		return
	}
	resp := forward()
	defer func() { _ = resp.Body.Close() }()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func encodeJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
