package backends_test

import (
	"context"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// isOld is what a test calls dead.
func isOld(r backends.Reading) bool { return r.Token.Equal(oldToken) }

func TestRemoveOld(t *testing.T) {
	for name, test := range map[string]struct {
		options   mem.Options
		overwrite []secret.Value // in turn, before the new token
		pending   secret.Value
		want      int
		// kept is what still stands at Previous; zero for nothing.
		kept secret.Value
	}{
		"the previous version":   {options: mem.LikeVault(), overwrite: []secret.Value{oldToken}, want: 1},
		"another's version":      {options: mem.LikeVault(), overwrite: []secret.Value{secret.New("somebody's token")}, kept: secret.New("somebody's token")},
		"nothing before":         {options: mem.LikeVault()},
		"a store without stages": {options: mem.LikeAzure(), overwrite: []secret.Value{oldToken}, want: 1},
		"pending":                {options: mem.LikeAWS(), pending: oldToken, want: 1},
		"pending and previous":   {options: mem.LikeAWS(), overwrite: []secret.Value{oldToken}, pending: oldToken, want: 2},
		"pending isn't dead":     {options: mem.LikeAWS(), overwrite: []secret.Value{oldToken}, pending: secret.New("third token of nobody"), want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := mem.New(test.options)
			target := target(store, faulty.Nothing())
			for _, v := range append(test.overwrite, newToken) {
				store.Overwrite("ci", secret.New(linePrefix+v.Reveal()))
			}
			if !test.pending.IsZero() {
				stager, _ := backends.As[backends.Stager](store.Backend())
				if _, err := stager.PutPending(t.Context(), target.Ref, itemOf(t, target, test.pending)); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []int{test.want, 0} { // the second time nothing is left
				if got, err := target.RemoveOld(t.Context(), isOld); err != nil || got != want {
					t.Errorf("removed %d, %v; want %d", got, err, want)
				}
			}
			previous, err := target.Read(t.Context(), backends.Previous)
			if err != nil || !previous.Token.Equal(test.kept) {
				t.Errorf("previous is %s, %v; want %s", previous.Token.Fingerprint().Short(), err, test.kept.Fingerprint().Short())
			}
			if now, err := target.Read(t.Context(), backends.Current); err != nil || !now.Token.Equal(newToken) {
				t.Errorf("the current value was touched: %v", err)
			}
		})
	}
}

// TestRemoveOldFails: an error names the place, and what was removed before it
// stays removed.
func TestRemoveOldFails(t *testing.T) {
	for name, op := range map[string]faulty.Op{"read": faulty.Get, "remove": faulty.Remove} {
		t.Run(name, func(t *testing.T) {
			store := mem.New(mem.LikeVault())
			target := target(store, func(c faulty.Call) faulty.Fault {
				if c.Op == op {
					return faulty.Fail(backends.ErrUnavailable)
				}
				return faulty.Fault{}
			})
			for _, v := range []secret.Value{oldToken, newToken} {
				store.Overwrite("ci", secret.New(linePrefix+v.Reveal()))
			}
			removed, err := target.RemoveOld(t.Context(), isOld)
			if removed != 0 {
				t.Errorf("removed %d", removed)
			}
			wantError(t, err, backends.ErrUnavailable)
		})
	}
}

// TestRemoveOldEnds: a store that says that it removed, and didn't.
func TestRemoveOldEnds(t *testing.T) {
	store := mem.New(mem.LikeVault())
	target := target(store, faulty.Nothing())
	target.Backend = deaf{store.Backend()}
	for _, v := range []secret.Value{oldToken, newToken} {
		store.Overwrite("ci", secret.New(linePrefix+v.Reveal()))
	}
	_, err := target.RemoveOld(t.Context(), isOld)
	wantError(t, err, backends.ErrInvalid)
}

// deaf removes nothing.
type deaf struct{ backends.Backend }

func (deaf) Remove(context.Context, backends.Ref, backends.Version) error { return nil }

// TestRemoveOldWithoutRemover: nothing is read.
func TestRemoveOldWithoutRemover(t *testing.T) {
	target := target(mem.New(mem.LikeVault()), faulty.Nothing())
	target.Backend = plainly{target.Backend}
	if removed, err := target.RemoveOld(t.Context(), isOld); removed != 0 || err != nil || target.Removes() {
		t.Errorf("removed %d, %v, removes %v", removed, err, target.Removes())
	}
}

// plainly hides what a backend can do beside.
type plainly struct{ backends.Backend }
