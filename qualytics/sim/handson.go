package sim

import (
	"fmt"
	"net/http"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// What a person does in the product's pages. Tokens are named by number,
// accounts by "<id>@service" or a person's e-mail. Refusals read as the API's.

// bootstrapToken is the name of the token that AdminToken mints.
const bootstrapToken = "bootstrap"

// AdminToken returns a token for an Admin service account of that name, and
// makes what is missing: the credential that an agent starts with. With a kept
// state it is the same token again, as long as that lives: the JWT is signed
// anew from what is kept of it.
func (s *Server) AdminToken(name string) (secret.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	value, err := s.adminToken(name, now)
	if err != nil {
		return secret.Value{}, fmt.Errorf("make admin token for %q: %w", name, err)
	}
	return value, nil
}

func (s *Server) adminToken(name string, now time.Time) (secret.Value, error) {
	st := s.store
	a, found := st.accountByUserID(serviceID(name))
	if !found {
		owner, _ := st.accountByUserID(ownerID)
		var err error
		if a, err = st.createService(name, roleAdmin, nil, owner.ID, now); err != nil {
			return secret.Value{}, err
		}
	}
	if a.Role != roleAdmin || a.state() != stateLive {
		return secret.Value{}, fmt.Errorf("the account %s is there, but no active Admin", a.UserID)
	}
	if t, ok := st.tokens.get(st.byName[tokenName{a.ID, bootstrapToken}]); ok && t.Deleted.IsZero() {
		value, err := st.keys.mint(t, a)
		if err != nil {
			return secret.Value{}, err
		}
		if t.state(now) == stateLive && st.keys.mac(value.Reveal()) == t.MAC {
			return value, nil
		}
		t.Active, t.Deleted = false, now
		if err := st.commit(change{Token: &t}, now); err != nil {
			return secret.Value{}, err
		}
	}
	_, value, err := st.issue(order{account: a, name: bootstrapToken}, now)
	return value, err
}

// CreateAccount makes a service account.
func (s *Server) CreateAccount(name, role string, teams ...string) (Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, _ := s.store.accountByUserID(ownerID)
	a, err := s.store.createService(name, role, teams, owner.ID, s.now())
	return a.snapshot(), err
}

// CreatePerson makes a user who isn't a service account.
func (s *Server) CreatePerson(name, email, role string) (Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.store.createPerson(name, email, role, s.now())
	return a.snapshot(), err
}

// CreateTeam makes a team.
func (s *Server) CreateTeam(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.store.createTeam(name, s.now())
	return err
}

// CreateToken mints a token by hand: a foreign one to an agent, whatever its
// label; a personal one for a person. days is the lifetime, 0 never.
func (s *Server) CreateToken(accountID, label string, days int) (int64, secret.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(accountID)
	if err != nil {
		return 0, secret.Value{}, err
	}
	t, value, err := s.store.issue(order{
		account: a, name: label, days: int64(days), keepDeletedNames: s.opts.KeepDeletedNames,
	}, s.now())
	return t.ID, value, err
}

// RevokeToken makes a token invalid at once.
func (s *Server) RevokeToken(id int64) error { return s.setActive(id, false) }

// RestoreToken undoes a revocation.
func (s *Server) RestoreToken(id int64) error { return s.setActive(id, true) }

func (s *Server) setActive(id int64, active bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.store.existing(id)
	if err != nil {
		return err
	}
	_, err = s.store.setActive(t, active, s.now())
	return err
}

// DeleteToken removes a revoked token for good; an active one is refused.
func (s *Server) DeleteToken(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.store.existing(id)
	if err != nil {
		return err
	}
	return s.store.remove(t, s.now())
}

// ExpireToken moves a token's end; the zero time is never. No person can do
// that: it stands for a lifetime that the vendor shortened.
func (s *Server) ExpireToken(id int64, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.store.existing(id)
	if err != nil {
		return err
	}
	t.Expires = at.UTC()
	return s.store.commit(change{Token: &t}, s.now())
}

// DeactivateAccount stops all tokens of an account, until it is reactivated.
func (s *Server) DeactivateAccount(accountID string) error {
	return s.changeAccount(accountID, func(a *account) { a.Deactivated = true })
}

// ReactivateAccount undoes DeactivateAccount.
func (s *Server) ReactivateAccount(accountID string) error {
	return s.changeAccount(accountID, func(a *account) { a.Deactivated = false })
}

// DeleteAccount removes an account. Its tokens stop, and stay listed as
// orphans.
func (s *Server) DeleteAccount(accountID string) error {
	return s.changeAccount(accountID, func(a *account) { a.Deleted = s.now() })
}

// SetRole changes an account's role, at once for all its tokens.
func (s *Server) SetRole(accountID, role string) error {
	return s.changeAccount(accountID, func(a *account) { a.Role = role })
}

func (s *Server) changeAccount(accountID string, edit func(*account)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(accountID)
	if err != nil {
		return err
	}
	edit(&a)
	return s.store.commit(change{Account: &a}, s.now())
}

// account finds an account that isn't deleted.
func (s *Server) account(accountID string) (account, error) {
	a, found := s.store.accountByUserID(accountID)
	if !found || !a.Deleted.IsZero() {
		return account{}, refuse(http.StatusNotFound, "User '%s' not found", accountID)
	}
	return a, nil
}
