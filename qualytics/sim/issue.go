package sim

import (
	"net/http"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// order asks for a token.
type order struct {
	account account
	name    string
	// days is the lifetime; 0 is never.
	days int64
	scim bool
	// delay and refusals are a fault's: the token isn't valid at once.
	delay    time.Duration
	refusals int
	// keepDeletedNames is the option's.
	keepDeletedNames bool
}

// issue mints a token; 409 when the account has one of that name.
func (st *store) issue(o order, now time.Time) (token, secret.Value, error) {
	id, named := st.byName[tokenName{o.account.ID, o.name}]
	if old, _ := st.tokens.get(id); named && (old.Deleted.IsZero() || o.keepDeletedNames) {
		return token{}, secret.Value{}, refuse(http.StatusConflict, "Token with name '%s' already exists for this user", o.name)
	}
	t := token{
		ID: st.tokens.next, Name: o.name, Account: o.account.ID,
		Active: true, SCIM: o.scim, Created: now,
	}
	if o.days > 0 {
		t.Expires = now.Truncate(time.Second).AddDate(0, 0, int(o.days))
	}
	if o.delay > 0 {
		t.ValidFrom = now.Add(o.delay)
	}
	value, err := st.keys.mint(t, o.account)
	if err != nil {
		return token{}, secret.Value{}, err
	}
	t.MAC = st.keys.mac(value.Reveal())
	if err := st.commit(change{Token: &t}, now); err != nil {
		return token{}, secret.Value{}, err
	}
	if o.refusals > 0 {
		st.refusals[t.ID] = o.refusals
	}
	return t, value, nil
}

// existing finds a token that isn't deleted.
func (st *store) existing(id int64) (token, error) {
	t, ok := st.tokens.get(id)
	if !ok || !t.Deleted.IsZero() {
		return token{}, refuse(http.StatusNotFound, "Token not found")
	}
	return t, nil
}

// setActive revokes or restores; doing it again changes nothing.
func (st *store) setActive(t token, active bool, now time.Time) (token, error) {
	if t.Active == active {
		return t, nil
	}
	t.Active = active
	return t, st.commit(change{Token: &t}, now)
}

// remove deletes a token for good; 409 when it isn't revoked (the status is a
// guess).
func (st *store) remove(t token, now time.Time) error {
	if t.Active {
		return refuse(http.StatusConflict, "Only revoked tokens can be deleted")
	}
	t.Deleted = now
	return st.commit(change{Token: &t}, now)
}

// notDeleted keeps the tokens that lists show.
func notDeleted(t token) bool { return t.Deleted.IsZero() }
