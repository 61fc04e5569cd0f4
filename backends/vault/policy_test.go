package vault

import (
	"errors"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// withoutDefault is a backend whose token may not ask about itself: neither its
// lifetime nor its capabilities.
func withoutDefault(t *testing.T, v *realtest.VaultServer, mount, policy string) *backend {
	t.Helper()
	auth, _ := v.Do(t, "POST", "auth/token/create", map[string]any{
		"policies": []string{v.Policy(t, policy)}, "no_default_policy": true, "ttl": "1h",
	})["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	return opened(t, withToken(t, v.Addr, mount, token))
}

func TestTokenWithoutTheDefaultPolicy(t *testing.T) {
	v, _, mount := onReal(t, "2")
	ref := refOf("x")
	b := withoutDefault(t, v, mount, agentPolicy(t, mount))
	if err := b.Check(t.Context(), ref); err != nil {
		t.Errorf("check where it can only read: %v", err)
	}
	mustPut(t, b, ref, itemOf("eyJ.a.b", 1), backends.Absent)
	if err := b.Check(t.Context(), ref); err != nil {
		t.Errorf("check where a value stands: %v", err)
	}
	other := withoutDefault(t, v, mount, `path "other/*" { capabilities = ["read"] }`)
	wantError(t, other.Check(t.Context(), ref), backends.ErrDenied, "policies", "")
}

// TestValueWithoutItsMetadata: the policy takes the value and refuses what
// describes it. The error says what stands, and another Put mends it.
func TestValueWithoutItsMetadata(t *testing.T) {
	v, all, mount := onReal(t, "2")
	ref, item := refOf("x"), itemOf("eyJ.a.b", 1)
	halfway := opened(t, withToken(t, v.Addr, mount, v.NewToken(t, "1h", v.Policy(t,
		strings.Replace(agentPolicy(t, mount), `"read", "patch"`, `"read"`, 1)))))
	_, err := halfway.Put(t.Context(), ref, item, backends.Absent)
	wantError(t, err, backends.ErrDenied, "the value stands, its metadata does not", "")
	got, v1 := mustGet(t, all, ref)
	if !got.Payload.Equal(item.Payload) || !got.Meta.IsZero() {
		t.Errorf("after that the metadata is %+v", got.Meta)
	}
	if again := mustPut(t, all, ref, item, backends.Absent); again != v1 {
		t.Errorf("mending made version %s after %s", again, v1)
	}
	if got, _ := mustGet(t, all, ref); got.Meta != item.Meta {
		t.Errorf("after mending the metadata is %+v", got.Meta)
	}
}

func TestNothingIsWrittenThatVaultWouldRefuse(t *testing.T) {
	v, b, mount := onReal(t, "2")
	ref := refOf("x")
	long := itemOf("eyJ.a.b", 1)
	long.Meta.Slot = strings.Repeat("s", maxMetadataValue+1)
	for name, item := range map[string]backends.Item{
		"a slot's name too long": long,
		"bytes that are no text": {Payload: secret.New("a\xff")},
		"a payload too large":    {Payload: secret.New(strings.Repeat("a", maxPayload+1))},
	} {
		_, err := b.Put(t.Context(), ref, item, backends.Absent)
		if !errors.Is(backends.KindOf(err), backends.ErrInvalid) {
			t.Errorf("%s: error %v, want %v", name, err, backends.ErrInvalid)
		}
	}
	if status, _ := v.Try(t, "GET", mount+"/metadata/x", nil); status != 404 {
		t.Errorf("something was written all the same (%d)", status)
	}
}

func TestRemove(t *testing.T) {
	_, b, _ := onReal(t, "2")
	ref := refOf("x")
	if err := b.Remove(t.Context(), ref, "1"); err != nil {
		t.Errorf("remove where nothing stands: %v", err)
	}
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	for _, version := range []backends.Version{"", "0", "-1", "one"} {
		wantKind(t, b.Remove(t.Context(), ref, version), backends.ErrInvalid)
	}
	wantKind(t, b.Remove(t.Context(), ref, "2"), backends.ErrConflict)
	if err := b.Remove(t.Context(), ref, "99"); err != nil {
		t.Errorf("remove a version that is not there: %v", err)
	}
	if err := b.Remove(t.Context(), ref, v1); err != nil {
		t.Errorf("remove: %v", err)
	}
	_, _, err := b.Get(t.Context(), ref, backends.Previous)
	wantKind(t, err, backends.ErrNotFound)
}
