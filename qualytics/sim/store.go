package sim

import "time"

// store is all that the instance knows. Every change is one [change], which is
// written to the state file, if there is one, before it is applied. It is not
// safe for concurrent use.
type store struct {
	file     *stateFile // nil: in memory
	keys     keys
	teams    *table[team]
	accounts *table[account]
	tokens   *table[token]

	byUserID map[string]int64
	byMAC    map[string]int64
	byName   map[tokenName]int64
	// refusals counts how often a fresh token is still refused (a fault).
	refusals map[int64]int
}

// tokenName is what is unique.
type tokenName struct {
	account int64
	name    string
}

// change is one line of the state file: exactly one field is set.
type change struct {
	Team    *team    `json:"team,omitempty"`
	Account *account `json:"account,omitempty"`
	Token   *token   `json:"token,omitempty"`
	Used    *used    `json:"used,omitempty"`
}

// used is a new last_used.
type used struct {
	Token int64     `json:"token"`
	At    time.Time `json:"at"`
}

func newStore(k keys) *store {
	return &store{
		keys:     k,
		teams:    newTable[team](firstTeam),
		accounts: newTable[account](firstAccount),
		tokens:   newTable[token](firstToken),
		byUserID: map[string]int64{},
		byMAC:    map[string]int64{},
		byName:   map[tokenName]int64{},
		refusals: map[int64]int{},
	}
}

// commit writes the change and applies it. When it can't be written, nothing
// has changed.
func (st *store) commit(c change, at time.Time) error {
	if st.file != nil {
		if err := st.file.append(c, st); err != nil {
			return err
		}
	}
	st.apply(c, at)
	return nil
}

// apply puts a change into the tables and indexes.
func (st *store) apply(c change, at time.Time) {
	switch {
	case c.Team != nil:
		st.teams.put(*c.Team, at)
	case c.Account != nil:
		st.accounts.put(*c.Account, at)
		st.byUserID[c.Account.UserID] = c.Account.ID
	case c.Token != nil:
		st.tokens.put(*c.Token, at)
		st.byMAC[c.Token.MAC] = c.Token.ID
		st.byName[tokenName{c.Token.Account, c.Token.Name}] = c.Token.ID
	case c.Used != nil:
		if t, ok := st.tokens.get(c.Used.Token); ok {
			t.LastUsed = c.Used.At
			st.tokens.set(t)
		}
	}
}

// accountByUserID finds an account by "<id>@service" or a person's e-mail.
func (st *store) accountByUserID(userID string) (account, bool) {
	return st.accounts.get(st.byUserID[userID])
}
