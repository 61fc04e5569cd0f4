package vault

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// onReal is a backend with the administrator's token on a new mount.
func onReal(t *testing.T, version string) (*realtest.VaultServer, *backend, string) {
	t.Helper()
	v := realtest.Vault(t)
	mount := v.MountKV(t, version)
	return v, opened(t, withToken(t, v.Addr, mount, v.Token)), mount
}

// TestEntryIsWhatConsumersRead: an object's fields are the entry's, and come
// back in the object's order.
func TestEntryIsWhatConsumersRead(t *testing.T) {
	v, b, mount := onReal(t, "2")
	for _, c := range []struct {
		name, payload string
		key           string
		want          map[string]any
	}{
		{"bundle", `{"conn_uri":"http://:T@h/https?a=b+c","token":"T","url":"https://h","value":"T"}`, "", map[string]any{"conn_uri": "http://:T@h/https?a=b+c", "token": "T", "url": "https://h", "value": "T"}},
		{"unsorted fields", `{"url":"https://h","token":"<T>&"}`, "", map[string]any{"url": "https://h", "token": "<T>&"}},
		{"one field", `{"value":"T"}`, "", map[string]any{"value": "T"}},
		{"text", "T", "", map[string]any{"value": "T"}},
		{"text in a field of another name", "T", "token", map[string]any{"token": "T"}},
		{"lines", "A=1\nB=2\n", "", map[string]any{"value": "A=1\nB=2\n"}},
		{"nested", `{"a":{"b":"c"}}`, "", map[string]any{"value": `{"a":{"b":"c"}}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := refOf(realtest.Name(t))
			if c.key != "" {
				ref.Options = &TargetOptions{Key: c.key}
			}
			item := itemOf(c.payload, 1)
			mustPut(t, b, ref, item, backends.Absent)
			if diff := cmp.Diff(c.want, entryOf(t, v, mount, ref.Path)); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
			got, _ := mustGet(t, b, ref)
			if got.Payload.Reveal() != c.payload {
				t.Errorf("payload %q came back as %q", c.payload, got.Payload.Reveal())
			}
			if diff := cmp.Diff(item.Meta, got.Meta); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCrashBeforeMetadata: the value stands and nothing describes it. The same
// Put again makes no version.
func TestCrashBeforeMetadata(t *testing.T) {
	v, b, mount := onReal(t, "2")
	for _, payload := range []string{"eyJ.a.b", `{"value":"eyJ.a.b"}`, `{"url":"u","token":"eyJ.a.b"}`} {
		path := realtest.Name(t)
		fields, _, err := encode(secret.New(payload), defaultKey)
		if err != nil {
			t.Fatal(err)
		}
		as := map[string]any{}
		for name, text := range fields {
			as[name] = text
		}
		overwrite(t, v, mount, path, as)
		got, version := mustGet(t, b, refOf(path))
		if !got.Meta.IsZero() {
			t.Error("metadata came from nowhere")
		}
		item := itemOf(payload, 3)
		if again := mustPut(t, b, refOf(path), item, backends.Absent); again != version {
			t.Errorf("payload %s: version %s after %s, want the same", payload, again, version)
		}
		got, _ = mustGet(t, b, refOf(path))
		if got.Payload.Reveal() != payload || got.Meta != item.Meta {
			t.Errorf("payload %s came back as %s with %+v", payload, got.Payload.Reveal(), got.Meta)
		}
	}
}

func TestOthersMetadataStays(t *testing.T) {
	v, b, mount := onReal(t, "2")
	for _, patching := range []bool{true, false} {
		path := realtest.Name(t)
		v.Do(t, http.MethodPost, mount+"/metadata/"+path, map[string]any{
			"custom_metadata": map[string]any{"team": "data"}, "max_versions": 3, "delete_version_after": "720h",
		})
		use := b
		if !patching {
			policy := v.Policy(t, strings.Replace(agentPolicy(t, mount), `"read", "patch"`, `"read", "update"`, 1))
			use = opened(t, withToken(t, v.Addr, mount, v.NewToken(t, "1h", policy)))
		}
		item := itemOf("eyJ.a.b", 5)
		mustPut(t, use, refOf(path), item, backends.Absent)
		got := custom(t, v, mount, path)
		if got["team"] != "data" || got[metaGeneration] != "5" || got[metaVersion] != "1" {
			t.Errorf("patching %v: custom metadata is %v", patching, got)
		}
		data, _ := v.Do(t, http.MethodGet, mount+"/metadata/"+path, nil)["data"].(map[string]any)
		if data["delete_version_after"] != "720h0m0s" {
			t.Errorf("patching %v: delete_version_after became %v", patching, data["delete_version_after"])
		}
		if read, _ := mustGet(t, use, refOf(path)); read.Meta != item.Meta {
			t.Errorf("patching %v: metadata %+v came back", patching, read.Meta)
		}
	}
}

func TestDeletedLatestVersion(t *testing.T) {
	v, b, mount := onReal(t, "2")
	ref := refOf("connections/deleted")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	for _, way := range []string{"delete", "destroy"} {
		if way == "delete" {
			v.Do(t, http.MethodDelete, mount+"/data/"+ref.Path, nil)
		} else {
			v.Do(t, http.MethodPost, mount+"/destroy/"+ref.Path, map[string]any{"versions": []int{2}})
		}
		_, version, err := b.Get(t.Context(), ref, backends.Current)
		wantKind(t, err, backends.ErrNotFound)
		if version != "2" {
			t.Errorf("after %s the version is %q, want 2", way, version)
		}
		old, older, err := b.Get(t.Context(), ref, backends.Previous)
		if err != nil || older != v1 || old.Payload.Reveal() != "eyJ.a.1" {
			t.Errorf("after %s the previous version is %q: %v", way, older, err)
		}
	}
	_, err := b.Put(t.Context(), ref, itemOf("eyJ.a.3", 3), backends.Absent)
	wantKind(t, err, backends.ErrConflict)
	if v3 := mustPut(t, b, ref, itemOf("eyJ.a.3", 3), "2"); v3 != "3" {
		t.Errorf("the next version is %s, want 3", v3)
	}
}

func TestMountThatRequiresVersions(t *testing.T) {
	v, b, mount := onReal(t, "2")
	v.Do(t, http.MethodPost, mount+"/config", map[string]any{"cas_required": true})
	ref := refOf("x")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
}

func TestWrongMounts(t *testing.T) {
	v := realtest.Vault(t)
	for _, c := range []struct{ name, mount, namespace, says string }{
		{"missing", realtest.Name(t), "", "enable a KV engine there"},
		{"other engine", "cubbyhole", "", "not KV"},
		{"missing namespace", realtest.Name(t), realtest.Name(t), "namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := withToken(t, v.Addr, c.mount, v.Token)
			o.Namespace = c.namespace
			b := opened(t, o)
			_, _, err := b.Get(t.Context(), refOf("x"), backends.Current)
			wantError(t, err, backends.ErrUnavailable, c.says, "")
			_, err = b.Put(t.Context(), refOf("x"), itemOf("eyJ.a.1", 1), backends.Absent)
			wantError(t, err, backends.ErrUnavailable, c.says, "")
		})
	}
}

func TestCheckNamesWhatThePolicyLacks(t *testing.T) {
	v, _, mount := onReal(t, "2")
	for _, c := range []struct{ name, policy, says string }{
		{"all of the comment", agentPolicy(t, mount), ""},
		{"update for patch", strings.Replace(agentPolicy(t, mount), `"patch"`, `"update"`, 1), ""},
		{"read alone", `path "` + mount + `/*" { capabilities = ["read"] }`, "create, update on " + mount + "/data/x and patch or update on " + mount + "/metadata/x"},
		{"no metadata", `path "` + mount + `/data/*" { capabilities = ["create", "read", "update"] }`, "read, patch or update on " + mount + "/metadata/x"},
		{"nothing", `path "other/*" { capabilities = ["read"] }`, "create, update, read on " + mount + "/data/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := opened(t, withToken(t, v.Addr, mount, v.NewToken(t, "1h", v.Policy(t, c.policy))))
			err := b.Check(t.Context(), refOf("x"))
			if c.says == "" {
				if err != nil {
					t.Errorf("check: %v", err)
				}
				return
			}
			wantError(t, err, backends.ErrDenied, c.says, "")
		})
	}
}

// TestSealedServer: over TLS with a certificate of the server's own.
func TestSealedServer(t *testing.T) {
	v := realtest.NewOwnVault(t)
	mount := v.MountKV(t, "2")
	o := withToken(t, v.Addr, mount, v.Token)
	o.CAFile = v.CA
	b := opened(t, o)
	ref, item := refOf("x"), itemOf("eyJ.a.1", 1)
	v1 := mustPut(t, b, ref, item, backends.Absent)

	v.Seal(t)
	_, err := b.Put(t.Context(), ref, itemOf("eyJ.a.2", 2), v1)
	wantError(t, err, backends.ErrUnavailable, "sealed", "")
	_, _, err = b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrUnavailable, "sealed", "")
	fresh := opened(t, o)
	wantError(t, fresh.Check(t.Context(), ref), backends.ErrUnavailable, "sealed", "")

	v.Unseal(t)
	if got, _ := mustGet(t, b, ref); !got.Payload.Equal(item.Payload) {
		t.Error("the value did not outlive the seal")
	}
	mustGet(t, fresh, ref)

	distrusting := withToken(t, v.Addr, mount, v.Token)
	_, _, err = opened(t, distrusting).Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrUnavailable, "certificate", "")
	other := withToken(t, v.Addr, mount, v.Token)
	other.CAFile, other.TLSServerName = v.CA, "vault.other.example"
	_, _, err = opened(t, other).Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrUnavailable, "vault.other.example", "")
}
