package backends_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// TestFind: the old token was replaced by another hand's, the new one is staged
// where the store stages.
func TestFind(t *testing.T) {
	down := faulty.Fail(backends.ErrUnavailable)
	unreadable := func(at backends.Stage) faulty.Script {
		return func(c faulty.Call) faulty.Fault {
			if c.Op == faulty.Get && c.At == at {
				return down
			}
			return faulty.Fault{}
		}
	}
	third := secret.New("third token of nobody")
	tests := []struct {
		name    string
		options mem.Options
		script  faulty.Script
		token   secret.Value
		want    secret.Value
		fails   bool
		asked   []backends.Stage
	}{
		{name: "current", options: mem.LikeVault(), token: third, want: third, asked: stages(backends.Current)},
		{name: "previous", options: mem.LikeVault(), token: oldToken, want: oldToken, asked: stages(backends.Current, backends.Previous)},
		{name: "pending", options: mem.LikeAWS(), token: newToken, want: newToken, asked: stages(backends.Current, backends.Pending)},
		{name: "previous of a stager", options: mem.LikeAWS(), token: oldToken, want: oldToken, asked: stages(backends.Current, backends.Pending, backends.Previous)},
		{name: "nowhere", options: mem.LikeVault(), token: newToken, asked: stages(backends.Current, backends.Previous)},
		{name: "no previous kept", options: mem.LikeFile(), token: oldToken, asked: stages(backends.Current, backends.Previous)},
		{name: "no fingerprint", options: mem.LikeVault()},
		{name: "current unreadable, found elsewhere", options: mem.LikeVault(), script: unreadable(backends.Current), token: oldToken, want: oldToken, asked: stages(backends.Current, backends.Previous)},
		{name: "current unreadable", options: mem.LikeVault(), script: unreadable(backends.Current), token: newToken, fails: true, asked: stages(backends.Current, backends.Previous)},
		{name: "pending unreadable", options: mem.LikeAWS(), script: unreadable(backends.Pending), token: newToken, fails: true, asked: stages(backends.Current, backends.Pending, backends.Previous)},
		{name: "previous unreadable", options: mem.LikeVault(), script: unreadable(backends.Previous), token: oldToken, fails: true, asked: stages(backends.Current, backends.Previous)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := mem.New(test.options)
			if test.script == nil {
				test.script = faulty.Nothing()
			}
			target := target(store, test.script)
			store.Overwrite("ci", secret.New(linePrefix+oldToken.Reveal()))
			store.Overwrite("ci", secret.New(linePrefix+third.Reveal()))
			if stager, ok := backends.As[backends.Stager](store.Backend()); ok {
				if _, err := stager.PutPending(t.Context(), target.Ref, itemOf(t, target, newToken)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := target.Find(t.Context(), test.token.Fingerprint())
			if (err != nil) != test.fails || !got.Equal(test.want) {
				t.Errorf("found %s, %v; want %s", got.Fingerprint().Short(), err, test.want.Fingerprint().Short())
			}
			if test.fails {
				wantError(t, err, backends.ErrUnavailable)
			}
			if diff := cmp.Diff(test.asked, stagesAsked(target)); diff != "" {
				t.Errorf("stages asked (-want +got):\n%s", diff)
			}
		})
	}
}

func stages(all ...backends.Stage) []backends.Stage { return all }

func stagesAsked(target *backends.Target) []backends.Stage {
	var asked []backends.Stage
	wrapped, _ := target.Backend.(*faulty.Backend)
	for _, c := range wrapped.Calls() {
		asked = append(asked, c.At)
	}
	return asked
}

// TestFindInLossyFormat: what a format doesn't give back is found nowhere.
func TestFindInLossyFormat(t *testing.T) {
	store := mem.New(mem.LikeVault())
	target := target(store, faulty.Nothing())
	target.Format = sealed{}
	store.Overwrite("ci", secret.New(linePrefix+newToken.Reveal()))
	got, err := target.Find(t.Context(), newToken.Fingerprint())
	if err != nil || !got.IsZero() {
		t.Errorf("found %s, %v", got.Fingerprint().Short(), err)
	}
}
