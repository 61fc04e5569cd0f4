package rotation

import (
	"slices"
	"testing"
	"time"
)

var accountSpec = AccountSpec{Name: "Pipeline Automation", Role: "Editor", Teams: []string{"Data Engineering"}}

// accountCase is a record and a list, and what to do next.
type accountCase struct {
	name   string
	rec    AccountRecord
	listed *Account
	listAt time.Time // the zero time is now
	want   accountStep
	why    Reason // "": not asked
}

func tryAccounts(t *testing.T, cases []accountCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			if tt.listAt.IsZero() {
				tt.listAt = worldStart
			}
			got, why := nextAccount(tt.rec, tt.listed, accountSpec, tt.listAt, worldStart)
			if got != tt.want || tt.why != "" && why != tt.why {
				t.Errorf("step %d (%q), want %d (%q)", got, why, tt.want, tt.why)
			}
		})
	}
}

func listed(change func(a *Account)) *Account {
	a := &Account{UserID: 7, ID: worldAccount, Role: "Editor", Teams: []string{"Public", "Data Engineering"}}
	change(a)
	return a
}

func asListed(*Account) {}

func asDeleted(a *Account) { a.Deleted = true }

func known(change func(r *AccountRecord)) AccountRecord {
	r := AccountRecord{ID: worldAccount, UserID: 7, Applied: accountSpec.key()}
	change(&r)
	return r
}

func asKnown(*AccountRecord) {}

func TestNextMakesAnAccountAsDeclared(t *testing.T) {
	now, spec := worldStart, accountSpec
	tryAccounts(t, []accountCase{
		{name: "not there", rec: AccountRecord{}, want: accountCreate},
		{name: "not there, and a create failed just now", rec: AccountRecord{RetryAt: now.Add(1)}, want: accountWait, why: BackOff},
		{name: "not there, and it may not be made", rec: AccountRecord{Blocked: AccountRefused, Applied: spec.key()}, want: accountWait, why: AccountRefused},
		{name: "declared otherwise since it was refused", rec: AccountRecord{Blocked: AccountRefused, Applied: "x"}, want: accountUnblock, why: DeclarationChanged},
		{name: "deleted before this journal began", rec: AccountRecord{}, listed: listed(asDeleted), want: accountBlock, why: AccountGone},
		{name: "still deleted", rec: AccountRecord{Blocked: AccountGone}, listed: listed(asDeleted), want: accountWait, why: AccountGone},
		{name: "deleted, and no longer listed", rec: AccountRecord{Blocked: AccountGone}, want: accountWait, why: AccountGone},
		{name: "deleted, and a person wants it back", rec: AccountRecord{Remake: true}, listed: listed(asDeleted), want: accountCreate},
		{name: "there already", rec: AccountRecord{}, listed: listed(asListed), want: accountAdopt},
		{name: "made by a process that crashed", rec: AccountRecord{Intended: true}, listed: listed(asListed), want: accountAdopt},
		{name: "made again by others", rec: known(func(r *AccountRecord) { r.UserID = 6 }), listed: listed(asListed), want: accountAdopt},
		{name: "as declared", rec: known(asKnown), listed: listed(asListed), want: accountReady},
		{name: "others changed its role", rec: known(asKnown), listed: listed(func(a *Account) { a.Role = "Member" }), want: accountReady},
		{name: "another role is declared", rec: known(func(r *AccountRecord) { r.Applied = "Member\n" }),
			listed: listed(func(a *Account) { a.Role = "Member" }), want: accountUpdate, why: DeclarationChanged},
		{name: "another role is declared, and it has it", rec: known(func(r *AccountRecord) { r.Applied = "Member\n" }), listed: listed(asListed), want: accountApplied},
		{name: "an update failed just now: its tokens don't wait", rec: known(func(r *AccountRecord) {
			r.Applied, r.RetryAt = "Member\n", now.Add(1)
		}), listed: listed(func(a *Account) { a.Role = "Member" }), want: accountReady, why: BackOff},
	})
}

func TestNextSeesThatAnAccountIsGone(t *testing.T) {
	now := worldStart
	missing := func(r *AccountRecord) { r.MissingAt = now.Add(-missGap) }
	tryAccounts(t, []accountCase{
		{name: "a first list lacks it", rec: known(asKnown), want: accountMissed, why: AccountGone},
		{name: "deleted, by a first list", rec: known(asKnown), listed: listed(func(a *Account) { a.Deleted = true }), want: accountMissed, why: AccountGone},
		{name: "the same list lacks it", rec: known(missing), listAt: now.Add(-missGap), want: accountRelist, why: AccountGone},
		{name: "a second list lacks it", rec: known(missing), listAt: now, want: accountBlock, why: AccountGone},
		{name: "gone stays gone", rec: known(func(r *AccountRecord) { r.Blocked = AccountGone }), listAt: now, want: accountWait, why: AccountGone},
		{name: "it is listed again", rec: known(missing), listed: listed(asListed), want: accountFound},
		{name: "it is there again after it was gone", rec: known(func(r *AccountRecord) { r.Blocked = AccountGone }), listed: listed(asListed),
			want: accountUnblock, why: AccountGone},
		{name: "deactivated", rec: known(asKnown), listed: listed(func(a *Account) { a.Deactivated = true }), want: accountBlock, why: AccountDeactivated},
		{name: "still deactivated", rec: known(func(r *AccountRecord) { r.Blocked = AccountDeactivated }),
			listed: listed(func(a *Account) { a.Deactivated = true }), want: accountWait, why: AccountDeactivated},
		{name: "reactivated", rec: known(func(r *AccountRecord) { r.Blocked = AccountDeactivated }), listed: listed(asListed),
			want: accountUnblock, why: AccountDeactivated},
	})
}

func TestNextTakesAnAccountOutOfUse(t *testing.T) {
	asked := func(change func(r *AccountRecord)) AccountRecord {
		return known(func(r *AccountRecord) { r.Deactivate = true; change(r) })
	}
	tryAccounts(t, []accountCase{
		{name: "in use", rec: asked(asKnown), listed: listed(asListed), want: accountDeactivate},
		{name: "in use, and not as declared", rec: asked(func(r *AccountRecord) { r.Applied = "x" }), listed: listed(asListed), want: accountDeactivate},
		{name: "it failed just now", rec: asked(func(r *AccountRecord) { r.RetryAt = worldStart.Add(1) }), listed: listed(asListed), want: accountWait, why: BackOff},
		{name: "it was said to be done, too often", rec: asked(func(r *AccountRecord) { r.Attempts = maxDeactivate }), listed: listed(asListed), want: accountStaysOn},
		{name: "out of use", rec: asked(asKnown), listed: listed(func(a *Account) { a.Deactivated = true }), want: accountIsOff},
		{name: "deleted", rec: asked(asKnown), listed: listed(asDeleted), want: accountIsOff},
		{name: "never made", rec: AccountRecord{Deactivate: true}, want: accountIsOff},
	})
}

func TestSpecKey(t *testing.T) {
	base := AccountSpec{Role: "Editor", Teams: []string{"A", "B"}}
	for name, tt := range map[string]struct {
		spec AccountSpec
		same bool
	}{
		"another order":            {AccountSpec{Role: "Editor", Teams: []string{"B", "A"}}, true},
		"with the team of all":     {AccountSpec{Role: "Editor", Teams: []string{"Public", "B", "A"}}, true},
		"another name":             {AccountSpec{Name: "X", Role: "Editor", Teams: []string{"A", "B"}}, true},
		"another role":             {AccountSpec{Role: "Member", Teams: []string{"A", "B"}}, false},
		"a team less":              {AccountSpec{Role: "Editor", Teams: []string{"A"}}, false},
		"a team more":              {AccountSpec{Role: "Editor", Teams: []string{"A", "B", "C"}}, false},
		"no teams, and that role":  {AccountSpec{Role: "Editor"}, false},
		"two teams written as one": {AccountSpec{Role: "Editor", Teams: []string{"A B"}}, false},
	} {
		if (tt.spec.key() == base.key()) != tt.same {
			t.Errorf("%s: %q beside %q, want the same: %v", name, tt.spec.key(), base.key(), tt.same)
		}
	}
	teams := []string{"B", "Public", "A"}
	AccountSpec{Teams: teams}.key()
	if !slices.Equal(teams, []string{"B", "Public", "A"}) {
		t.Errorf("key changed the declaration's teams: %v", teams)
	}
}
