package sim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/qualytics/sim"
)

// onMint strikes the next POST /user-tokens.
func onMint(e sim.Effect) sim.Fault {
	return sim.Fault{Method: "POST", Path: "/user-tokens", Effect: e}
}

func TestWhichRequestsAFaultStrikes(t *testing.T) {
	teapot := sim.Answer(418, `{"detail":"teapot"}`)
	for name, c := range map[string]struct {
		fault sim.Fault
		want  string // statuses of the requests below, X for struck
	}{
		"any, once":          {sim.Fault{}, "X......"},
		"any, always":        {sim.Fault{Times: -1}, "XXXXXXX"},
		"method":             {sim.Fault{Method: "PUT", Times: -1}, "....X.."},
		"pattern":            {sim.Fault{Path: "/users/{id}", Times: -1}, "..XXX.."},
		"one path":           {sim.Fault{Path: "/users/101", Times: -1}, "..X.X.."},
		"method and pattern": {sim.Fault{Method: "GET", Path: "/users/{id}", Times: -1}, "..XX..."},
		"second and third":   {sim.Fault{Skip: 1, Times: 2}, ".XX...."},
		"third of a pattern": {sim.Fault{Path: "/users/{id}", Skip: 2}, "....X.."},
		"unknown path":       {sim.Fault{Path: "/nowhere", Times: -1}, "......X"},
		"never":              {sim.Fault{Path: "/api/users/101", Times: -1}, "......."},
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t)
			c.fault.Effect = teapot
			rule := i.Inject(c.fault)
			got, struck := "", 0
			for _, call := range []string{
				"GET /api/users/me", "GET /users", "GET /users/101", "GET /api/users/102", "PUT /api/users/101", "GET /status", "GET /nowhere",
			} {
				method, path, _ := strings.Cut(call, " ")
				if i.do(method, path, "{}").status == 418 {
					got, struck = got+"X", struck+1
				} else {
					got += "."
				}
			}
			if got != c.want || rule.Struck() != struck {
				t.Errorf("got %s, struck %d, want %s", got, rule.Struck(), c.want)
			}
			rule.Remove()
			i.do("GET", "/api/users/101", "").want(t, 200)
		})
	}
}

func TestOneRuleStrikesInOrder(t *testing.T) {
	i := start(t)
	first := i.Inject(sim.Fault{Path: "/status", Skip: 1, Effect: sim.Answer(501, "")})
	second := i.Inject(sim.Fault{Path: "/status", Times: 2, Effect: sim.Answer(502, "")})
	var got []int
	for range 4 {
		got = append(got, i.do("GET", "/api/status", "").status)
	}
	if diff := cmp.Diff([]int{502, 501, 502, 200}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if first.Struck() != 1 || second.Struck() != 2 {
		t.Errorf("struck %d and %d, want 1 and 2", first.Struck(), second.Struck())
	}
	i.Inject(sim.Fault{Times: -1, Effect: sim.Drop()})
	i.ClearFaults()
	i.do("GET", "/api/status", "").want(t, 200)
}

func TestWhatAFaultDoesToAMint(t *testing.T) {
	for name, c := range map[string]struct {
		effect    sim.Effect
		status    int // 0: the request fails
		committed bool
		header    string
	}{
		"nothing":          {sim.Effect{}, 200, true, ""},
		"status":           {sim.Answer(500, ""), 500, false, ""},
		"throttle":         {sim.Throttle(1500 * time.Millisecond), 429, false, "2"},
		"throttle, at 0":   {sim.Throttle(0), 429, false, "0"},
		"throttle, bare":   {sim.Throttle(-1), 429, false, ""},
		"not JSON":         {sim.NotJSON(), 200, false, ""},
		"drop before":      {sim.Drop(), 0, false, ""},
		"commit, then 500": {sim.CommitThen(sim.Answer(500, "")), 500, true, ""},
		"commit, then 429": {sim.CommitThen(sim.Throttle(time.Second)), 429, true, "1"},
		"commit, drop":     {sim.CommitThen(sim.Drop()), 0, true, ""},
		"cut body":         {sim.CutBody(), 0, true, ""},
		"twice":            {sim.Twice(), 409, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t)
			u := i.account("API Access", "Member")
			rule := i.Inject(onMint(c.effect))
			r := i.do("POST", "/api/user-tokens", fmt.Sprintf(`{"name": "one", "user_id": %d, "expires_in_days": 1}`, u.ID))
			if failed := r.err != nil; failed != (c.status == 0) || !failed && r.status != c.status {
				t.Errorf("got %d (error %v), want %d", r.status, r.err, c.status)
			}
			if c.status == 0 && !errors.Is(r.err, sim.ErrConnectionLost) {
				t.Errorf("got %v, want a lost connection", r.err)
			}
			if got := r.header.Get("Retry-After"); got != c.header {
				t.Errorf("Retry-After %q, want %q", got, c.header)
			}
			if _, listed := i.listed()["one"]; listed != c.committed {
				t.Errorf("listed %v, want %v", listed, c.committed)
			}
			if rule.Struck() != 1 {
				t.Errorf("struck %d, want 1", rule.Struck())
			}
			if got := i.Calls()["POST /user-tokens"]; got != 1 {
				t.Errorf("%d calls were counted, want 1", got)
			}
		})
	}
}

func TestCutBodyIsAHalf(t *testing.T) {
	i := start(t)
	whole := i.do("GET", "/api/status", "")
	i.Inject(sim.Fault{Path: "/status", Effect: sim.CutBody()})
	half := i.do("GET", "/api/status", "")
	if half.err == nil || !strings.HasPrefix(string(whole.body), string(half.body)) || len(half.body) == 0 || len(half.body) == len(whole.body) {
		t.Errorf("got %q (error %v) of %q", half.body, half.err, whole.body)
	}
}

func TestFreshTokens(t *testing.T) {
	t.Run("by the clock", func(t *testing.T) {
		i := start(t)
		i.Inject(onMint(sim.FreshDelay(time.Minute)))
		late := i.mint(i.account("Late", "Member"), "one", 1)
		prompt := i.mint(i.account("Prompt", "Member"), "one", 1)
		i.clock.advance(time.Minute - time.Microsecond)
		if a, b := i.proves(late.value()), i.proves(prompt.value()); a != 401 || b != 200 {
			t.Errorf("before its time: got %d, want 401; the next one %d, want 200", a, b)
		}
		i.clock.advance(time.Microsecond)
		if got := i.proves(late.value()); got != 200 {
			t.Errorf("in its time: got %d, want 200", got)
		}
	})
	t.Run("by the uses", func(t *testing.T) {
		i := start(t)
		i.Inject(onMint(sim.FreshRefusals(2)))
		late := i.mint(i.account("Late", "Member"), "one", 1)
		if err := i.Check(late.value()); err == nil || i.Tokens()[1].State != "not valid yet" {
			t.Errorf("got %v, want: not valid yet", err)
		}
		for n, want := range []int{401, 401, 200, 200} {
			if got := i.proves(late.value()); got != want {
				t.Errorf("use %d: got %d, want %d", n+1, got, want)
			}
		}
	})
}

func TestLaggingLists(t *testing.T) {
	i := start(t)
	u := i.account("API Access", "Member")
	one := i.mint(u, "one", 30)
	i.clock.advance(time.Minute)
	i.mint(u, "two", 30)
	i.clock.advance(time.Minute)
	for _, err := range []error{i.RevokeToken(one.ID), i.DeleteToken(one.ID)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	i.clock.advance(time.Minute)
	for name, c := range map[string]struct {
		effect sim.Effect
		want   string
	}{
		"no lag":         {sim.Lag(0), "two"},
		"as of now":      {sim.Lag(time.Second), "two"},
		"at the delete":  {sim.Lag(time.Minute), "two"},
		"before it":      {sim.Lag(61 * time.Second), "one two"},
		"before the two": {sim.Lag(121 * time.Second), "one"},
		"before all":     {sim.Lag(time.Hour), ""},
		"no change":      {sim.LagChanges(0), "two"},
		"one change":     {sim.LagChanges(1), "(one) two"},
		"two changes":    {sim.LagChanges(2), "one two"},
		"three changes":  {sim.LagChanges(3), "one"},
		"all changes":    {sim.LagChanges(1000), ""},
		"cut":            {sim.CutList(1), ""}, // the admin's own is the first
		"cut to nothing": {sim.CutList(0), ""},
		"hardly cut":     {sim.CutList(5), "two"},
	} {
		t.Run(name, func(t *testing.T) {
			i.Inject(sim.Fault{Path: "/user-tokens/service", Effect: c.effect})
			list := i.listed()
			var got []string
			for _, label := range []string{"one", "two"} {
				if r, ok := list[label]; ok && r.Active {
					got = append(got, label)
				} else if ok {
					got = append(got, "("+label+")")
				}
			}
			if joined := strings.Join(got, " "); joined != c.want {
				t.Errorf("got %q, want %q", joined, c.want)
			}
		})
	}
	if got := i.proves(one.value()); got != 401 {
		t.Errorf("a list that lags doesn't make a token live: got %d", got)
	}
}

func TestLaggingAndCutUsers(t *testing.T) {
	i := start(t)
	i.account("One", "Member")
	for name, c := range map[string]struct {
		effect       sim.Effect
		items, total int
	}{
		"whole": {sim.Effect{}, 2, 2},
		"lag":   {sim.LagChanges(1), 1, 1},
		"cut":   {sim.CutList(1), 1, 2},
	} {
		i.Inject(sim.Fault{Path: "/users", Effect: c.effect})
		var got usersPage
		i.do("GET", "/api/users?type=Service", "").want(t, 200).into(t, &got)
		if len(got.Items) != c.items || got.Total != c.total {
			t.Errorf("%s: %d items of %d, want %d of %d", name, len(got.Items), got.Total, c.items, c.total)
		}
	}
}

func TestFloodIsAsLongAsTold(t *testing.T) {
	i := start(t)
	i.Inject(sim.Fault{Effect: sim.Flood(1_000_000)})
	got := i.do("GET", "/api/user-tokens/service", "").want(t, 200)
	if len(got.body) != 1_000_000 || got.body[0] != '[' || strings.TrimSpace(string(got.body)) != "[" {
		t.Errorf("got %d bytes that begin with %q", len(got.body), got.body[:1])
	}
}
