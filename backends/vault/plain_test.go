package vault

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// TestEngineIsFoundOut: nothing is declared, and each version gets what it can.
func TestEngineIsFoundOut(t *testing.T) {
	v := realtest.Vault(t)
	for version, at := range map[string]string{"1": "/connections/x", "2": "/data/connections/x"} {
		mount := v.MountKV(t, version)
		log := newPhrases()
		b := openLogging(t, withToken(t, v.Addr, mount, v.Token), log)
		item := itemOf("eyJ.a.b", 1)
		mustPut(t, b, refOf("connections/x"), item, backends.Absent)
		if got, _ := mustGet(t, b, refOf("connections/x")); !got.Payload.Equal(item.Payload) {
			t.Errorf("version %s: another value came back", version)
		}
		if status, _ := v.Try(t, http.MethodGet, mount+at, nil); status != http.StatusOK {
			t.Errorf("version %s: %s answers %d", version, at, status)
		}
		if n := log.count("declare kv_version: 1"); (n == 1) != (version == "1") {
			t.Errorf("version %s: the log warns %d times", version, n)
		}
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func TestDeclaredEngineIsCompared(t *testing.T) {
	v := realtest.Vault(t)
	for declared, version := range map[int]string{1: "2", 2: "1"} {
		mount := v.MountKV(t, version)
		o := withToken(t, v.Addr, mount, v.Token)
		o.KVVersion = declared
		b := opened(t, o)
		_, err := b.Put(t.Context(), refOf("x"), itemOf("eyJ.a.b", 1), backends.Absent)
		wantError(t, err, backends.ErrUnavailable, "is a KV engine of version "+version, "")
		for _, path := range []string{"/x", "/data/x"} {
			if status, _ := v.Try(t, http.MethodGet, mount+path, nil); status != http.StatusNotFound {
				t.Errorf("something stands at %s (%d)", path, status)
			}
		}
	}
}

// TestEngineThatMayNotBeAskedFor: what stands before the server denies the
// question and allows the entries. Then the declaration says it.
func TestEngineThatMayNotBeAskedFor(t *testing.T) {
	v := realtest.Vault(t)
	proxy := httptest.NewServer(relay{to: v.Addr, spoil: func(w http.ResponseWriter, r *http.Request, _ func() *http.Response) bool {
		if !strings.HasPrefix(r.URL.Path, "/v1/sys/internal/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, errorBody("permission denied"))
		return true
	}})
	t.Cleanup(proxy.Close)
	for version := 1; version <= 2; version++ {
		mount := v.MountKV(t, []string{"", "1", "2"}[version])
		token := v.NewToken(t, "1h", v.Policy(t, manualPolicy(t, version, mount)))
		o := withToken(t, proxy.URL, mount, token)
		ref := refOf("connections/x")
		_, err := opened(t, o).Put(t.Context(), ref, itemOf("eyJ.a.b", 1), backends.Absent)
		wantError(t, err, backends.ErrDenied, "declare kv_version", "")
		if status, _ := v.Try(t, http.MethodGet, mount+"/data/connections/x", nil); status != http.StatusNotFound {
			t.Errorf("version %d: something was written unasked (%d)", version, status)
		}
		declared := *o
		declared.KVVersion = version
		b := opened(t, &declared)
		if err := b.Check(t.Context(), ref); err != nil {
			t.Errorf("version %d: check: %v", version, err)
		}
		mustPut(t, b, ref, itemOf("eyJ.a.b", 1), backends.Absent)
		mustGet(t, b, ref)
	}
}

// TestUpgradedMount: an engine that changes its version while the agent runs is
// never taken for an empty one.
func TestUpgradedMount(t *testing.T) {
	v, b, mount := onReal(t, "1")
	ref := refOf("x")
	mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	v.Do(t, http.MethodPost, "sys/mounts/"+mount+"/tune", map[string]any{"options": map[string]any{"version": "2"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		item, version, err := b.Get(ctx, ref, backends.Current)
		if err == nil {
			if item.Payload.Reveal() != "eyJ.a.1" || version != "1" {
				t.Errorf("after the upgrade version %s is %s", version, item.Payload.Reveal())
			}
			break
		}
		if kind := backends.KindOf(err); kind != backends.ErrUnavailable || ctx.Err() != nil {
			t.Fatalf("while the mount is upgraded: %v", err)
		}
	}
	v.Do(t, http.MethodDelete, "sys/mounts/"+mount, nil)
	v.Do(t, http.MethodPost, "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]any{"version": "1"}})
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrUnavailable, "has become a KV engine of version 1", "")
	mustPut(t, b, ref, itemOf("eyJ.a.2", 1), backends.Absent)
	v.Do(t, http.MethodDelete, "sys/mounts/"+mount, nil)
	_, _, err = b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrUnavailable, "no such mount", "")
}

// TestPlainPayloadComesBackOrIsRefused: version 1 records no layout.
func TestPlainPayloadComesBackOrIsRefused(t *testing.T) {
	v, b, mount := onReal(t, "1")
	for _, c := range []struct {
		name, sample, payload string
		want                  map[string]any
	}{
		{"bundle", "", `{"token":"T","url":"u"}`, map[string]any{"token": "T", "url": "u"}},
		{"other order, unsaid", "", `{"url":"u","token":"T"}`, map[string]any{"value": `{"url":"u","token":"T"}`}},
		{"other order, said", `{"url":"s","token":"s"}`, `{"url":"u","token":"T"}`, map[string]any{"token": "T", "url": "u"}},
		{"one field, unsaid", "", `{"value":"T"}`, map[string]any{"value": `{"value":"T"}`}},
		{"one field, said", `{"value":"s"}`, `{"value":"T"}`, map[string]any{"value": "T"}},
		{"text", "s", "T", map[string]any{"value": "T"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := shaped(realtest.Name(t), c.sample)
			if c.sample == "" {
				ref.Options = nil
			}
			mustPut(t, b, ref, backends.Item{Payload: secret.New(c.payload)}, backends.Absent)
			if got := quote(plainOf(t, v, mount, "1", ref.Path)); got != quote(c.want) {
				t.Errorf("the entry is %s, want %s", got, quote(c.want))
			}
			if got, _ := mustGet(t, b, ref); got.Payload.Reveal() != c.payload {
				t.Errorf("%s came back as %s", c.payload, got.Payload.Reveal())
			}
		})
	}
	_, err := b.Put(t.Context(), shaped("x", `{"value":"s"}`), backends.Item{Payload: secret.New("a text")}, backends.Absent)
	wantError(t, err, backends.ErrInvalid, "another shape", "")
	long := backends.Item{Payload: secret.New(strings.Repeat("a", maxPayload+1))}
	_, err = b.Put(t.Context(), refOf("x"), long, backends.Absent)
	wantKind(t, err, backends.ErrInvalid)
}
