package azurekeyvault

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/secret"
)

// text is a format: the token as it is.
type text struct{}

func (text) Render(t backends.Token) (secret.Value, error)      { return t.Value, nil }
func (text) Extract(payload secret.Value) (secret.Value, error) { return payload, nil }
func (text) Lossy() bool                                        { return false }

// valueOf are the tags without the SDK's pointers.
func valueOf(tags map[string]*string) map[string]string {
	plain := map[string]string{}
	for name, value := range tags {
		plain[name] = *value
	}
	return plain
}

// TestWhatIsStored is what docs/backends/azure-key-vault.md says of it.
func TestWhatIsStored(t *testing.T) {
	v := own(t)
	o := v.options(vaulttest.Client)
	o.Tags = map[string]string{"team": "data"}
	b, hands, ref := opened(t, o), v.hands(t), newRef(t)
	ref.Options = &TargetOptions{ContentType: "application/jwt"}
	first := mustPut(t, b, ref, itemOf("first", 6))
	mustPut(t, b, ref, itemOf("second", 7))
	s := latest(t, hands, ref)
	want := map[string]string{
		"team": "data", tagSlot: "pipeline@service/production", tagGeneration: "7", tagTokenID: "456",
		tagToken: string(secret.New("second").Fingerprint()), tagExpires: "2031-01-02T03:04:05Z",
		tagPayload: string(secret.New("second").Fingerprint()), tagReplaces: first,
	}
	if diff := cmp.Diff(want, valueOf(s.Tags)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if len(want)-1 != len(ownTags) {
		t.Errorf("%d tags of the agent's, ownTags has %d", len(want)-1, len(ownTags))
	}
	if *s.Value != "second" || *s.ContentType != "application/jwt" || !s.Attributes.Expires.Equal(itemOf("x", 1).Meta.Expires) {
		t.Errorf("value, type or exp are not what was asked for: %v, %v", *s.ContentType, s.Attributes.Expires)
	}
}

// TestOthersStay: tags and a content type that others set go over to the next
// version, also from a disabled one and from one that was deleted.
func TestOthersStay(t *testing.T) {
	v := own(t)
	o := v.options(vaulttest.Client)
	o.Recover = true
	b, hands := opened(t, o), v.hands(t)
	for name, before := range map[string]func(t *testing.T, name string){
		"enabled":  func(*testing.T, string) {},
		"disabled": func(t *testing.T, name string) { disableLatest(t, hands, name) },
		"deleted":  func(t *testing.T, name string) { must(t)(hands.DeleteSecret(t.Context(), name, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			ref := newRef(t)
			must(t)(hands.SetSecret(t.Context(), ref.Path, azsecrets.SetSecretParameters{
				Value: to.Ptr("theirs"), ContentType: to.Ptr("text/plain"),
				Tags: map[string]*string{"cost": to.Ptr("17"), "handover-layout": to.Ptr("of an earlier release")},
			}, nil))
			before(t, ref.Path)
			mustPut(t, b, ref, itemOf("ours", 1))
			s := latest(t, hands, ref)
			got := valueOf(s.Tags)
			if _, kept := got["handover-layout"]; got["cost"] != "17" || kept || s.ContentType == nil || *s.ContentType != "text/plain" {
				t.Errorf("tags %v, content type %v", got, s.ContentType)
			}
		})
	}
}

// TestTagsThatDontFit: nobody's tag is dropped to make room.
func TestTagsThatDontFit(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	theirs := map[string]*string{}
	for i := range maxTags {
		theirs[fmt.Sprintf("tag%d", i)] = to.Ptr("x")
	}
	must(t)(hands.SetSecret(t.Context(), ref.Path, azsecrets.SetSecretParameters{Value: to.Ptr("theirs"), Tags: theirs}, nil))
	for _, payload := range []string{"ours", "theirs"} {
		_, err := b.Put(t.Context(), ref, itemOf(payload, 1), backends.Absent)
		wantError(t, err, backends.ErrInvalid, "Key Vault keeps 15")
	}
	long := itemOf("ours", 1)
	long.Meta.Slot = strings.Repeat("s", maxTag+1)
	_, err := b.Put(t.Context(), newRef(t), long, backends.Absent)
	wantError(t, err, backends.ErrInvalid, tagSlot)
	if got := latest(t, hands, ref); *got.Value != "theirs" || len(got.Tags) != maxTags {
		t.Error("a refused write changed what stands there")
	}
}

// TestCopiedTags: tags that somebody copied to another value say nothing of it.
func TestCopiedTags(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	mustPut(t, b, ref, itemOf("ours", 1))
	must(t)(hands.SetSecret(t.Context(), ref.Path, azsecrets.SetSecretParameters{
		Value: to.Ptr("theirs"), Tags: latest(t, hands, ref).Tags,
	}, nil))
	item, _, err := b.Get(t.Context(), ref, backends.Current)
	if err != nil || !item.Meta.IsZero() {
		t.Errorf("metadata of another's value: %+v, %v", item.Meta, err)
	}
}

// TestTooLargeAsksNobody: what can't be stored never reaches the store.
func TestTooLargeAsksNobody(t *testing.T) {
	v := own(t)
	b := opened(t, v.options(vaulttest.Client))
	_, err := b.Put(t.Context(), newRef(t), itemOf(strings.Repeat("x", maxPayload+1), 1), backends.Absent)
	wantError(t, err, backends.ErrInvalid, "25000")
	if calls := v.server.Calls(); len(calls) != 0 {
		t.Errorf("calls: %v", calls)
	}
}

// TestRefresh: the same payload again brings what stands beside it up to date,
// and nothing is sent when there is nothing to say.
func TestRefresh(t *testing.T) {
	v := own(t)
	b, hands, ref, item := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t), itemOf("value", 1)
	version := mustPut(t, b, ref, item)
	v.server.Forget()
	mustPut(t, b, ref, item)
	if diff := cmp.Diff([]string{"GetSecret"}, v.server.Calls()); diff != "" {
		t.Errorf("calls when nothing is new (-want +got):\n%s", diff)
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	must(t)(hands.UpdateSecretProperties(t.Context(), ref.Path, version, azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{NotBefore: &tomorrow, Expires: &tomorrow},
	}, nil))
	o := v.options(vaulttest.Client)
	o.Tags = map[string]string{"team": "data"}
	b, ref.Options = opened(t, o), &TargetOptions{ContentType: "text/plain"}
	if again := mustPut(t, b, ref, item); again != version {
		t.Errorf("new tags made version %s after %s", again, version)
	}
	s := latest(t, hands, ref)
	switch tags := valueOf(s.Tags); {
	case tags["team"] != "data" || tags[tagSlot] == "" || *s.ContentType != "text/plain":
		t.Errorf("tags %v, type %v", tags, *s.ContentType)
	case s.Attributes.NotBefore.After(time.Now()):
		t.Errorf("the value is still to become valid at %v", s.Attributes.NotBefore)
	case !s.Attributes.Expires.Equal(item.Meta.Expires):
		t.Errorf("exp is %v", s.Attributes.Expires)
	}
}

// TestRefreshFails: the value stands, and the error says so.
func TestRefreshFails(t *testing.T) {
	v := own(t)
	b, ref, item := opened(t, v.options(vaulttest.Client)), newRef(t), itemOf("value", 1)
	mustPut(t, b, ref, item)
	answering(v, "UpdateSecretProperties", http.StatusForbidden, "", body("Forbidden", "ForbiddenByRbac"))
	item.Meta.Generation = 2
	_, err := b.Put(t.Context(), ref, item, backends.Absent)
	wantError(t, err, backends.ErrDenied, "the value stands, its tags do not", "role")
}

// TestDisabledLatest: nobody reads the value, so nothing stands there, and a
// heal writes a new version.
func TestDisabledLatest(t *testing.T) {
	v := own(t)
	b, hands, ref, item := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t), itemOf("value", 1)
	first := mustPut(t, b, ref, item)
	disableLatest(t, hands, ref.Path)
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrNotFound, "disabled")
	if err := b.Check(t.Context(), ref); err != nil {
		t.Errorf("check: %v", err)
	}
	if second := mustPut(t, b, ref, item); second == first {
		t.Error("the disabled version was taken for the current one")
	}
	if got := latest(t, hands, ref); *got.Value != "value" {
		t.Error("the value is not there")
	}
}

// TestNotYetValidLatest: Key Vault gives such a value to its readers, so it is
// what stands there.
func TestNotYetValidLatest(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	must(t)(hands.SetSecret(t.Context(), ref.Path, azsecrets.SetSecretParameters{
		Value: to.Ptr("theirs"), SecretAttributes: &azsecrets.SecretAttributes{NotBefore: &tomorrow},
	}, nil))
	item, _, err := b.Get(t.Context(), ref, backends.Current)
	if err != nil || !item.Payload.Equal(secret.New("theirs")) {
		t.Errorf("get: %v", err)
	}
}

func TestCertificatesAreLeftAlone(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	overwrite(t, hands, ref.Path, secret.New("a certificate"))
	v.server.Certify(ref.Path)
	_, err := b.Put(t.Context(), ref, itemOf("ours", 1), backends.Absent)
	wantError(t, err, backends.ErrInvalid, "certificate", "another name")
	wantError(t, b.Check(t.Context(), ref), backends.ErrInvalid, "certificate")
}

// TestReadBackByID: a version that was written and can't be read by its id is
// an unknown outcome.
func TestReadBackByID(t *testing.T) {
	v := own(t)
	for name, c := range map[string]struct {
		status int
		body   func(id string) string
		says   string
	}{
		"missing":       {404, func(string) string { return body("SecretNotFound", "") }, "nothing stands"},
		"denied":        {403, func(string) string { return body("Forbidden", "ForbiddenByRbac") }, "role"},
		"another value": {200, func(id string) string { return `{"value":"other","id":"` + v.url + id + `"}` }, "another value"},
		"another id":    {200, func(string) string { return `{"value":"ours","id":"` + v.url + `/secrets/x/0"}` }, "not Key Vault's"},
	} {
		t.Run(name, func(t *testing.T) {
			b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
			v.server.Intercept(func(op string, w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
				if path := strings.Trim(r.URL.Path, "/"); op != "GetSecret" || strings.Count(path, "/") != 2 {
					return false
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body(r.URL.Path)))
				return true
			})
			defer v.server.Intercept(nil)
			_, err := b.Put(t.Context(), ref, itemOf("ours", 1), backends.Absent)
			wantError(t, err, backends.ErrUnknownOutcome, "read back by its id", c.says)
		})
	}
}

// TestTwoWriters is the window that a store without compare-and-set leaves: of
// two agents at once the last write stays, whole, and the other agent finds it
// when it reads back. Its own value is a version that nobody reads.
func TestTwoWriters(t *testing.T) {
	v := own(t)
	first, second, ref := opened(t, v.options(vaulttest.Client)), opened(t, v.options(vaulttest.Client)), newRef(t)
	once := false
	v.server.Intercept(func(op string, w http.ResponseWriter, _ *http.Request, forward func(http.ResponseWriter)) bool {
		if op != "SetSecret" || once {
			return false
		}
		once = true
		v.server.Intercept(nil)
		forward(w) // the first write has taken place, and the second comes before the first is read back
		mustPut(t, second, ref, itemOf("of the second", 2))
		return true
	})
	target := backends.Target{Ref: ref, Backend: first, Format: text{}}
	_, err := target.Deliver(t.Context(), itemOf("of the first", 1), backends.Absent)
	wantError(t, err, backends.ErrConflict, "another value stands there after the write")
	if got := latest(t, v.hands(t), ref); *got.Value != "of the second" {
		t.Error("the value is not the last writer's")
	}
	previous, _, err := second.Get(t.Context(), ref, backends.Previous)
	if err != nil || !previous.Payload.Equal(secret.New("of the first")) {
		t.Errorf("the value of the first is not the previous one: %v", err)
	}
}

// TestCallsOfADelivery: the fewest that put, read back by id and as the latest
// allow.
func TestCallsOfADelivery(t *testing.T) {
	v := own(t)
	b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
	mustPut(t, b, ref, itemOf("first", 1))
	v.server.Forget()
	target := backends.Target{Ref: ref, Backend: b, Format: text{}}
	if _, err := target.Deliver(t.Context(), itemOf("second", 2), backends.Absent); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GetSecret",              // is it there already, and which tags are others'
		"SetSecret", "GetSecret", // written, and readable by its id
		"GetSecret", // what a reader gets
	}
	if diff := cmp.Diff(want, v.server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDeletedSecret(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	mustPut(t, b, ref, itemOf("first", 1))
	must(t)(hands.DeleteSecret(t.Context(), ref.Path, nil))
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrNotFound)
	_, err = b.Put(t.Context(), ref, itemOf("second", 2), backends.Absent)
	wantError(t, err, backends.ErrInvalid, "deleted and holds its name", "recover: true")
	wantError(t, b.Check(t.Context(), ref), backends.ErrInvalid, "recover: true")
	must(t)(hands.PurgeDeletedSecret(t.Context(), ref.Path, nil))
	mustPut(t, b, ref, itemOf("second", 2))
}

// TestRecover: the recovery goes on after Key Vault has answered, and the write
// waits for it.
func TestRecover(t *testing.T) {
	v := own(t)
	v.server.SlowRecover(4)
	o, log := v.options(vaulttest.Client), &bytes.Buffer{}
	o.Recover = true
	b, hands, ref := openLogging(t, o, log), v.hands(t), newRef(t)
	first := mustPut(t, b, ref, itemOf("first", 1))
	must(t)(hands.DeleteSecret(t.Context(), ref.Path, nil))
	if err := b.Check(t.Context(), ref); err != nil {
		t.Errorf("check: %v", err)
	}
	v.server.Forget()
	mustPut(t, b, ref, itemOf("second", 2))
	if n := count(v.server.Calls(), "RecoverDeletedSecret"); n != 1 {
		t.Errorf("%d recoveries were asked for", n)
	}
	item, version, err := b.Get(t.Context(), ref, backends.Previous)
	if err != nil || string(version) != first || !item.Payload.Equal(secret.New("first")) {
		t.Errorf("the value from before the deletion is not the previous one: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "being recovered") {
		t.Errorf("the log doesn't tell: %s", log)
	}
}

// TestRecoverEndsWithContext: waiting is over when the caller's time is.
func TestRecoverEndsWithContext(t *testing.T) {
	v := own(t)
	v.server.SlowRecover(1_000_000)
	o := v.options(vaulttest.Client)
	o.Recover = true
	b, hands, ref := opened(t, o), v.hands(t), newRef(t)
	mustPut(t, b, ref, itemOf("first", 1))
	must(t)(hands.DeleteSecret(t.Context(), ref.Path, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := b.Put(ctx, ref, itemOf("second", 2), backends.Absent)
	wantError(t, err, backends.ErrUnavailable)
	if !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("error %v does not name the deadline", err)
	}
}

// TestRecoverIsDenied: a role that may not recover is told.
func TestRecoverIsDenied(t *testing.T) {
	v := own(t)
	o := v.options(vaulttest.Client)
	o.Recover = true
	b, hands, ref := opened(t, o), v.hands(t), newRef(t)
	mustPut(t, b, ref, itemOf("first", 1))
	must(t)(hands.DeleteSecret(t.Context(), ref.Path, nil))
	answering(v, "RecoverDeletedSecret", http.StatusForbidden, "", body("Forbidden", "ForbiddenByRbac"))
	_, err := b.Put(t.Context(), ref, itemOf("second", 2), backends.Absent)
	wantError(t, err, backends.ErrDenied, "recover the deleted secret", "role")
}
