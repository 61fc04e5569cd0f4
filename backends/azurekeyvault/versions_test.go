package azurekeyvault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/backends/secret"
)

func wantPrevious(t *testing.T, b *backend, ref backends.Ref, want string) {
	t.Helper()
	item, _, err := b.Get(t.Context(), ref, backends.Previous)
	if err != nil || !item.Payload.Equal(secret.New(want)) {
		t.Errorf("the previous value is not %q: %v", want, err)
	}
}

// TestPreviousAmongMany: over several pages, and whatever order they come in.
func TestPreviousAmongMany(t *testing.T) {
	v := own(t)
	b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
	for n := range uint64(60) {
		mustPut(t, b, ref, itemOf(fmt.Sprint("value ", n), n))
	}
	v.server.Forget()
	wantPrevious(t, b, ref, "value 58")
	if n := count(v.server.Calls(), "NewListSecretPropertiesVersionsPager"); n != 3 {
		t.Errorf("%d pages were read of 3", n)
	}
}

// TestPreviousByOthers: other hands leave no tags; then the age decides.
func TestPreviousByOthers(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	mustPut(t, b, ref, itemOf("ours", 1))
	v.server.Advance(time.Second)
	overwrite(t, hands, ref.Path, secret.New("theirs"))
	wantPrevious(t, b, ref, "ours")
	mustPut(t, b, ref, itemOf("ours again", 2)) // in the second of theirs
	wantPrevious(t, b, ref, "theirs")
	v.server.Advance(time.Second)
	disableLatest(t, hands, ref.Path)
	wantPrevious(t, b, ref, "theirs")
}

// TestPreviousOfOneSecond: what the latest version says that it replaced is the
// previous one, although another is as old.
func TestPreviousOfOneSecond(t *testing.T) {
	v := own(t)
	b, hands := opened(t, v.options(vaulttest.Client)), v.hands(t)
	for range 10 {
		ref := newRef(t)
		mustPut(t, b, ref, itemOf("ours", 1))
		overwrite(t, hands, ref.Path, secret.New("theirs"))
		mustPut(t, b, ref, itemOf("ours again", 2))
		wantPrevious(t, b, ref, "theirs")
	}
}

// TestNewestFirst: the order doesn't depend on how the versions are listed, and
// tags that make no sense do no harm.
func TestNewestFirst(t *testing.T) {
	second := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one := func(version, replaces string, at int) past {
		return past{version: version, created: second.Add(time.Duration(at) * time.Second), tags: tags{tagReplaces: replaces}}
	}
	all := []past{one("d", "c", 0), one("a", "d", 0), one("c", "", 0), one("b", "", 1), one("z", "", -1)}
	for range 50 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		got := ""
		for _, p := range newestFirst(all) {
			got += p.version
		}
		if got != "badcz" {
			t.Fatalf("the order is %s", got)
		}
	}
	if n := len(newestFirst([]past{one("a", "b", 0), one("b", "a", 0), one("c", "c", 0)})); n != 3 {
		t.Errorf("%d of 3 versions in a circle", n)
	}
}

// TestRemove: an old version is disabled, and nobody reads it any more.
func TestRemove(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	first := mustPut(t, b, ref, itemOf("first", 1))
	second := mustPut(t, b, ref, itemOf("second", 2))
	mustPut(t, b, ref, itemOf("third", 3))
	if err := b.Remove(t.Context(), ref, backends.Version(second)); err != nil {
		t.Fatal(err)
	}
	if _, err := hands.GetSecret(t.Context(), ref.Path, second, nil); err == nil {
		t.Error("the removed version can still be read")
	}
	wantPrevious(t, b, ref, "first")
	if got := latest(t, hands, ref); *got.Value != "third" {
		t.Error("another version than the latest is read")
	}

	disableLatest(t, hands, ref.Path)
	for name, gone := range map[string]backends.Version{"disabled latest": backends.Version(first), "unknown": "0123456789abcdef"} {
		if err := b.Remove(t.Context(), ref, gone); err != nil {
			t.Errorf("remove, %s: %v", name, err)
		}
	}
	if err := b.Remove(t.Context(), newRef(t), "0123456789abcdef"); err != nil {
		t.Errorf("remove where nothing stands: %v", err)
	}
	for _, bad := range []backends.Version{"", "a/b", "../x", "versions?"} {
		wantError(t, b.Remove(t.Context(), ref, bad), backends.ErrInvalid)
	}
	wantError(t, b.Remove(t.Context(), refOf("a/b"), "x"), backends.ErrInvalid)
}

func TestRemoveFails(t *testing.T) {
	v := own(t)
	b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
	first := mustPut(t, b, ref, itemOf("first", 1))
	mustPut(t, b, ref, itemOf("second", 2))
	answering(v, "UpdateSecretProperties", http.StatusInternalServerError, "", "")
	wantError(t, b.Remove(t.Context(), ref, backends.Version(first)), backends.ErrUnknownOutcome)
	answering(v, "GetSecret", http.StatusInternalServerError, "", "")
	wantError(t, b.Remove(t.Context(), ref, backends.Version(first)), backends.ErrUnavailable)
}

// TestPreviousFails: what can't be listed is not taken for nothing.
func TestPreviousFails(t *testing.T) {
	v := own(t)
	b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
	mustPut(t, b, ref, itemOf("first", 1))
	answering(v, "NewListSecretPropertiesVersionsPager", http.StatusForbidden, "", body("Forbidden", "ForbiddenByRbac"))
	_, _, err := b.Get(t.Context(), ref, backends.Previous)
	wantError(t, err, backends.ErrDenied, "role")
}

// TestCheck: what reading tells before a token is issued.
func TestCheck(t *testing.T) {
	v := own(t)
	b, ref := opened(t, v.options(vaulttest.Client)), newRef(t)
	answering(v, "GetDeletedSecret", http.StatusForbidden, "", body("Forbidden", "ForbiddenByRbac"))
	if err := b.Check(t.Context(), ref); err != nil {
		t.Errorf("where the agent may not ask for deleted secrets: %v", err)
	}
	answering(v, "GetDeletedSecret", http.StatusTooManyRequests, "Retry-After: 4", "")
	wantError(t, b.Check(t.Context(), ref), backends.ErrThrottled)
	answering(v, "GetSecret", http.StatusForbidden, "", body("Forbidden", "ForbiddenByFirewall"))
	wantError(t, b.Check(t.Context(), ref), backends.ErrDenied, "firewall")
}

// TestEmptyValue: other hands can leave one, and it is nothing.
func TestEmptyValue(t *testing.T) {
	v := own(t)
	b, hands, ref := opened(t, v.options(vaulttest.Client)), v.hands(t), newRef(t)
	overwrite(t, hands, ref.Path, secret.Value{})
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrNotFound, "empty")
	_, err = b.Put(t.Context(), ref, backends.Item{}, backends.Absent)
	wantError(t, err, backends.ErrInvalid, "empty")
}
