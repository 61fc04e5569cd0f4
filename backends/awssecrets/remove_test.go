package awssecrets

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// A removed version is got by no label, still by its id, and nobody else's label
// is taken.
func TestRemove(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	v2 := mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	v3 := mustStage(t, b, ref, itemOf("eyJ.a.3", 3))
	s.Do(t, "UpdateSecretVersionStage", map[string]any{"SecretId": ref.Path, "VersionStage": "AUDIT", "MoveToVersionId": string(v3)})
	for _, version := range []backends.Version{v1, v3, v1} {
		if err := b.Remove(t.Context(), ref, version); err != nil {
			t.Errorf("remove %s: %v", version, err)
		}
	}
	labels := s.labelsOf(t, ref.Path)
	if labels[labelPrevious] != "" || labels[labelPending] != "" || labels["AUDIT"] != string(v3) || labels[labelCurrent] != string(v2) {
		t.Errorf("the labels are %v", labels)
	}
	byID := s.Do(t, "GetSecretValue", map[string]any{"SecretId": ref.Path, "VersionId": string(v1)})
	if byID["SecretString"] != "eyJ.a.1" {
		t.Error("by its id the version is not there any more")
	}
	wantError(t, b.Remove(t.Context(), ref, v2), backends.ErrConflict, "current")
	wantError(t, b.Remove(t.Context(), ref, backends.Absent), backends.ErrInvalid, "no version")
	mustPut(t, b, ref, itemOf("eyJ.a.4", 4), v2)
	if item, _ := mustGet(t, b, ref, backends.Previous); item.Meta.Generation != 2 {
		t.Errorf("the next promotion leaves generation %d as the previous one", item.Meta.Generation)
	}
}

func TestRemoveWhereNothingIs(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	if err := b.Remove(t.Context(), ref, "handover-0-0"); err != nil {
		t.Errorf("of a secret that is not there: %v", err)
	}
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	s.Do(t, "DeleteSecret", map[string]any{"SecretId": ref.Path})
	wantError(t, b.Remove(t.Context(), ref, v1), backends.ErrInvalid, "restore it first")
}

// A label that goes elsewhere between the look and the act is no error; one that
// AWS refuses to take off is.
func TestRemoveRaces(t *testing.T) {
	before := answer{200, nil, strings.Replace(described, `"v1":["AWSCURRENT"]`, `"v1":["AWSPREVIOUS"],"v2":["AWSCURRENT"]`, 1)}
	s, u := scripted(t, map[string]answer{"DescribeSecret": before, "UpdateSecretVersionStage": failing(400, "InvalidParameterException")})
	b := opened(t, at(u))
	wantError(t, b.Remove(t.Context(), refX, "v1"), backends.ErrInvalid, "UpdateSecretVersionStage")
	if n, _ := s.asked("UpdateSecretVersionStage"); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	s.set("UpdateSecretVersionStage", failing(400, "AccessDeniedException"))
	wantError(t, b.Remove(t.Context(), refX, "v1"), backends.ErrDenied, "policy")
	s.set("DescribeSecret", answer{200, nil, described})
	wantError(t, b.Remove(t.Context(), refX, "v1"), backends.ErrConflict, "current")
}
