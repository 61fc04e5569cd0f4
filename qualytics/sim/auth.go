package sim

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// scimBase is where tokens that are restricted to SCIM may go.
const scimBase = "/scim/v2/"

// authenticate finds who calls and sets last_used. 401: no token, or none that
// lives; the answer doesn't say which. 403: a SCIM token outside of SCIM.
func (c *call) authenticate() error {
	scheme, bearer, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	bearer = strings.TrimSpace(bearer)
	if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		return refuse(http.StatusUnauthorized, "Not authenticated")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	st := c.s.store
	t, a, err := st.lookup(bearer, c.now)
	if err == nil && st.refusals[t.ID] > 0 {
		st.refusals[t.ID]--
		err = fmt.Errorf("token %d is not valid yet", t.ID)
	}
	if err != nil {
		c.s.log.DebugContext(c.ctx, "qualytics simulator refused a token", "reason", err.Error())
		return refuse(http.StatusUnauthorized, "Could not validate credentials")
	}
	c.caller = a
	if err := st.use(t, c.now); err != nil {
		c.s.log.ErrorContext(c.ctx, "qualytics simulator can't keep last_used", "token_id", t.ID, "error", err)
	}
	if t.SCIM && !strings.HasPrefix(c.route.path, scimBase) {
		return refuse(http.StatusForbidden, "This token is restricted to SCIM endpoints")
	}
	return nil
}

// lookup finds the live token behind a value and its account. The error says
// what is wrong by number, never by value.
func (st *store) lookup(value string, now time.Time) (token, account, error) {
	id, ok := st.byMAC[st.keys.mac(value)]
	if !ok {
		return token{}, account{}, fmt.Errorf("no such token")
	}
	t, _ := st.tokens.get(id)
	if state := t.state(now); state != stateLive {
		return token{}, account{}, fmt.Errorf("token %d is %s", id, state)
	}
	a, _ := st.accounts.get(t.Account)
	if state := a.state(); state != stateLive {
		return token{}, account{}, fmt.Errorf("token %d is %s", id, state)
	}
	return t, a, nil
}

// usedLag is how far last_used in the state file may be behind.
const usedLag = time.Minute

// use sets last_used.
func (st *store) use(t token, now time.Time) error {
	if !now.After(t.LastUsed) {
		return nil
	}
	u := change{Used: &used{Token: t.ID, At: now}}
	if st.file == nil || now.Sub(st.file.used[t.ID]) <= usedLag {
		st.apply(u, now)
		return nil
	}
	if err := st.commit(u, now); err != nil {
		return err
	}
	st.file.used[t.ID] = now
	return nil
}
