package rotation

import (
	"context"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRestHolds: where rests says that there is nothing to do until some time,
// Next says so at every moment before it, by every later list that tells the
// same.
func TestRestHolds(t *testing.T) {
	rested := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.pol.DriftCheck = 40 * Day // long rests, in which all else can come due
		w.pol.Schedule.Lifetime = time.Duration(rapid.SampledFrom([]int{30, 45}).Draw(t, "lifetime")) * Day
		w.pol.Schedule.Every = time.Duration(rapid.SampledFrom([]int{0, 10, 20}).Draw(t, "every")) * Day
		for range rapid.IntRange(5, 40).Draw(t, "passes") {
			w.pass()
			if w.obs.Tokens != nil && rapid.Bool().Draw(t, "earlier list") { // of before what befell since
				w.obs.Tokens.At = w.obs.Tokens.At.Add(-w.pol.Sweep / 2)
			}
			if r := rests(&w.rec, &w.obs, &w.pol, w.now); r != nil {
				rested++
				w.staysAtRest(r)
			}
			w.happen()
			w.frozen = nil // a list that lags tells something else, sooner or later
		}
	})
	if rested == 0 {
		t.Error("no slot ever came to rest")
	}
}

func (w *world) staysAtRest(r *rested) {
	between := func(name string, from, to time.Time) time.Time {
		return from.Add(time.Duration(rapid.Int64Range(0, int64(to.Sub(from))).Draw(w.t, name)))
	}
	if r.until.After(w.now.Add(w.pol.DriftCheck)) {
		w.t.Fatalf("at rest from %s until %s: no rest is longer than a drift check", w.now, r.until)
	}
	for range 3 {
		now := between("later", w.now, r.until.Add(-1))
		tokens, account := *w.obs.Tokens, *w.obs.Account
		tokens.At = between("list", latest(tokens.At, now.Add(-w.pol.Sweep)), now)
		account.At = between("accounts", latest(account.At, now.Add(-w.pol.DriftCheck)), now)
		for i := range tokens.Mine {
			if rapid.Bool().Draw(w.t, "used") {
				tokens.Mine[i].LastUsed = between("used", w.now, now)
			}
		}
		obs := Observation{Process: w.obs.Process, Began: now, Account: &account, Tokens: &tokens,
			Posted: w.posted, Checked: w.checked}
		actions, reason := Next(w.rec, obs, w.pol, now)
		if _, wait := actions[0].(Wait); !wait || reason != r.reason {
			w.t.Fatalf("at rest from %s until %s for %q; at %s, Next says %T%+v, %q", w.now, r.until, r.reason, now, actions[0], actions[0], reason)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// deskIssuer answers nothing but the time.
type deskIssuer struct {
	Issuer
	now   time.Time
	asked int
}

func (i *deskIssuer) Now() time.Time { return i.now }

// Tokens is out of reach.
func (i *deskIssuer) Tokens(context.Context) ([]Token, error) {
	i.asked++
	return nil, &APIError{Call: "GET /user-tokens/service", Kind: ErrUnavailable}
}

// desk is an engine with one slot, which rests.
type desk struct {
	e    *Engine
	api  *deskIssuer
	mem  *memory
	slot *Declared
}

func newDesk() desk {
	api := &deskIssuer{now: worldStart}
	d := desk{e: New(Options{Issuer: api}), api: api, slot: &Declared{Policy: testPolicy("a/one")}}
	since := map[string]uint64{worldAccount: 3}
	d.e.tokens.last = &snapshot[[]Token]{at: worldStart.Add(-time.Minute), since: since}
	d.e.accounts.last = &snapshot[*Account]{at: worldStart.Add(-time.Minute), since: maps.Clone(since)}
	d.mem = d.e.memoryOf(d.slot.Policy.Slot)
	d.mem.rested.Store(&rested{tokens: 3, account: 3, from: worldStart, until: worldStart.Add(Day), relist: time.Hour, reason: AtRest})
	return d
}

// A rest whose list is too old asks for the next one, unless calls have to wait.
func TestRestAsksForAList(t *testing.T) {
	d := newDesk()
	d.e.relist(t.Context(), d.slot)
	if d.api.asked > 0 {
		t.Error("it asks for a list while the one at hand is new enough")
	}
	d.api.now = worldStart.Add(d.slot.Policy.Sweep)
	d.e.relist(t.Context(), d.slot)
	if d.api.asked != 1 || !d.e.Held().Until.After(d.api.now) {
		t.Errorf("it asked %d times; calls wait until %s, for it failed", d.api.asked, d.e.Held().Until)
	}
	d.e.relist(t.Context(), d.slot)
	if d.api.asked != 1 {
		t.Error("it asks while calls have to wait")
	}
}

// TestWhatEndsARest: each thing that a rest stands on, changed by itself, has
// Next asked again.
func TestWhatEndsARest(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(d desk)
		still  bool
	}{
		"nothing changed":                {func(desk) {}, true},
		"another list tells the same":    {func(d desk) { d.e.tokens.last.at = d.api.now }, true},
		"no rest":                        {func(d desk) { d.mem.rested.Store(nil) }, false},
		"the declaration was loaded":     {func(d desk) { d.slot.Edition++ }, false},
		"a person asked":                 {func(d desk) { d.e.Asked(Request{Slot: d.slot.Policy.Slot}) }, false},
		"a person asked another slot":    {func(d desk) { d.e.Asked(Request{Slot: "another"}) }, true},
		"calls have to wait":             {func(d desk) { d.e.held.Until = d.api.now.Add(1) }, false},
		"the clock was put back":         {func(d desk) { d.api.now = d.mem.rested.Load().from.Add(-1) }, false},
		"the time has come":              {func(d desk) { d.mem.rested.Load().until = d.api.now }, false},
		"the list tells otherwise":       {func(d desk) { d.e.tokens.last.since[worldAccount]++ }, false},
		"the list is too old":            {func(d desk) { d.e.tokens.last.at = d.api.now.Add(-d.slot.Policy.Sweep - 1) }, false},
		"the list is from before a deed": {func(d desk) { d.mem.rested.Load().seq = 1 }, false},
		"the account is listed otherwise": {func(d desk) {
			d.e.accounts.last.since[worldAccount]++
		}, false},
		"the accounts were listed too long ago": {func(d desk) {
			d.e.accounts.last.at = d.api.now.Add(-d.slot.Policy.DriftCheck - 1)
		}, false},
		"the account was changed since": {func(d desk) { d.e.accountChanged(worldAccount) }, false},
		"another account was changed":   {func(d desk) { d.e.accountChanged("another@service") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			tt.change(d)
			outcome, still := d.e.Still(*d.slot)
			if still != tt.still {
				t.Fatalf("still = %v, %+v", still, outcome)
			}
			if want := d.e.tokens.last.at.Add(time.Hour); still && (!outcome.NextAt.Equal(want) || outcome.Reason != AtRest || !outcome.Unchanged) {
				t.Errorf("%+v, the list has to be asked for at %s", outcome, want)
			}
		})
	}
}

// TestListsAreNumberedByWhatTheyTell: of each key by itself.
func TestListsAreNumberedByWhatTheyTell(t *testing.T) {
	lists := []map[string]int{{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}}
	s := newShared(time.Now, func() uint64 { return 0 }, func(a, b int) bool { return a == b },
		func(context.Context) (map[string]int, error) {
			list := lists[0]
			lists = lists[1:]
			return list, nil
		})
	for i, want := range []map[string]uint64{{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 4}} {
		list, err := s.get(t.Context(), time.Now(), 0)
		if err != nil || !maps.Equal(list.since, want) {
			t.Errorf("list %d: %v, %v; want %v", i+1, list.since, err, want)
		}
	}
}

func TestSameIsAllButTheLastUse(t *testing.T) {
	token := Token{ID: 1, Label: "a", UserID: 2, AccountID: "a@service", Active: true, Created: worldStart, Expires: worldStart}
	for name, change := range map[string]func(*Token){
		"id": func(t *Token) { t.ID++ }, "label": func(t *Token) { t.Label += "b" }, "state": func(t *Token) { t.Active = false },
		"expiry": func(t *Token) { t.Expires = time.Time{} }, "": func(t *Token) { t.LastUsed = worldStart },
	} {
		changed := token
		change(&changed)
		if same := sameTokens([]Token{token}, []Token{changed}); same != (name == "") {
			t.Errorf("another %q: same = %v", name, same)
		}
	}
	account := Account{UserID: 1, ID: "a@service", Name: "A", Role: "Member", Teams: []string{"Public"}}
	for name, change := range map[string]func(*Account){
		"number": func(a *Account) { a.UserID++ }, "role": func(a *Account) { a.Role = "Admin" }, "teams": func(a *Account) { a.Teams = nil },
		"deletion": func(a *Account) { a.Deleted = true }, "state": func(a *Account) { a.Deactivated = true }, "": func(*Account) {},
	} {
		changed := account
		change(&changed)
		if same := sameAccount(&account, &changed); same != (name == "") {
			t.Errorf("another %q: same = %v", name, same)
		}
	}
}

// TestHowLongARestIs: a slot that waits for a person has nothing due. It is
// looked at when its token expires, and at the next drift check.
func TestHowLongARestIs(t *testing.T) {
	pol := testPolicy("a/one")
	for name, tt := range map[string]struct {
		change func(rec *Record, obs *Observation)
		want   time.Duration // 0 is no rest
	}{
		"to the drift check":           {func(*Record, *Observation) {}, pol.DriftCheck},
		"to the token's end":           {func(_ *Record, obs *Observation) { obs.Tokens.Mine[0].Expires = worldStart.Add(time.Minute) }, time.Minute},
		"with a request":               {func(_ *Record, obs *Observation) { obs.Requests = []Request{{ID: 1, Kind: RequestRotate}} }, 0},
		"by a list from before a deed": {func(rec *Record, _ *Observation) { rec.Generations[0].RevokedAt = worldStart.Add(1) }, 0},
		"without a list":               {func(_ *Record, obs *Observation) { obs.Tokens = nil }, 0},
		"without an account":           {func(_ *Record, obs *Observation) { obs.Account = nil }, 0},
		"with a target that is new": {func(rec *Record, _ *Observation) {
			rec.Blocked, rec.Targets = "", map[string]TargetRecord{}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rec := Record{Slot: pol.Slot, Revision: 1, High: 1, Current: 1, Blocked: RevokedByOthers,
				Generations: []Generation{{Number: 1, Label: Label(pol.Token, pol.AgentID, 1), TokenID: 1, State: Live, Claimed: true}},
				Targets:     map[string]TargetRecord{"a/one": {State: InStep, Serves: 1}}}
			obs := Observation{Account: &AccountSeen{At: worldStart, UserID: 7}, Checked: map[string]time.Time{"a/one": worldStart.Add(Day)},
				Tokens: &TokensSeen{At: worldStart, Mine: []Token{{ID: 1, Label: Label(pol.Token, pol.AgentID, 1), Active: true}}}}
			tt.change(&rec, &obs)
			r := rests(&rec, &obs, &pol, worldStart)
			switch {
			case r == nil && tt.want == 0:
			case r == nil || !r.until.Equal(worldStart.Add(tt.want)):
				t.Errorf("%+v, want a rest of %s", r, tt.want)
			}
		})
	}
}
