package report_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// The account's tokens alone are told, those of this agent's labels with their
// slot, and which of them Qualytics still takes.
func TestTokensOf(t *testing.T) {
	list := []rotation.Token{
		{ID: 1, AccountID: "a@service", Label: "one.acme.g3", Active: true, Created: now, Expires: now.Add(time.Hour), LastUsed: now},
		{ID: 2, AccountID: "b@service", Label: "one.acme.g1", Active: true},
		{ID: 3, AccountID: "a@service", Label: "by-hand", Active: true},
		{ID: 4, AccountID: "a@service", Label: "one.other.g3", Active: true, Expires: now},
		{ID: 5, AccountID: "a@service", Label: "one.acme.g2"},
	}
	want := report.Tokens{Now: now, Account: "a@service", Tokens: []report.Token{
		{ID: 1, Label: "one.acme.g3", Active: true, Live: true, Slot: "a@service/one", Generation: 3, CreatedAt: at(0), ExpiresAt: at(time.Hour), LastUsedAt: at(0)},
		{ID: 3, Label: "by-hand", Active: true, Live: true},
		{ID: 4, Label: "one.other.g3", Active: true, ExpiresAt: at(0)},
		{ID: 5, Label: "one.acme.g2", Slot: "a@service/one", Generation: 2},
	}}
	if diff := cmp.Diff(want, report.TokensOf(list, "a@service", "acme", now)); diff != "" {
		t.Error(diff)
	}
}
