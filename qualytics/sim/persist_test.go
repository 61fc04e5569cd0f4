package sim_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/qualytics/sim"
)

// kept makes an instance with a state file.
func kept(t *testing.T) (*instance, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qualytics.json")
	return start(t, func(o *sim.Options) { o.StateFile = path }), path
}

// again makes another instance of a state file, on the first one's clock.
func (i *instance) again(path string) *instance {
	i.t.Helper()
	return start(i.t, func(o *sim.Options) { o.StateFile, o.Now = path, i.clock.now })
}

// copyOf is the state file as a process would leave it that is killed now.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "killed.json")
	if err := os.WriteFile(killed, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return killed
}

func TestStateSurvives(t *testing.T) {
	for _, how := range []string{"a restart", "a kill"} {
		t.Run(how, func(t *testing.T) {
			i, path := kept(t)
			live := i.mint(i.account("Live", "Editor"), "live", 30)
			revoked := i.mint(i.account("Other", "Member"), "revoked", 30)
			deleted := i.mint(i.account("Third", "Member"), "deleted", 30)
			gone := i.account("Gone", "Member")
			i.clock.advance(time.Second)
			i.send(t.Context(), "GET", "/api/users/me", live.value(), "").want(t, 200)
			for _, err := range []error{
				i.RevokeToken(revoked.ID), i.RevokeToken(deleted.ID), i.DeleteToken(deleted.ID),
				i.DeleteAccount(gone.UserID), i.DeactivateAccount("third@service"), i.CreateTeam("Kept"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			tokens, accounts := i.Tokens(), i.Accounts()
			if how == "a kill" {
				path = copyOf(t, path)
			} else if err := i.Close(); err != nil {
				t.Fatal(err)
			}

			j := i.again(path)
			if diff := cmp.Diff(tokens, j.Tokens()); diff != "" {
				t.Errorf("tokens (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(accounts, j.Accounts()); diff != "" {
				t.Errorf("accounts (-before +after):\n%s", diff)
			}
			if !i.admin.Equal(j.admin) {
				t.Error("the admin's token isn't the same")
			}
			for want, value := range map[int]row{200: live, 401: revoked} {
				if got := j.proves(value.value()); got != want {
					t.Errorf("%s: got %d, want %d", value.Name, got, want)
				}
			}
			if next := j.mint(j.account("New", "Member"), "new", 1); next.ID <= deleted.ID {
				t.Errorf("the id %d was given again", next.ID)
			}
			j.do("POST", "/api/users", `{"name": "In Team", "role": "Member", "teams": ["Kept"]}`).want(t, 200)
		})
	}
}

func TestTheStateHoldsNoToken(t *testing.T) {
	i, path := kept(t)
	minted := i.mint(i.account("Live", "Editor"), "live", 30)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(strings.Split(minted.BearerToken, "."), strings.Split(i.admin.Reveal(), ".")...) {
		if bytes.Contains(text, []byte(part)) {
			t.Error("the state file holds a part of a token")
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files beside the state (error %v), want it alone", len(entries), err)
	}
}

func TestLastUsedInTheStateLagsAtMostAMinute(t *testing.T) {
	i, path := kept(t)
	minted := i.mint(i.account("Live", "Editor"), "live", 30)
	used := func(state string) time.Duration {
		for _, token := range i.again(copyOf(t, state)).Tokens() {
			if token.ID == minted.ID {
				return token.LastUsed.Sub(begin)
			}
		}
		return -1
	}
	for _, step := range []struct{ forward, kept time.Duration }{
		{time.Second, time.Second},      // the first use is written
		{time.Minute, time.Second},      // no more than a minute on
		{time.Second, 62 * time.Second}, // more
		{time.Second, 62 * time.Second}, // a second on again
		{time.Hour, 3663 * time.Second}, // more
	} {
		i.clock.advance(step.forward)
		i.send(t.Context(), "GET", "/api/users/me", minted.value(), "").want(t, 200)
		if got := used(path); got != step.kept {
			t.Errorf("at %v the file has a last use at %v, want %v", i.clock.now().Sub(begin), got, step.kept)
		}
	}
	i.clock.advance(time.Second)
	i.send(t.Context(), "GET", "/api/users/me", minted.value(), "").want(t, 200)
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if got := used(path); got != 3664*time.Second {
		t.Errorf("after Close the file has a last use at %v, want 1h1m4s", got)
	}
}

func TestAPartialLastLineIsDropped(t *testing.T) {
	i, path := kept(t)
	minted := i.mint(i.account("Live", "Editor"), "live", 30)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	last := lines[len(lines)-2]
	for _, cut := range []int{1, len(last) / 2, len(last) - 1} {
		killed := copyOf(t, path)
		if err := os.Truncate(killed, int64(len(text)-len(last)+cut)); err != nil {
			t.Fatal(err)
		}
		j := i.again(killed)
		if got := j.proves(minted.value()); got != 401 {
			t.Errorf("cut after %d bytes: a token that wasn't written got %d, want 401", cut, got)
		}
		if again := j.mint(user{ID: minted.User.ID}, "live", 30); again.ID != minted.ID {
			t.Errorf("cut after %d bytes: next id %d, want %d", cut, again.ID, minted.ID)
		}
	}
}

func TestBadStateIsRefusedAndLeftAlone(t *testing.T) {
	i, path := kept(t)
	i.account("Live", "Editor")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := `"signing":"` + strings.Repeat("A", 43) + `=","storing":"` + strings.Repeat("A", 43) + `="`
	for name, bad := range map[string]struct{ text, want string }{
		"another file":   {"version: 1\nagent:\n", "it is no state of this simulator"},
		"other JSON":     {"{}\n", "it is no state of this simulator"},
		"newer":          {`{"handover_sim":2,"keys":{}}` + "\n", "it is of version 2, and this program knows 1"},
		"no keys":        {`{"handover_sim":1,"keys":{}}` + "\n", "line 1 is damaged: a key is missing"},
		"half a header":  {string(good[:20]), "line 1 is damaged"},
		"broken line":    {strings.Replace(string(good), `{"account"`, `{"accou`, 1), "line 7 is damaged"},
		"unknown change": {`{"handover_sim":1,"keys":{` + key + "}}\n{\"colour\":1}\n", "line 2 is damaged"},
		"endless line":   {`{"handover_sim":1,"keys":{` + key + "}}\n" + strings.Repeat("x", 5<<20), "line 2 is damaged: it is longer than"},
		"zero bytes":     {strings.Repeat("\x00", 4096), "line 1 is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(path, []byte(bad.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := sim.New(sim.Options{StateFile: path})
			if err == nil || !strings.Contains(err.Error(), bad.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q and the path", err, bad.want)
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != bad.text {
				t.Errorf("the file was changed (error %v)", err)
			}
		})
	}
}

func TestStatePlaces(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, func(o *sim.Options) { o.StateFile = empty }).account("Works", "Member")
	if info, err := os.Stat(empty); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("an empty file that everybody could read: now %v (error %v), want 0600", info.Mode(), err)
	}
	for name, path := range map[string]string{
		"no folder": filepath.Join(t.TempDir(), "none", "state.json"),
		"a folder":  t.TempDir(),
	} {
		if _, err := sim.New(sim.Options{StateFile: path}); err == nil || strings.Count(err.Error(), path) == 0 {
			t.Errorf("%s: got %v, want an error with the path", name, err)
		}
	}
}

func TestTheStateStaysSmall(t *testing.T) {
	i, path := kept(t)
	minted := i.mint(i.account("Live", "Editor"), "live", 30)
	switches := 12_000
	if testing.Short() {
		switches = 9_000
	}
	for n := range switches { // some 3 MB of changes
		i.clock.advance(time.Second)
		act := i.RevokeToken
		if n%2 == 1 {
			act = i.RestoreToken
		}
		if err := act(minted.ID); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 1<<20+8<<10 {
		t.Errorf("after %d changes of one token the file has %d bytes", switches, info.Size())
	}
	if got := i.again(copyOf(t, path)).proves(minted.value()); got != 200 {
		t.Errorf("after the file was rewritten: got %d, want 200", got)
	}
}

func TestClosed(t *testing.T) {
	i, path := kept(t)
	minted := i.mint(i.account("Live", "Editor"), "live", 30)
	for range 2 {
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
	}
	i.do("GET", "/api/status", "").want(t, 503)
	if err := i.RevokeToken(minted.ID); err == nil {
		t.Error("a change after Close was taken")
	}
	if got := i.again(path).proves(minted.value()); got != 200 {
		t.Errorf("after a refused change: got %d, want 200", got)
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	i, path := kept(t)
	u := i.account("Live", "Editor")
	minted := i.mint(u, "live", 30)
	sim.CloseState(i.Server) // the disk is gone
	i.do("PUT", fmt.Sprintf("/api/user-tokens/%d", minted.ID), `{"revoke": true}`).want(t, 500)
	i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "new", "user_id": %d, "expires_in_days": 1}`, u.ID)).want(t, 500)
	i.do("POST", "/api/users", `{"name": "New", "role": "Member"}`).want(t, 500)
	if got := i.proves(minted.value()); got != 200 {
		t.Errorf("after a failed revocation: got %d, want 200", got)
	}
	if list := i.listed(); len(list) != 1 {
		t.Errorf("after a failed mint: %d tokens are listed, want 1", len(list))
	}
	if got := i.again(copyOf(t, path)).proves(minted.value()); got != 200 {
		t.Errorf("after a kill: got %d, want 200", got)
	}
}
