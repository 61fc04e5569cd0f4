package plan

import (
	"context"
	"errors"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// mirrorOf has one account with one token, number 2.
func mirrorOf(t *testing.T) (*mirror, secret.Value) {
	t.Helper()
	api := rotationtest.NewAPI()
	account, err := api.CreateAccount(t.Context(), rotation.AccountSpec{Name: "CI", Role: "Member"})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := api.Issue(t.Context(), rotation.Order{UserID: account.UserID, AccountID: account.ID, Label: "ci.acme.g1", Days: 30})
	if err != nil {
		t.Fatal(err)
	}
	known := func(fp secret.Fingerprint) (int64, bool) { return issued.ID, fp == issued.Value.Fingerprint() }
	m, err := newMirror(t.Context(), api, known)
	if err != nil {
		t.Fatal(err)
	}
	return m, issued.Value
}

// TestMirrorProvesByTheList: a token is as live as the list and what was done
// since say, and is not used to find out.
func TestMirrorProvesByTheList(t *testing.T) {
	tests := []struct {
		name   string
		change func(*mirror) error
		want   error
	}{
		{"as listed", func(*mirror) error { return nil }, nil},
		{"revoked", func(m *mirror) error { return m.Revoke(t.Context(), 2) }, rotation.ErrDead},
		{"restored", func(m *mirror) error { return errors.Join(m.Revoke(t.Context(), 2), m.Restore(t.Context(), 2)) }, nil},
		{"deleted", func(m *mirror) error { return errors.Join(m.Revoke(t.Context(), 2), m.Delete(t.Context(), 2)) }, rotation.ErrDead},
		{"of a deactivated account", func(m *mirror) error { m.accounts[0].Deactivated = true; return nil }, rotation.ErrDead},
		{"of a deleted account", func(m *mirror) error { m.accounts[0].Deleted = true; return nil }, rotation.ErrDead},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, value := mirrorOf(t)
			if err := test.change(m); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Prove(t.Context(), value); !errors.Is(err, test.want) {
				t.Errorf("proof %v, want %v", err, test.want)
			}
		})
	}
}

func TestMirrorRefusesWhatIsNotThere(t *testing.T) {
	m, _ := mirrorOf(t)
	for name, err := range map[string]error{
		"revoke":           m.Revoke(t.Context(), 99),
		"restore":          m.Restore(t.Context(), 99),
		"delete":           m.Delete(t.Context(), 99),
		"delete when live": m.Delete(t.Context(), 2),
		"update":           m.UpdateAccount(t.Context(), 99, rotation.AccountSpec{}),
	} {
		var api *rotation.APIError
		if !errors.As(err, &api) || !errors.Is(err, rotation.ErrMissing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBookAnswersWhatAPassAsks(t *testing.T) {
	b := newBook(nil)
	rec, err := b.Commit(t.Context(), rotation.Record{Slot: "a/b", Generations: []rotation.Generation{{Number: 1, TokenID: 5, Fingerprint: "f"}}}, rotation.Event{})
	if err != nil || rec.Revision != 1 {
		t.Fatalf("revision %d, %v", rec.Revision, err)
	}
	if back, err := b.Slot(t.Context(), "a/b"); err != nil || back.Revision != 1 {
		t.Errorf("read back revision %d, %v", back.Revision, err)
	}
	if id, ok := b.tokenOf("f"); !ok || id != 5 {
		t.Errorf("token %d, %v", id, ok)
	}
	if _, err := b.Account(t.Context(), "a"); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("unknown account: %v", err)
	}
}

// TestBookRefusesTheRest: what no pass asks for fails, rather than looking like
// an empty journal.
func TestBookRefusesTheRest(t *testing.T) {
	b := newBook(nil)
	_, added := b.AddRequest(t.Context(), rotation.Request{})
	_, all := b.AddRequests(t.Context(), nil)
	_, request := b.Request(t.Context(), 1)
	_, history := b.History(t.Context(), rotation.HistoryFilter{})
	for _, slots := range b.Slots(t.Context()) {
		for _, err := range []error{added, all, request, history, slots} {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("error %v", err)
			}
		}
		return
	}
	t.Error("Slots yields nothing")
}

func TestShelfHidesItsStore(t *testing.T) {
	store := mem.New(mem.LikeAWS())
	ref := backends.Ref{Backend: "aws", Path: "ci"}
	store.Overwrite("ci", secret.New("old"))
	s := &shelf{base: store.Backend()}
	if _, ok := backends.As[backends.Stager](backends.Backend(s)); ok {
		t.Error("a shelf stages into its store")
	}
	if err := s.Check(t.Context(), ref); err != nil {
		t.Errorf("check of a store that can't be asked: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(cancelled, ref, backends.Item{Payload: secret.New("new")}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("put after the end of ctx: %v", err)
	}
	wantStage(t, s, ref, backends.Current, "old")
	if _, err := s.Put(t.Context(), ref, backends.Item{Payload: secret.New("new")}, ""); err != nil {
		t.Fatal(err)
	}
	wantStage(t, s, ref, backends.Current, "new")
	wantStage(t, s, ref, backends.Previous, "old")
	if err := s.Close(); err != nil || !store.Peek("ci").Equal(secret.New("old")) || store.Written("ci") != 1 {
		t.Errorf("the store was changed, or closed: %v", err)
	}
	if _, _, err := s.Get(t.Context(), ref, backends.Previous); err != nil {
		t.Errorf("the store is closed: %v", err)
	}
}

func wantStage(t *testing.T, s *shelf, ref backends.Ref, at backends.Stage, want string) {
	t.Helper()
	item, _, err := s.Get(t.Context(), ref, at)
	if err != nil || !item.Payload.Equal(secret.New(want)) {
		t.Errorf("%s isn't %q: %v", at, want, err)
	}
}
