package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/doctor"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
)

// deployment is a Qualytics as a test wants it; the zero one is well.
type deployment struct {
	down, refused, notAdmin, noDocument, noTeams, trouble error
	ahead                                                 time.Duration
	expires                                               time.Time
	unreadable                                            bool
	missing                                               []string
	tokens                                                []rotation.Token
}

func (d *deployment) BaseURL() string              { return "https://acme.qualytics.io/api" }
func (d *deployment) Now() time.Time               { return time.Now().Add(d.ahead) }
func (d *deployment) Status(context.Context) error { return d.down }
func (d *deployment) Me(context.Context) (rotation.Identity, error) {
	return rotation.Identity{AccountID: "handover@service"}, d.refused
}
func (d *deployment) CredentialExpires() (time.Time, bool) { return d.expires, !d.unreadable }
func (d *deployment) CredentialTrouble() error             { return d.trouble }
func (d *deployment) Missing(context.Context) ([]string, error) {
	return d.missing, d.noDocument
}
func (d *deployment) Teams(context.Context) ([]string, error) {
	return []string{"Public", "Data Engineering"}, d.noTeams
}
func (d *deployment) Tokens(context.Context) ([]rotation.Token, error) { return d.tokens, d.notAdmin }

// memory is a journal as a test wants it.
type memory struct {
	holder  string
	err     error
	records map[string]rotation.Record
}

func (m *memory) Path() string                            { return "/var/lib/handover/state.db" }
func (m *memory) Inspect(context.Context) (string, error) { return m.holder, m.err }
func (m *memory) Slot(_ context.Context, slot string) (rotation.Record, error) {
	rec, ok := m.records[slot]
	if !ok {
		return rec, rotation.ErrNoRecord
	}
	return rec, nil
}

const slot = "pipeline@service/nightly"

// source is one slot with a target in each of two backends, on a well world.
func source(scripts map[string]faulty.Script) (doctor.Source, *deployment, *memory) {
	api := &deployment{expires: time.Now().Add(90 * rotation.Day)}
	journal := &memory{records: map[string]rotation.Record{}}
	s := rotation.Declared{Policy: rotation.Policy{Slot: slot, AccountID: "pipeline@service", Token: "nightly",
		Account: rotation.AccountSpec{Teams: []string{"Data Engineering"}}}}
	for _, name := range []string{"aws", "vault"} {
		script := scripts[name]
		if script == nil {
			script = faulty.Nothing()
		}
		for i := range 2 {
			s.Targets = append(s.Targets, &backends.Target{Ref: backends.Ref{Backend: name, Path: fmt.Sprintf("p%d", i)},
				Format: plain{}, Backend: faulty.Wrap(mem.New(mem.LikeVault()).Backend(), script)})
		}
	}
	return doctor.Source{AgentID: "acme", API: api, Journal: journal, CredentialLead: 30 * rotation.Day, Slots: []rotation.Declared{s}}, api, journal
}

// told are the findings in short, without those that are ok.
func told(r doctor.Report) []string {
	all := []string{}
	for _, f := range r.Findings {
		if f.Verdict != doctor.OK {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Verdict, f.Check, f.On)))
		}
	}
	return all
}

func TestWell(t *testing.T) {
	s, _, _ := source(nil)
	r := doctor.Examine(t.Context(), s)
	if bad := told(r); len(bad) > 0 || !r.Healthy() {
		t.Errorf("in a well world: %q", bad)
	}
	var checks []string
	for _, f := range r.Findings {
		checks = append(checks, f.Check)
	}
	want := []string{"qualytics", "clock", "credential", "credential_expiry", "calls", "teams", "agent_id",
		"backend", "backend", "journal", "declaration"}
	if diff := cmp.Diff(want, checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if r.Counts[doctor.OK] != len(want) {
		t.Errorf("counts %v", r.Counts)
	}
}

// label is a token under this agent's label.
func label(n uint64) rotation.Token {
	return rotation.Token{ID: int64(n), Label: rotation.Label("nightly", "acme", n), AccountID: "pipeline@service"}
}

// TestFindings has one row for each thing that can be wrong.
func TestFindings(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		with func(*doctor.Source, *deployment, *memory)
		want []string
	}{
		{"nobody answers", func(_ *doctor.Source, d *deployment, _ *memory) { d.down = broken },
			[]string{"fault qualytics https://acme.qualytics.io/api"}},
		{"clock ahead", func(_ *doctor.Source, d *deployment, _ *memory) { d.ahead = time.Hour }, []string{"warning clock"}},
		{"clock behind", func(_ *doctor.Source, d *deployment, _ *memory) { d.ahead = -time.Hour }, []string{"warning clock"}},
		{"credential refused", func(_ *doctor.Source, d *deployment, _ *memory) { d.refused = broken },
			[]string{"fault credential https://acme.qualytics.io/api"}},
		{"no admin", func(_ *doctor.Source, d *deployment, _ *memory) { d.notAdmin = rotation.ErrUnauthorized },
			[]string{"fault credential handover@service"}},
		{"credential near its end", func(_ *doctor.Source, d *deployment, _ *memory) { d.expires = time.Now().Add(29 * rotation.Day) },
			[]string{"warning credential_expiry handover@service"}},
		{"credential without end", func(_ *doctor.Source, d *deployment, _ *memory) { d.expires = time.Time{} },
			[]string{"warning credential_expiry handover@service"}},
		{"credential of unknown end", func(_ *doctor.Source, d *deployment, _ *memory) { d.unreadable = true },
			[]string{"warning credential_expiry handover@service"}},
		{"a call is missing", func(_ *doctor.Source, d *deployment, _ *memory) { d.missing = []string{"PUT /user-tokens/{}"} },
			[]string{"fault calls openapi.json"}},
		{"no document", func(_ *doctor.Source, d *deployment, _ *memory) { d.noDocument = broken }, []string{"warning calls openapi.json"}},
		{"teams can't be listed", func(_ *doctor.Source, d *deployment, _ *memory) { d.noTeams = broken }, []string{"warning teams"}},
		{"a team is missing", func(s *doctor.Source, _ *deployment, _ *memory) {
			s.Slots[0].Policy.Account.Teams = []string{"Data Enginering"}
		},
			[]string{"fault teams Data Enginering"}},
		{"a token of another agent", func(_ *doctor.Source, d *deployment, _ *memory) { d.tokens = []rotation.Token{label(1)} },
			[]string{"warning agent_id acme"}},
		{"tokens that the journal knows", func(_ *doctor.Source, d *deployment, m *memory) {
			d.tokens = []rotation.Token{label(1), label(2), {Label: "by hand"}}
			m.records[slot] = rotation.Record{Slot: slot, Intent: &rotation.Intent{Generation: 2},
				Generations: []rotation.Generation{{Number: 1, TokenID: 1}}}
		}, []string{}},
		{"another token under a number that the journal knows", func(_ *doctor.Source, d *deployment, m *memory) {
			d.tokens = []rotation.Token{label(1)}
			m.records[slot] = rotation.Record{Slot: slot, Generations: []rotation.Generation{{Number: 1, TokenID: 7}}}
		}, []string{"warning agent_id acme"}},
		{"no journal can be made", func(_ *doctor.Source, _ *deployment, m *memory) { m.err = broken },
			[]string{"fault journal /var/lib/handover/state.db"}},
		{"an agent runs", func(_ *doctor.Source, _ *deployment, m *memory) { m.holder = "process 7" }, []string{}},
		{"doubts", func(s *doctor.Source, _ *deployment, _ *memory) { s.Doubts = []string{"agent.yaml:3:1: short"} },
			[]string{"warning declaration"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, api, journal := source(nil)
			test.with(&s, api, journal)
			r := doctor.Examine(t.Context(), s)
			if diff := cmp.Diff(test.want, told(r)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if healthy := !strings.Contains(strings.Join(test.want, "\n"), "fault"); r.Healthy() != healthy {
				t.Errorf("healthy %v, want %v", r.Healthy(), healthy)
			}
		})
	}
}

// TestCredentialInTrouble: the agent could work, and not with what stands at its
// credential's place.
func TestCredentialInTrouble(t *testing.T) {
	s, api, _ := source(nil)
	api.trouble = errors.New("the token there is refused")
	if diff := cmp.Diff([]string{"warning credential handover@service"}, told(doctor.Examine(t.Context(), s))); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestCredentialThatIsRotated is warned of when its rotation is late, not thirty
// days before its end.
func TestCredentialThatIsRotated(t *testing.T) {
	for left, want := range map[time.Duration][]string{6 * rotation.Day: {}, 4 * rotation.Day: {"warning credential_expiry handover@service"}} {
		s, api, _ := source(nil)
		s.CredentialLead, api.expires = 5*rotation.Day, time.Now().Add(left)
		if diff := cmp.Diff(want, told(doctor.Examine(t.Context(), s))); diff != "" {
			t.Errorf("%s before its end (-want +got):\n%s", left, diff)
		}
	}
}

// TestStores: one bad place is told by its name, a backend that is away once.
func TestStores(t *testing.T) {
	fails := func(op faulty.Op, kind error, path string) faulty.Script {
		return func(c faulty.Call) faulty.Fault {
			if c.Op == op && (path == "" || c.Ref.Path == path) {
				return faulty.Fail(kind)
			}
			return faulty.Fault{}
		}
	}
	for name, test := range map[string]struct {
		script faulty.Script
		want   []string
	}{
		"may not be written":   {fails(faulty.Check, backends.ErrDenied, "p1"), []string{"fault backend vault/p1"}},
		"may not be read":      {fails(faulty.Get, backends.ErrDenied, "p0"), []string{"fault backend vault/p0"}},
		"away":                 {fails(faulty.Get, backends.ErrUnavailable, ""), []string{"fault backend vault"}},
		"no place is readable": {fails(faulty.Get, backends.ErrDenied, ""), []string{"fault backend vault/p0", "fault backend vault/p1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := source(map[string]faulty.Script{"vault": test.script})
			if diff := cmp.Diff(test.want, told(doctor.Examine(t.Context(), s))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyUnknownTokensAreCounted(t *testing.T) {
	s, api, _ := source(nil)
	for n := range uint64(9) {
		api.tokens = append(api.tokens, label(n+1))
	}
	var text strings.Builder
	if err := doctor.Write(&text, doctor.Examine(t.Context(), s)); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "token 5 (nightly.acme.g5) and 4 more; if another agent") || strings.Contains(got, "token 6 ") {
		t.Errorf("nine tokens that the journal doesn't know are told as\n%s", got)
	}
}

func TestWrite(t *testing.T) {
	s, api, _ := source(nil)
	api.missing = []string{"PUT /users/{}"}
	var text strings.Builder
	if err := doctor.Write(&text, doctor.Examine(t.Context(), s)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"fault  calls              openapi.json                   the deployment lacks PUT /users/{}; ask the vendor for a version with service tokens\n",
		"ok     backend            vault                          reachable; 2 targets may be written and read\n",
		"\n10 ok, 0 to look at, 1 at fault\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q isn't in\n%s", want, &text)
		}
	}
}
