package report_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func problems(doc report.Document) []string {
	doc.Now = now
	var got []string
	for _, p := range doc.Problems() {
		got = append(got, p.String())
	}
	return got
}

func TestProblemsOfASlot(t *testing.T) {
	status := func(change func(*rotation.Status)) rotation.Status {
		s := rotation.Status{Slot: "a@service/t", State: rotation.SlotCurrent, Reason: rotation.AtRest,
			Generation: 3, TokenID: 456, ExpiresAt: at(300 * day)}
		change(&s)
		return s
	}
	target := func(state rotation.TargetState, reason rotation.Reason, retryAt *time.Time) func(*rotation.Status) {
		return func(s *rotation.Status) {
			s.State = rotation.SlotDelivering
			s.Targets = []rotation.TargetStatus{{Backend: "vault", Path: "ci", State: state, Reason: reason, RetryAt: retryAt}}
		}
	}
	tests := map[string]struct {
		status rotation.Status
		want   []string
	}{
		"at rest":             {status(func(*rotation.Status) {}), nil},
		"never expires":       {status(func(s *rotation.Status) { s.ExpiresAt = nil }), nil},
		"rotating as planned": {status(func(s *rotation.Status) { s.State, s.Reason = rotation.SlotIssuing, rotation.Age }), nil},
		"delivering":          {status(target(rotation.Behind, rotation.TargetOlder, nil)), nil},
		"target in step":      {status(target(rotation.InStep, rotation.TargetServes, nil)), nil},
		"in its grace": {status(func(s *rotation.Status) {
			s.Retired = []rotation.RetiredStatus{{Generation: 2, State: rotation.Grace}}
		}), nil},
		"emergency": {status(func(s *rotation.Status) {
			s.Emergency = &rotation.EmergencyReport{Revoked: []rotation.RevokedToken{{TokenID: 1}}, Alive: []rotation.AliveToken{{TokenID: 2}, {TokenID: 3}},
				Targets: []rotation.EmergencyTarget{{}, {Delivered: true}}, Deadline: at(20 * time.Second)}
		}), []string{"a@service/t: emergency: 1 token dead, 2 tokens alive, 1 target left; deadline in 20s"}},
		"expired": {status(func(s *rotation.Status) { s.ExpiresAt = at(-time.Hour) }),
			[]string{"a@service/t: token 456 (g3) expired 1h ago"}},
		"expires now": {status(func(s *rotation.Status) { s.ExpiresAt = at(0) }),
			[]string{"a@service/t: token 456 (g3) expired now"}},
		"expired, and so to be replaced": {status(func(s *rotation.Status) {
			s.ExpiresAt, s.State, s.Reason = at(-time.Hour), rotation.SlotIssuing, rotation.TokenExpired
		}), []string{"a@service/t: token 456 (g3) expired 1h ago"}},
		"blocked": {status(func(s *rotation.Status) { s.State, s.Reason = rotation.SlotBlocked, rotation.IssueRefused }),
			[]string{"a@service/t: blocked: issue_refused; mend it, then: handover resume a@service/t"}},
		"revoked by others": {status(func(s *rotation.Status) { s.State, s.Reason = rotation.SlotIssuing, rotation.RevokedByOthers }),
			[]string{"a@service/t: token 456 (g3) has to be replaced: revoked_by_others"}},
		"target out of reach": {status(target(rotation.Behind, rotation.TargetUnreachable, at(2*time.Minute))),
			[]string{"a@service/t: vault/ci: behind: target_unreachable; next try in 2m"}},
		"target foreign": {status(target(rotation.Foreign, rotation.TargetHoldsForeign, nil)),
			[]string{"a@service/t: vault/ci: target_holds_foreign_value; take the value away, or declare on_foreign: take_over"}},
		"target blocked": {status(target(rotation.TargetBlocked, rotation.TargetRefused, nil)),
			[]string{"a@service/t: vault/ci: blocked: target_refused"}},
		"unclaimed": {status(func(s *rotation.Status) {
			s.Retired = []rotation.RetiredStatus{{Generation: 2, TokenID: 9, State: rotation.Unclaimed, Until: at(3 * day)}}
		}), []string{"a@service/t: token 9 (g2) is unclaimed: if it is ours, handover resume --adopt a@service/t; else it stays until its end, in 3d"}},
		"unclaimed for ever": {status(func(s *rotation.Status) {
			s.Retired = []rotation.RetiredStatus{{Generation: 2, TokenID: 9, State: rotation.Unclaimed}}
		}), []string{"a@service/t: token 9 (g2) is unclaimed: if it is ours, handover resume --adopt a@service/t; else it stays until its end, which is never"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := problems(report.Document{Slots: []rotation.Status{test.status}})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemsOfTheAgent(t *testing.T) {
	tests := map[string]struct {
		doc  report.Document
		want []string
	}{
		"none":   {report.Document{Declaration: &report.Declaration{LoadedAt: now}, CredentialExpiresAt: at(31 * day)}, nil},
		"held":   {report.Document{Held: &report.Held{Until: now.Add(30 * time.Second), Reason: rotation.APIThrottled}}, []string{"calls to Qualytics wait: api_throttled; next try in 30s"}},
		"reload": {report.Document{Declaration: &report.Declaration{Error: "agent.yaml:3:1: unknown key\nagent.yaml:4:1: too"}}, []string{"the last reload failed, the older declaration is in force: agent.yaml:3:1: unknown key agent.yaml:4:1: too"}},
		"credential refused": {report.Document{Held: &report.Held{Until: now.Add(time.Minute), Reason: rotation.CredentialRefused}},
			[]string{"calls to Qualytics wait: credential_refused; next try in 1m; renew the agent's credential, or give it the role Admin"}},
		"credential near its end": {report.Document{CredentialExpiresAt: at(29 * day)},
			[]string{"the agent's own credential expires in 29d: put a new one in its place"}},
		"credential at its end": {report.Document{CredentialExpiresAt: at(-day)},
			[]string{"the agent's own credential expired 1d ago: put a new one in its place"}},
		"credential that the agent rotates": {report.Document{CredentialExpiresAt: at(6 * day),
			Credential: &report.Credential{From: "vault/admin", Slot: "h@service/agent", Since: at(-day), WarnAt: at(day)}}, nil},
		"credential that the agent rotates, late": {report.Document{CredentialExpiresAt: at(6 * day),
			Credential: &report.Credential{From: "vault/admin", Slot: "h@service/agent", Since: at(-day), WarnAt: at(-day)}},
			[]string{"the agent's own credential expires in 6d: the agent should have replaced it; see: handover explain h@service/agent"}},
		"another credential": {report.Document{Credential: &report.Credential{From: "previous version of vault/admin", Since: at(-day), Error: "it is\ndead"}},
			[]string{"the agent works with the credential from previous version of vault/admin, for another that it should work with isn't to be had: it is dead"}},
		"no credential": {report.Document{Credential: &report.Credential{From: "vault/admin", Error: "nothing stands there"}},
			[]string{"the agent has no credential of its own: nothing stands there"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, problems(test.doc)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemsTheWorstFirst(t *testing.T) {
	doc := report.Document{Held: &report.Held{Until: now.Add(time.Minute), Reason: rotation.APIUnavailable}, Slots: []rotation.Status{
		{Slot: "1", Retired: []rotation.RetiredStatus{{State: rotation.Unclaimed}}},
		{Slot: "2", Targets: []rotation.TargetStatus{{State: rotation.Foreign}}},
		{Slot: "3", State: rotation.SlotBlocked},
		{Slot: "4", ExpiresAt: at(-time.Hour)},
		{Slot: "5", ExpiresAt: at(-time.Hour)},
		{Slot: "6", Emergency: &rotation.EmergencyReport{}},
	}}
	doc.Now = now
	var got []string
	for _, p := range doc.Problems() {
		got = append(got, p.Slot)
	}
	if diff := cmp.Diff([]string{"", "6", "4", "5", "3", "2", "1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsOfHooks(t *testing.T) {
	for name, test := range map[string]struct {
		hook rotation.HookStatus
		want []string
	}{
		"it runs": {rotation.HookStatus{Hook: "/bin/reload", After: rotation.AfterDelivery, Backend: "vault", Path: "ci", Generation: 3}, nil},
		"required": {rotation.HookStatus{Hook: "/bin/reload", After: rotation.AfterDelivery, Backend: "vault", Path: "ci", Generation: 3,
			Required: true, Attempts: 2, RetryAt: at(2 * time.Minute)},
			[]string{"a@service/t: hook /bin/reload after the delivery of g3 to vault/ci failed 2 times; " +
				"no older token is revoked before it succeeds; next try in 2m; the log says why"}},
		"after a revocation": {rotation.HookStatus{Hook: "ops.acme.example", After: rotation.AfterRevocation, Generation: 2, Attempts: 1, RetryAt: at(time.Second)},
			[]string{"a@service/t: hook ops.acme.example after the revocation of g2 failed 1 time; next try in 1s; the log says why"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := problems(report.Document{Slots: []rotation.Status{{Slot: "a@service/t", State: rotation.SlotCurrent, Hooks: []rotation.HookStatus{test.hook}}}})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
