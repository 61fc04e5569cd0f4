package rotation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDescribeEmergency(t *testing.T) {
	s := newScene()
	if _, ok := DescribeEmergency(s.rec, s.pol, s.now); ok {
		t.Error("there never was an emergency, and one is told")
	}
	s.replacedBy()
	e := s.rec.Emergency
	e.Asked = s.now.Add(-3 * time.Second)
	left(s, Behind)
	got, ok := DescribeEmergency(s.rec, s.pol, s.now)
	if !ok || got.Over || !got.Carries(1) || got.Carries(2) || got.Left() != 1 || got.RevokedAfter != nil {
		t.Errorf("%v: %+v", ok, got)
	}
	alive := []AliveToken{{TokenID: 101, Generation: 1}, {TokenID: 102, Generation: 2}}
	if diff := cmp.Diff(alive, got.Alive); diff != "" {
		t.Errorf("alive (-want +got):\n%s", diff)
	}
	retry := s.now.Add(3 * time.Second)
	targets := []EmergencyTarget{{Backend: "a", Path: "one", Delivered: true},
		{Backend: "b", Path: "two", Reason: TargetUnreachable, RetryAt: &retry}}
	if diff := cmp.Diff(targets, got.Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for _, number := range []uint64{1, 2} {
		s.rec.revoked(number, Leaked, s.now)
		s.rec.tellRevoked(RevokedToken{TokenID: int64(100 + number), Generation: number, At: s.now})
	}
	s.rec.oweRemoval(2, func(string, *Generation) bool { return true }, s.now)
	s.rec.finish(Finish{Left: 1}, s.now.Add(time.Second))
	got, _ = DescribeEmergency(s.rec, s.pol, s.now)
	if !got.Over || got.Outcome != "revoked 2 tokens, issued generation 3, 1 targets left" || len(got.Alive) != 0 ||
		len(got.Revoked) != 2 || got.Generation != 3 || got.NewTokenID != 103 {
		t.Errorf("%+v", got)
	}
	if got.RevokedAfter == nil || *got.RevokedAfter != 3 {
		t.Errorf("revoked after %v, want 3 s", got.RevokedAfter)
	}
	if second := got.Targets[1]; !second.Dead || !second.OldVersions {
		t.Errorf("the second target serves a dead token and keeps old versions: %+v", second)
	}
}

func TestDescribeEmergencyOfAForeignToken(t *testing.T) {
	s := newScene()
	s.rec.alarm(Alarm{Request: Request{ID: 4, TokenID: 7, At: s.now.Add(time.Hour)}}, s.now)
	got, _ := DescribeEmergency(s.rec, s.pol, s.now)
	if diff := cmp.Diff([]AliveToken{{TokenID: 7}}, got.Alive); diff != "" || got.Left() != 0 {
		t.Errorf("alive (-want +got), %d targets left:\n%s", got.Left(), diff)
	}
	s.rec.revokedForeign(false, s.now.Add(2*time.Second))
	got, _ = DescribeEmergency(s.rec, s.pol, s.now)
	if len(got.Alive) != 0 || got.RevokedAfter == nil || *got.RevokedAfter != 2 {
		t.Errorf("alive %+v, revoked after %v; a clock that was ahead doesn't count", got.Alive, got.RevokedAfter)
	}
}

func TestDescribeEmergencyWithoutANewToken(t *testing.T) {
	s := newScene()
	s.alarmed(func(*Emergency) {})
	got, _ := DescribeEmergency(s.rec, s.pol, s.now)
	if got.Left() != 2 || got.Targets[0].Reason != Leaked {
		t.Errorf("%+v", got.Targets)
	}
}

// What is only revoked leaves no target to be waited for.
func TestDescribeARevocation(t *testing.T) {
	s := newScene()
	s.rec.alarm(Alarm{Request: Request{ID: 1, Kind: RequestRevoke, Slot: s.rec.Slot, At: s.now}}, s.now)
	got, _ := DescribeEmergency(s.rec, s.pol, s.now)
	if !got.RevokeOnly || got.Left() != 0 || len(got.Targets) != 2 || got.Targets[0].Delivered || got.Blocked != RevokedOnRequest {
		t.Errorf("%+v", got)
	}
}

func TestRestored(t *testing.T) {
	done := Request{Kind: RequestRestore, ClosedAt: time.Unix(1, 0), Outcome: "restored generation 1, token 7"}
	open, other, declined := done, done, done
	open.ClosedAt, other.Kind, declined.Outcome = time.Time{}, RequestResume, "no such token of the slot is revoked and observed"
	if !done.Restored() || open.Restored() || other.Restored() || declined.Restored() {
		t.Errorf("%v, %v, %v, %v", done.Restored(), open.Restored(), other.Restored(), declined.Restored())
	}
}
