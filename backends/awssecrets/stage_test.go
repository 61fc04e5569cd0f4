package awssecrets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// A rotation makes just these calls: docs/backends/aws-secrets-manager.md lists
// them with their reasons.
func TestCallsOfARotation(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	target := &backends.Target{Ref: ref, Backend: b, Format: plain{}}
	before, err := target.Deliver(t.Context(), itemOf("eyJ.a.1", 1), backends.Absent)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"DescribeSecret": 3, "CreateSecret": 1, "GetSecretValue": 1}
	if diff := cmp.Diff(want, s.strict.count()); diff != "" {
		t.Errorf("the first delivery (-want +got):\n%s", diff)
	}
	if _, err := target.Deliver(t.Context(), itemOf("eyJ.a.2", 2), before.Version); err != nil {
		t.Fatal(err)
	}
	want = map[string]int{"DescribeSecret": 2, "TagResource": 1, "PutSecretValue": 1, "UpdateSecretVersionStage": 1, "GetSecretValue": 1}
	if diff := cmp.Diff(want, s.strict.count()); diff != "" {
		t.Errorf("a rotation (-want +got):\n%s", diff)
	}
	if _, _, err := b.Describe(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"DescribeSecret": 1}, s.strict.count()); diff != "" {
		t.Errorf("a look for drift (-want +got):\n%s", diff)
	}
}

// plain is the token as it is.
type plain struct{}

func (plain) Render(t backends.Token) (secret.Value, error)      { return t.Value, nil }
func (plain) Lossy() bool                                        { return false }
func (plain) Extract(payload secret.Value) (secret.Value, error) { return payload, nil }

func TestStagingIsIdempotent(t *testing.T) {
	s := onReal(t)
	b, ref, first, second := opened(t, at(s.url)), newRef(t), itemOf("eyJ.a.1", 1), itemOf("eyJ.a.2", 2)
	v1 := mustPut(t, b, ref, first, backends.Absent)
	v2 := mustStage(t, b, ref, second)
	if again := mustStage(t, b, ref, second); again != v2 {
		t.Errorf("the same payload staged again made version %q after %q", again, v2)
	}
	if err := b.Promote(t.Context(), ref, v2, v1); err != nil {
		t.Fatal(err)
	}
	if again := mustStage(t, b, ref, second); again != v2 {
		t.Errorf("the current payload staged again made version %q after %q", again, v2)
	}
	if err := b.Promote(t.Context(), ref, v2, v2); err != nil {
		t.Errorf("promote what is current and was expected: %v", err)
	}
	if n := s.strict.count()["PutSecretValue"]; n != 1 {
		t.Errorf("%d values were written, want 1", n)
	}
}

// A lost race leaves the other's value, and none of ours behind it.
func TestLostRace(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	v2 := mustStage(t, b, ref, itemOf("eyJ.a.2", 2))
	s.overwrite(t, ref.Path, "another hand's")
	wantError(t, b.Promote(t.Context(), ref, v2, v1), backends.ErrConflict, "not the expected")
	labels := s.labelsOf(t, ref.Path)
	if _, left := labels[labelPending]; left {
		t.Errorf("after a lost race the labels are %v", labels)
	}
	if item, _ := mustGet(t, b, ref, backends.Current); item.Payload.Reveal() != "another hand's" || !item.Meta.IsZero() {
		t.Errorf("the other's value is not what stands there")
	}
	// Taking over on purpose: the version that lost is still known to AWS.
	_, v3 := mustGet(t, b, ref, backends.Current)
	if again := mustStage(t, b, ref, itemOf("eyJ.a.2", 2)); again != v2 {
		t.Errorf("staged again it is version %s, was %s", again, v2)
	}
	if got := s.labelsOf(t, ref.Path)[labelPending]; got != string(v2) {
		t.Errorf("staged again it has no label, but %s has", got)
	}
	if err := b.Promote(t.Context(), ref, v2, v3); err != nil {
		t.Fatal(err)
	}
	if item, _ := mustGet(t, b, ref, backends.Previous); item.Payload.Reveal() != "another hand's" {
		t.Errorf("the value taken over is not kept as the previous one")
	}
	if item, _ := mustGet(t, b, ref, backends.Current); item.Meta.Generation != 2 {
		t.Errorf("the metadata says generation %d", item.Meta.Generation)
	}
}

// A put that comes too late writes nothing.
func TestStalePut(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	s.strict.count()
	_, err := b.Put(t.Context(), ref, itemOf("eyJ.a.3", 3), v1)
	wantError(t, err, backends.ErrConflict, "not the expected")
	if diff := cmp.Diff(map[string]int{"DescribeSecret": 1}, s.strict.count()); diff != "" {
		t.Errorf("it called (-want +got):\n%s", diff)
	}
}

// A value of an attempt that died is replaced by the next, or loses its label
// when the secret turns out to serve what it should.
func TestPendingOfADeadAttempt(t *testing.T) {
	s := onReal(t)
	b, ref, first := opened(t, at(s.url)), newRef(t), itemOf("eyJ.a.1", 1)
	mustPut(t, b, ref, first, backends.Absent)
	mustStage(t, b, ref, itemOf("eyJ.a.dead", 2))
	mustStage(t, b, ref, first)
	if _, left := s.labelsOf(t, ref.Path)[labelPending]; left {
		t.Error("staging what is current left the dead attempt's label")
	}
	mustStage(t, b, ref, itemOf("eyJ.a.dead", 2))
	mustPut(t, b, ref, first, backends.Absent)
	if _, left := s.labelsOf(t, ref.Path)[labelPending]; left {
		t.Error("putting what is current left the dead attempt's label")
	}
	v3 := mustStage(t, b, ref, itemOf("eyJ.a.3", 3))
	if got := s.labelsOf(t, ref.Path)[labelPending]; got != string(v3) {
		t.Errorf("the label stands on %s, want %s", got, v3)
	}
}

// A label that another program stages with is left alone while nothing of ours
// is to be written.
func TestPendingOfAnother(t *testing.T) {
	s := onReal(t)
	b, ref, item := opened(t, at(s.url)), newRef(t), itemOf("eyJ.a.1", 1)
	mustPut(t, b, ref, item, backends.Absent)
	s.Do(t, "PutSecretValue", map[string]any{"SecretId": ref.Path, "SecretString": "staged", "VersionStages": []string{labelPending}})
	mustStage(t, b, ref, item)
	if got, _ := mustGet(t, b, ref, backends.Pending); got.Payload.Reveal() != "staged" {
		t.Error("another's staged value is gone")
	}
}

// Healing goes back to a version that AWS has already, with its label or
// without.
func TestOlderValueAgain(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	items := []backends.Item{itemOf("eyJ.a.1", 1), itemOf("eyJ.a.2", 2), itemOf("eyJ.a.3", 3)}
	v := backends.Absent
	for _, item := range items {
		v = mustPut(t, b, ref, item, v)
	}
	s.strict.count()
	v = mustPut(t, b, ref, items[1], v) // the previous one
	if n := s.strict.count()["PutSecretValue"]; n != 0 {
		t.Errorf("a version that AWS has was written %d times", n)
	}
	mustPut(t, b, ref, items[0], v) // one without a label
	item, _ := mustGet(t, b, ref, backends.Current)
	if !item.Payload.Equal(items[0].Payload) || item.Meta != items[0].Meta {
		t.Errorf("the current value is of generation %d, want 1", item.Meta.Generation)
	}
}

func TestPromoteWhatIsNotThere(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	wantError(t, b.Promote(t.Context(), ref, backends.Absent, backends.Absent), backends.ErrConflict, "no version was staged")
	wantError(t, b.Promote(t.Context(), ref, "handover-0-0", backends.Absent), backends.ErrConflict, "gone")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	wantError(t, b.Promote(t.Context(), ref, "handover-0-0", v1), backends.ErrConflict, "gone")
	v2 := mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	wantError(t, b.Promote(t.Context(), ref, v1, v1), backends.ErrConflict, string(v2))
}

// A secret that somebody made without a value, as Terraform does.
func TestSecretWithoutAValue(t *testing.T) {
	s := onReal(t)
	b := opened(t, at(s.url))
	for name, deliver := range map[string]func(backends.Ref, backends.Item) error{
		"put": func(ref backends.Ref, item backends.Item) error {
			_, err := b.Put(t.Context(), ref, item, backends.Absent)
			return err
		},
		"stage": func(ref backends.Ref, item backends.Item) error {
			v, err := b.PutPending(t.Context(), ref, item)
			if err != nil {
				return err
			}
			return b.Promote(t.Context(), ref, v, backends.Absent)
		},
	} {
		ref, item := newRef(t), itemOf("eyJ.a.1", 1)
		s.Do(t, "CreateSecret", map[string]any{"Name": ref.Path, "Tags": []any{map[string]any{"Key": "team", "Value": "data"}}})
		_, v, err := b.Get(t.Context(), ref, backends.Current)
		wantError(t, err, backends.ErrNotFound, "no value yet")
		if v != backends.Absent {
			t.Errorf("%s: the version is %q", name, v)
		}
		if err := deliver(ref, item); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := mustGet(t, b, ref, backends.Current); got.Meta != item.Meta {
			t.Errorf("%s: the metadata is %+v", name, got.Meta)
		}
		if got := s.tagsOf(t, ref.Path)["team"]; got != "data" {
			t.Errorf("%s: another's tag is %q", name, got)
		}
	}
}

// Metadata of what is staged doesn't hide that of what is current.
func TestMetaOfTwoVersions(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	v, items := backends.Absent, make([]backends.Item, 5)
	for i := range items {
		items[i] = itemOf(fmt.Sprintf("eyJ.a.%d", i), uint64(i+1))
		pending := mustStage(t, b, ref, items[i])
		if i > 0 {
			if got, _ := mustGet(t, b, ref, backends.Current); got.Meta != items[i-1].Meta {
				t.Errorf("while %d is staged, the current metadata is %+v", i+1, got.Meta)
			}
			if got, _ := mustGet(t, b, ref, backends.Pending); got.Meta != items[i].Meta {
				t.Errorf("the metadata of the staged %d is %+v", i+1, got.Meta)
			}
		}
		if err := b.Promote(t.Context(), ref, pending, v); err != nil {
			t.Fatal(err)
		}
		v = pending
		if got, _, err := b.Describe(t.Context(), ref); err != nil || got != items[i].Meta {
			t.Errorf("after the promotion of %d it is described as %+v (%v)", i+1, got, err)
		}
	}
}

func TestTags(t *testing.T) {
	s := onReal(t)
	o := at(s.url)
	o.Tags = map[string]string{"team": "data platform", "cost": "42"}
	o.KMSKey = "alias/handover"
	b, ref := opened(t, o), newRef(t)
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	out := s.Do(t, "DescribeSecret", map[string]any{"SecretId": ref.Path})
	if out["Description"] != defaultDescription || out["KmsKeyId"] != "alias/handover" {
		t.Errorf("description %q and key %q", out["Description"], out["KmsKeyId"])
	}
	s.Do(t, "TagResource", map[string]any{"SecretId": ref.Path, "Tags": []any{
		map[string]any{"Key": "team", "Value": "stolen"}, map[string]any{"Key": "own", "Value": "kept"}}})
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	got := s.tagsOf(t, ref.Path)
	for key, want := range map[string]string{"team": "data platform", "cost": "42", "own": "kept", "handover-b-slot": "pipeline@service/production"} {
		if got[key] != want {
			t.Errorf("tag %s is %q, want %q", key, got[key], want)
		}
	}
	for i := range maxTags - len(got) {
		s.Do(t, "TagResource", map[string]any{"SecretId": ref.Path, "Tags": []any{map[string]any{"Key": fmt.Sprintf("more-%d", i), "Value": ""}}})
	}
	_, v2 := mustGet(t, b, ref, backends.Current)
	mustPut(t, b, ref, itemOf("eyJ.a.3", 3), v2)

	full := newRef(t)
	s.Do(t, "CreateSecret", map[string]any{"Name": full.Path})
	for i := range maxTags {
		s.Do(t, "TagResource", map[string]any{"SecretId": full.Path, "Tags": []any{map[string]any{"Key": fmt.Sprintf("more-%d", i), "Value": ""}}})
	}
	_, err := b.Put(t.Context(), full, itemOf("eyJ.a.1", 1), backends.Absent)
	wantError(t, err, backends.ErrInvalid, "54 tags", "take some away")
}

// What can't be kept is refused before any call.
func TestRefusedBeforeAnyCall(t *testing.T) {
	s, u := scripted(t, nil)
	b, ref := opened(t, at(u)), backends.Ref{Backend: "aws", Path: "x"}
	long, odd := itemOf("eyJ.a.b", 1), itemOf("eyJ.a.b", 1)
	long.Meta.Slot, odd.Meta.Slot = strings.Repeat("s", maxTagValue+1), "a@service/<b>"
	for name, item := range map[string]backends.Item{
		"empty":       {},
		"too large":   {Payload: secret.New(strings.Repeat("a", maxPayload+1))},
		"no text":     {Payload: secret.New("a\xff")},
		"a long slot": long,
		"an odd slot": odd,
	} {
		_, err := b.Put(t.Context(), ref, item, backends.Absent)
		wantError(t, err, backends.ErrInvalid)
		_, err = b.PutPending(t.Context(), ref, item)
		wantError(t, err, backends.ErrInvalid)
		if len(s.seen) > 0 {
			t.Fatalf("%s: AWS was asked %v", name, s.seen)
		}
	}
}

// An empty value of others is foreign, and so are bytes.
func TestBinaryValue(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	s.Do(t, "CreateSecret", map[string]any{"Name": ref.Path, "SecretBinary": "AAH/"})
	item, v := mustGet(t, b, ref, backends.Current)
	if item.Payload.Reveal() != "\x00\x01\xff" {
		t.Errorf("the bytes came back as %d others", item.Payload.Len())
	}
	mustPut(t, b, ref, itemOf("eyJ.a.1", 1), v)
}

func TestScheduledForDeletion(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	s.Do(t, "DeleteSecret", map[string]any{"SecretId": ref.Path, "RecoveryWindowInDays": 7})
	_, v, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, backends.ErrNotFound, "scheduled for deletion")
	if v != v1 {
		t.Errorf("the version is %q, want %q", v, v1)
	}
	for _, stage := range []backends.Stage{backends.Previous, backends.Pending} {
		_, _, err = b.Get(t.Context(), ref, stage)
		wantError(t, err, backends.ErrNotFound, "scheduled for deletion")
	}
	const remedy = "recover: true"
	wantError(t, b.Check(t.Context(), ref), backends.ErrInvalid, remedy)
	_, err = b.Put(t.Context(), ref, itemOf("eyJ.a.2", 2), v1)
	wantError(t, err, backends.ErrInvalid, remedy)
	_, err = b.PutPending(t.Context(), ref, itemOf("eyJ.a.2", 2))
	wantError(t, err, backends.ErrInvalid, remedy)
	wantError(t, b.Promote(t.Context(), ref, "handover-0-0", v1), backends.ErrInvalid, remedy)

	o := at(s.url)
	o.Recover = true
	recovering := opened(t, o)
	if err := recovering.Check(t.Context(), ref); err != nil {
		t.Errorf("check with recover: %v", err)
	}
	wantError(t, recovering.Promote(t.Context(), ref, "handover-0-0", v1), backends.ErrConflict, "meanwhile")
	mustPut(t, recovering, ref, itemOf("eyJ.a.2", 2), v1)
	if item, _ := mustGet(t, b, ref, backends.Current); item.Meta.Generation != 2 {
		t.Errorf("the restored secret serves generation %d", item.Meta.Generation)
	}
}

// Secrets that the agent must keep its hands off: what DescribeSecret tells is
// enough.
func TestUnfitSecrets(t *testing.T) {
	for says, more := range map[string]string{
		"managed by rds":       `,"OwningService":"rds"`,
		"copy of the one in":   `,"PrimaryRegion":"eu-west-1"`,
		"cancel-rotate-secret": `,"RotationEnabled":true`,
	} {
		s, u := scripted(t, map[string]answer{"DescribeSecret": {200, nil, strings.TrimSuffix(described, "}") + more + "}"}})
		b, ref := opened(t, at(u)), backends.Ref{Backend: "aws", Path: "x"}
		wantError(t, b.Check(t.Context(), ref), backends.ErrInvalid, says)
		_, err := b.PutPending(t.Context(), ref, itemOf("eyJ.a.b", 1))
		wantError(t, err, backends.ErrInvalid, says)
		if n, _ := s.asked("PutSecretValue"); n > 0 {
			t.Errorf("%s: it was written to", says)
		}
	}
}

// A KMS key that isn't there is no missing secret.
func TestUnknownKey(t *testing.T) {
	_, u := scripted(t, map[string]answer{
		"DescribeSecret": failing(400, "ResourceNotFoundException"),
		"CreateSecret":   failing(400, "ResourceNotFoundException"),
	})
	_, err := opened(t, at(u)).Put(t.Context(), refX, itemOf("eyJ.a.b", 1), backends.Absent)
	wantError(t, err, backends.ErrInvalid, "CreateSecret", "check kms_key")
}

// AWS goes on deleting for a while after a deletion without recovery.
func TestStillBeingDeleted(t *testing.T) {
	_, u := scripted(t, map[string]answer{
		"DescribeSecret": failing(400, "ResourceNotFoundException"),
		"CreateSecret":   failing(400, "InvalidRequestException"),
	})
	b := opened(t, at(u))
	_, err := b.Put(t.Context(), backends.Ref{Backend: "aws", Path: "x"}, itemOf("eyJ.a.b", 1), backends.Absent)
	wantError(t, err, backends.ErrUnavailable, "still being deleted")
}

// The request's token is made from what the value is and where it goes.
func TestVersionID(t *testing.T) {
	ref, item := backends.Ref{Backend: "aws", Path: "x"}, itemOf("eyJ.a.b", 7)
	id := versionID("acme", ref, item)
	if id != versionID("acme", ref, item) || len(id) < 32 || len(id) > 64 || fingerprintIn(id) != item.Payload.Fingerprint() {
		t.Errorf("the id is %q", id)
	}
	other := item
	other.Meta.Generation = 8
	slot := item
	slot.Meta.Slot = "another@service/production"
	for name, different := range map[string]string{
		"agent": versionID("acme2", ref, item), "generation": versionID("acme", ref, other), "slot": versionID("acme", ref, slot),
		"path": versionID("acme", backends.Ref{Backend: "aws", Path: "y"}, item), "payload": versionID("acme", ref, itemOf("eyJ.a.c", 7)),
	} {
		if different == id {
			t.Errorf("another %s has the same id", name)
		}
	}
	for _, foreign := range []string{"", "handover-", "handover-abc", "f3173b04-a177-4be2-9ec1-581deda8b32e"} {
		if got := fingerprintIn(foreign); got != "" {
			t.Errorf("%q tells the fingerprint %q", foreign, got)
		}
	}
}

// The pair that describes a version isn't taken from under it.
func TestPairFor(t *testing.T) {
	m := itemOf("eyJ.a.b", 7).Meta
	a, b := pairs[0], pairs[1]
	for name, row := range map[string]struct {
		current, pending string
		tags             tags
		version          string
		want             pair
	}{
		"nothing yet":            {"", "", nil, "v1", a},
		"a describes current":    {"v1", "", a.describe(m, "v1"), "v2", b},
		"b describes current":    {"v1", "", b.describe(m, "v1"), "v2", a},
		"it has one already":     {"v1", "v2", b.describe(m, "v1"), "v1", b},
		"current beside pending": {"v1", "v2", a.describe(m, "v2"), "v1", b},
		"neither is needed":      {"v3", "", a.describe(m, "v1"), "v4", a},
	} {
		s := state{at: map[string]string{labelCurrent: row.current, labelPending: row.pending}, tags: row.tags}
		if got := s.pairFor(row.version); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// Tags that were written by hand say nothing.
func TestTagsThatDoNotFit(t *testing.T) {
	p, m := pairs[0], itemOf("eyJ.a.b", 7).Meta
	good := p.describe(m, "v1")
	if got := good.meta("v1"); got != m {
		t.Errorf("the metadata is %+v, want %+v", got, m)
	}
	for name, spoil := range map[string]func(tags) string{
		"version": func(tags) string { return "v2" },
		"generation": func(g tags) string {
			g[p.token] = strings.Replace(g[p.token], "generation=7", "generation=-7", 1)
			return "v1"
		},
		"token": func(g tags) string { g[p.token] = strings.Replace(g[p.token], "token=456", "token=x", 1); return "v1" },
		"expiry": func(g tags) string {
			g[p.token] = strings.Replace(g[p.token], "expires=2031", "expires=soon", 1)
			return "v1"
		},
		"all":  func(g tags) string { g[p.token] = "?"; return "v1" },
		"none": func(tags) string { return "" },
	} {
		bad := p.describe(m, "v1")
		if got := bad.meta(spoil(bad)); got != (backends.Meta{}) {
			t.Errorf("%s: the metadata is %+v", name, got)
		}
	}
}
