package rotation

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestDescribeKeepsItsContract compares the JSON that people's programs read.
func TestDescribeKeepsItsContract(t *testing.T) {
	for name, set := range map[string]func(s *scene) AccountRecord{
		"new": func(s *scene) AccountRecord { s.rec = Record{Slot: s.pol.Slot}; return AccountRecord{} },
		"current": func(s *scene) AccountRecord {
			s.rec.Targets[one] = TargetRecord{State: InStep, Reason: TargetServes, Serves: 2, Since: s.now.Add(-Day), SeenAt: s.now}
			return AccountRecord{}
		},
		"every_state": func(s *scene) AccountRecord {
			s.pol.Targets = append(s.pol.Targets, TargetPolicy{Key: "c/a/long/path"})
			s.rec.Targets[one] = TargetRecord{State: Behind, Reason: TargetDenied, Serves: 1, Attempts: 3, RetryAt: s.now.Add(time.Minute)}
			s.rec.Targets[two] = TargetRecord{State: Foreign, Reason: TargetHoldsForeign}
			for i, state := range []State{Waiting, Hold, Revoking, Observing, Deleting, Gone, Unclaimed} {
				number := uint64(i + 3)
				s.rec.add(Generation{Number: number, Label: label(number), TokenID: 100 + int64(number), State: state, Reason: StillServed,
					Expires: s.now.Add(9 * Day), RevokeAfter: s.now.Add(2 * time.Hour), HoldUntil: s.now.Add(3 * Day), RevokedAt: s.now.Add(-Day)})
			}
			return AccountRecord{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			account := set(s)
			got := asJSON(t, Describe(s.rec, account, s.pol)) + "\n"
			golden := filepath.Join("testdata", "status", name+".json")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got; -update writes it):\n%s", golden, diff)
			}
		})
	}
}

func TestDescribeTellsTheStateThatMatters(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(s *scene) AccountRecord
		state  SlotState
		reason Reason
	}{
		{"at rest", func(*scene) AccountRecord { return AccountRecord{} }, SlotCurrent, AtRest},
		{"its account may not have that role", func(*scene) AccountRecord { return AccountRecord{Refused: true} }, SlotCurrent, AccountRefused},
		{"its account is gone", func(s *scene) AccountRecord { s.rec.Blocked = IssueRefused; return AccountRecord{Blocked: AccountGone} }, SlotBlocked, AccountGone},
		{"blocked", func(s *scene) AccountRecord { s.rec.Blocked = IssueRefused; return AccountRecord{} }, SlotBlocked, IssueRefused},
		{"an intent", func(s *scene) AccountRecord { s.rec.Intent = &Intent{Reason: Age}; return AccountRecord{} }, SlotIssuing, Age},
		{"lost", func(s *scene) AccountRecord { s.rec.Lost = ValueLost; return AccountRecord{} }, SlotIssuing, ValueLost},
		{"never issued", func(s *scene) AccountRecord { s.rec.Current = 0; return AccountRecord{} }, SlotIssuing, NeverIssued},
		{"a target behind", func(s *scene) AccountRecord { s.behind(); return AccountRecord{} }, SlotDelivering, TargetOlder},
		{"the first of the declaration", func(s *scene) AccountRecord {
			s.behind()
			s.rec.Targets[two] = TargetRecord{State: Foreign, Reason: TargetHoldsForeign}
			return AccountRecord{}
		}, SlotDelivering, TargetOlder},
		{"a target that was never seen", func(s *scene) AccountRecord { delete(s.rec.Targets, one); return AccountRecord{} }, SlotDelivering, TargetNew},
		{"a target that left the declaration", func(s *scene) AccountRecord { s.behind(); s.pol.Targets = s.pol.Targets[1:]; return AccountRecord{} }, SlotCurrent, AtRest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // it doesn't change with the order of a map
				s := newScene()
				account := tt.set(s)
				if got := Describe(s.rec, account, s.pol); got.State != tt.state || got.Reason != tt.reason {
					t.Fatalf("%s (%s), want %s (%s)", got.State, got.Reason, tt.state, tt.reason)
				}
			}
		})
	}
}

func TestDescribeTellsWhatComesNext(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(s *scene)
		at   time.Duration
		what string
	}{
		{"the end of a grace", func(*scene) {}, Day, "revoke"},
		{"the rotation", func(s *scene) { s.g(1).State = Gone }, 19 * Day, "rotate"},
		{"every is shorter now", func(s *scene) { s.g(1).State = Gone; s.pol.Schedule.Every = 5 * Day }, 4 * Day, "rotate"},
		{"a delivery", func(s *scene) {
			s.rec.Targets[one] = TargetRecord{State: Behind, RetryAt: s.now.Add(time.Minute)}
		}, time.Minute, "deliver to " + one},
		{"a deletion", func(s *scene) { s.g(1).State, s.g(1).RevokedAt = Observing, s.now }, 2 * Day, "delete"},
		{"an end by itself", func(s *scene) { s.g(1).State, s.g(1).Expires = Unclaimed, s.now.Add(time.Hour) }, time.Hour, "expire"},
	} {
		s := newScene()
		tt.set(s)
		if got := Describe(s.rec, AccountRecord{}, s.pol); got.NextAt == nil || !got.NextAt.Equal(s.now.Add(tt.at)) || got.Next != tt.what {
			t.Errorf("%s: %q at %v, want %q at %s", tt.name, got.Next, got.NextAt, tt.what, s.now.Add(tt.at))
		}
	}
	if got := Describe(Record{}, AccountRecord{}, testPolicy(one)); got.NextAt != nil || got.Next != "" {
		t.Errorf("a new slot: %q at %v", got.Next, got.NextAt)
	}
}
