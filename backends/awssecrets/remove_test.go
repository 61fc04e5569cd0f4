package awssecrets

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
)

// Remove takes AWS's own labels from an old version, and no other label from
// no other version.
func TestRemove(t *testing.T) {
	s := onReal(t)
	b, ref := opened(t, at(s.url)), newRef(t)
	remover, ok := backends.As[backends.Remover](b)
	if !ok {
		t.Fatal("no Remover")
	}
	if err := remover.Remove(t.Context(), ref, "no-such-version"); err != nil {
		t.Errorf("remove where there is no secret: %v", err)
	}
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	v2 := mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	v3 := mustStage(t, b, ref, itemOf("eyJ.a.3", 3))
	s.strict.count()
	for _, v := range []backends.Version{v1, v1, v3} {
		if err := remover.Remove(t.Context(), ref, v); err != nil {
			t.Errorf("remove %s: %v", v, err)
		}
	}
	if diff := cmp.Diff(map[string]int{"DescribeSecret": 3, "UpdateSecretVersionStage": 2}, s.strict.count()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{labelCurrent: string(v2)}, s.labelsOf(t, ref.Path)); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	wantError(t, remover.Remove(t.Context(), ref, v2), backends.ErrConflict, "current")
	// What the agent staged once can be staged again.
	if err := b.Promote(t.Context(), ref, mustStage(t, b, ref, itemOf("eyJ.a.3", 3)), v2); err != nil {
		t.Fatal(err)
	}
}
