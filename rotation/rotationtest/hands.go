package rotationtest

import (
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// hands is what a test may change of an API: other people's doing, and the
// API's own moods.
type hands struct {
	ahead      time.Duration
	lag        time.Duration
	validAfter time.Duration
	refusal    error
	days       *int
	reserved   bool
	useEvery   time.Duration
	past       []pastList
}

// pastList is the list as it was until a change.
type pastList struct {
	until time.Time
	list  []rotation.Token
}

// remember keeps the list as it is before a change. The API is locked.
func (a *API) remember() {
	if a.hands.lag > 0 {
		a.hands.past = append(a.hands.past, pastList{until: time.Now(), list: a.listed()})
	}
}

// late is the list as it was before the lag.
func (h *hands) late(now []rotation.Token) []rotation.Token {
	for _, p := range h.past {
		if p.until.After(time.Now().Add(-h.lag)) {
			return slices.Clone(p.list)
		}
	}
	return now
}

// SetClock moves the API's clock ahead of the bubble's, which is the agent's
// local one.
func (a *API) SetClock(ahead time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.ahead = ahead
}

// SetDays gives every new token a life of that many days, whatever is ordered;
// 0 is never.
func (a *API) SetDays(days int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.days = &days
}

// SetReserved keeps the names of deleted tokens: issuing one again is refused as
// a duplicate. Neither this nor its contrary is documented.
func (a *API) SetReserved(reserved bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.reserved = reserved
}

// SetUseEvery makes last_used move at most once in that time, however often a
// token is used.
func (a *API) SetUseEvery(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.useEvery = d
}

// SetLag makes lists of tokens show changes only some time after they were
// made.
func (a *API) SetLag(lag time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.lag = lag
}

// SetValidAfter makes a token work only some time after it was issued.
func (a *API) SetValidAfter(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.validAfter = d
}

// Refuse answers every call with err, until Refuse(nil).
func (a *API) Refuse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hands.refusal = err
}

// ChangeToken changes a token by hand: OnRevoke isn't told.
func (a *API) ChangeToken(id int64, change func(*rotation.Token)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.byID(id); t != nil {
		a.remember()
		change(&t.Token)
	}
}

// DeleteToken deletes a token by hand, live or not.
func (a *API) DeleteToken(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.byID(id); t != nil {
		a.remember()
		t.gone = true
	}
}

// IssueByHand mints a token as a person does, on an account that exists.
func (a *API) IssueByHand(accountID, label string, days int) (rotation.Token, secret.Value) {
	a.mu.Lock()
	defer a.mu.Unlock()
	order := rotation.Order{AccountID: accountID, Label: label, Days: days}
	if account := a.account(accountID); account != nil {
		order.UserID = account.UserID
	}
	t := a.issue(order)
	return t.Token, t.value
}

// SetAccount changes an account by hand.
func (a *API) SetAccount(id string, change func(*rotation.Account)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.accounts {
		if a.accounts[i].ID == id {
			change(&a.accounts[i])
		}
	}
}

// Within returns the token whose value is somewhere in a payload: it sees
// through formats that don't give their token back.
func (a *API) Within(payload secret.Value) (rotation.Token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.within(payload); t != nil {
		return t.Token, true
	}
	return rotation.Token{}, false
}

// Trace returns the label of a token of which a part stands in the text: twelve
// characters of its signature, in their place.
func (a *API) Trace(text []byte) (label string, found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	const part = 12
	labels := map[[part]byte]string{}
	var begins [1 << 16]bool // the first two bytes of the parts: most of the text is passed over by them
	for _, t := range a.tokens {
		value := t.value.Reveal()
		signature := value[strings.LastIndexByte(value, '.')+1:]
		for ; len(signature) >= part; signature = signature[part:] {
			labels[[part]byte([]byte(signature[:part]))] = t.Label
			begins[int(signature[0])<<8|int(signature[1])] = true
		}
	}
	for i := range len(text) - part + 1 {
		if begins[int(text[i])<<8|int(text[i+1])] {
			if label, found = labels[[part]byte(text[i:])]; found {
				return label, true
			}
		}
	}
	return "", false
}

func (a *API) within(payload secret.Value) *apiToken {
	if i, known := a.holds[payload]; known {
		return &a.tokens[i]
	}
	for i := range a.tokens {
		if strings.Contains(payload.Reveal(), a.tokens[i].value.Reveal()) {
			a.holds[payload] = i
			return &a.tokens[i]
		}
	}
	return nil
}
