package rotation

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

func TestRebuilt(t *testing.T) {
	meta := func(s *scene, key string, number uint64, id int64) {
		seen := s.obs.Targets[key]
		seen.Reading.Meta = backends.Meta{Slot: s.pol.Slot, Generation: number, TokenID: id, Token: seen.Reading.Token.Fingerprint()}
		s.obs.Targets[key] = seen
	}
	for _, tt := range []struct {
		name    string
		set     func(s *scene)
		current uint64
		states  map[uint64]State
	}{
		{"metadata proves what is served", func(s *scene) { meta(s, one, 2, 102); meta(s, two, 2, 102) }, 2, map[uint64]State{1: Unclaimed, 2: Live}},
		{"of two, the newer one", func(s *scene) { s.stands(one, tokenOne()); meta(s, one, 1, 101); meta(s, two, 2, 102) }, 2,
			map[uint64]State{1: Unclaimed, 2: Live}},
		{"of two, the newer one, seen first", func(s *scene) { meta(s, one, 2, 102); s.stands(two, tokenOne()); meta(s, two, 1, 101) }, 2,
			map[uint64]State{1: Unclaimed, 2: Live}},
		{"nothing proves it", func(*scene) {}, 0, map[uint64]State{1: Unclaimed, 2: Unclaimed}},
		{"metadata of another slot", func(s *scene) {
			meta(s, one, 2, 102)
			seen := s.obs.Targets[one]
			seen.Reading.Meta.Slot = "x@service/y"
			s.obs.Targets[one] = seen
		}, 0, map[uint64]State{1: Unclaimed, 2: Unclaimed}},
		{"metadata of another token", func(s *scene) { meta(s, one, 2, 101) }, 0, map[uint64]State{1: Unclaimed, 2: Unclaimed}},
		{"it was revoked", func(s *scene) { meta(s, one, 2, 102); s.listed(102).Active = false }, 0, map[uint64]State{1: Unclaimed, 2: Unclaimed}},
		{"it expired", func(s *scene) { meta(s, one, 2, 102); s.listed(102).Expires = s.now }, 0, map[uint64]State{1: Unclaimed, 2: Unclaimed}},
		{"it is deleted", func(s *scene) { meta(s, one, 2, 102); s.unlist(102) }, 0, map[uint64]State{1: Unclaimed}},
		{"the target can't be read", func(s *scene) { s.obs.Targets[one] = TargetSeen{Failed: TargetUnreachable}; meta(s, two, 2, 102) }, 2,
			map[uint64]State{1: Unclaimed, 2: Live}},
		{"others' labels", func(s *scene) { s.listed(101).Label = "production.other.g1"; s.listed(102).Label = "x" }, 0, map[uint64]State{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.set(s)
			rec := Rebuilt(s.obs, s.pol, s.now)
			if rec.Slot != s.pol.Slot || rec.Current != tt.current || len(rec.Generations) != len(tt.states) {
				t.Errorf("current is g%d of %+v, want g%d", rec.Current, rec.Generations, tt.current)
			}
			for _, g := range rec.Generations {
				if g.Claimed {
					t.Errorf("g%d is claimed", g.Number)
				}
				if g.State != tt.states[g.Number] {
					t.Errorf("g%d is %s, want %s", g.Number, g.State, tt.states[g.Number])
				}
			}
			if g := rec.current(); g != nil && (g.Fingerprint != tokenTwo().Fingerprint() || rec.DueAt.IsZero()) {
				t.Errorf("the adopted one: %+v, due %s", g, rec.DueAt)
			}
		})
	}
}

func TestNextRebuilds(t *testing.T) {
	lost := func(set func(s *scene)) func(s *scene) {
		return func(s *scene) { s.rec = Record{Slot: s.pol.Slot}; set(s) }
	}
	ask(t, []question{
		{name: "it looks at everything first", set: lost(func(s *scene) { s.obs.Tokens, s.obs.Targets = nil, map[string]TargetSeen{} }),
			want: []Action{Read{Target: one}, Read{Target: two}, LookTokens{After: newScene().now.Add(-testPolicy().Sweep)}}},
		{name: "what may be this account's is asked about", set: lost(func(*scene) {}), want: []Action{ProveOther{Target: one}, ProveOther{Target: two}}},
		{name: "then it makes the record", set: lost(func(s *scene) {
			s.obs.Others[tokenTwo().Fingerprint()] = Proof{At: s.now, Result: ProvedLive}
		}), want: []Action{Rebuild{}}},
		{name: "a target out of reach doesn't keep it from that", set: lost(func(s *scene) {
			s.obs.Targets[one] = TargetSeen{Failed: TargetUnreachable}
			s.stands(two, secret.Value{})
		}), want: []Action{Rebuild{}}},
		{name: "an API out of reach does", set: lost(func(s *scene) {
			s.obs.Tokens = nil
			s.obs.Held = Held{Until: s.now.Add(7), Reason: APIUnavailable}
		}), reason: APIUnavailable, until: 7},
	})
}

func TestNamesAccount(t *testing.T) {
	claims := func(c jwt.MapClaims) secret.Value {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		return secret.New(text)
	}
	for name, tt := range map[string]struct {
		token secret.Value
		want  bool
	}{
		"subject":                {claims(jwt.MapClaims{"sub": worldAccount}), true},
		"another claim":          {claims(jwt.MapClaims{"sub": "7", "user_id": worldAccount}), true},
		"an expired one":         {claims(jwt.MapClaims{"sub": worldAccount, "exp": 1}), true},
		"another account":        {claims(jwt.MapClaims{"sub": "x" + worldAccount}), false},
		"in a list":              {claims(jwt.MapClaims{"aud": []string{worldAccount}}), false},
		"no claims":              {claims(jwt.MapClaims{}), false},
		"unsigned":               {secret.New("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."), false},
		"a text with two points": {secret.New("a.b.c"), false},
		"a text":                 {secret.New(worldAccount), false},
		"nothing":                {secret.Value{}, false},
	} {
		if got := namesAccount(tt.token, worldAccount); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
