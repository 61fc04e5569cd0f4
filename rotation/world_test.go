package rotation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// world is all that Next can be asked about, without I/O: an API and targets
// that are plain values, a record, and the memory of a process. Its choices are
// rapid's.
type world struct {
	t   *rapid.T
	pol Policy
	now time.Time
	rec Record
	obs Observation

	account AccountSeen
	tokens  []worldToken
	frozen  []Token // what a list that lags still shows; nil: no lag
	places  map[string]*place
	lastID  int64
	apiDown bool

	process  int
	values   map[uint64]secret.Value
	posted   map[uint64]time.Time
	checked  map[string]time.Time
	versions map[string]backends.Version
	held     Held
	requests []Request
	closed   int64 // requests up to here were added
}

type worldToken struct {
	Token
	value secret.Value
}

type place struct {
	value secret.Value
	meta  backends.Meta
	lossy bool
	down  bool
}

var worldStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const worldAccount = "pipeline_automation@service"

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: worldStart, places: map[string]*place{}, account: AccountSeen{UserID: 7},
		values: map[uint64]secret.Value{}, posted: map[uint64]time.Time{}, checked: map[string]time.Time{},
		versions: map[string]backends.Version{}}
	w.pol = testPolicy("a/one", "b/two", "c/three")
	w.pol.Targets[2].Lossy = true
	for _, t := range w.pol.Targets {
		w.places[t.Key] = &place{lossy: t.Lossy}
	}
	w.rec = Record{Slot: w.pol.Slot}
	return w
}

// testPolicy declares a slot with targets of these keys.
func testPolicy(keys ...string) Policy {
	pol := Policy{Slot: Slot(worldAccount, "production"), AgentID: "acme", AccountID: worldAccount, Token: "production",
		Account: AccountSpec{Name: "Pipeline Automation", Role: "Editor"}, DriftCheck: time.Hour, Sweep: 6 * time.Hour,
		Schedule: Schedule{Lifetime: 30 * Day, Every: 20 * Day, Grace: 2 * Day, Hold: 2 * Day, Quiet: Day, Observe: 2 * Day}}
	for _, key := range keys {
		pol.Targets = append(pol.Targets, TargetPolicy{Key: key})
	}
	return pol
}

// testToken is a JWT whose claims name the account.
func testToken(account string, id int64) secret.Value {
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256,
		jwt.MapClaims{"sub": account, "jti": strconv.FormatInt(id, 10)}).SignedString([]byte("a key of the tests"))
	if err != nil {
		text = fmt.Sprintf("token-%d", id)
	}
	return secret.New(text)
}

func (w *world) mint(label string) worldToken {
	w.lastID++
	t := worldToken{Token: Token{ID: w.lastID, Label: label, UserID: 7, AccountID: worldAccount, Active: true,
		Created: w.now, Expires: w.now.Add(w.pol.Schedule.Lifetime)}, value: testToken(worldAccount, w.lastID)}
	w.tokens = append(w.tokens, t)
	return t
}

func (w *world) list() []Token {
	if w.frozen != nil {
		return slices.Clone(w.frozen)
	}
	list := []Token{}
	for _, t := range w.tokens {
		list = append(list, t.Token)
	}
	return list
}

func (w *world) token(id int64) *worldToken {
	for i := range w.tokens {
		if w.tokens[i].ID == id {
			return &w.tokens[i]
		}
	}
	return nil
}

func (w *world) works(value secret.Value) bool {
	return slices.ContainsFunc(w.tokens, func(t worldToken) bool { return t.Live(w.now) && t.value.Equal(value) })
}

// taken: a label is unique on its account.
func (w *world) taken(label string) bool {
	return slices.ContainsFunc(w.tokens, func(t worldToken) bool { return t.Label == label })
}

// begin is what a pass knows before it looks.
func (w *world) begin() {
	w.obs = Observation{Process: fmt.Sprint("process-", w.process), Began: w.now, Requests: slices.Clone(w.requests),
		Targets: map[string]TargetSeen{}, Checks: map[string]Reason{}, Proofs: map[uint64]Proof{},
		Others: map[secret.Fingerprint]Proof{}, Found: map[uint64]Finding{}, Posted: w.posted, Checked: w.checked,
		Versions: w.versions, Held: w.held}
}

// commit stores the record as a journal does.
func (w *world) commit(change func(*Record) Event) {
	rec := w.rec.clone()
	change(&rec)
	text, err := json.Marshal(rec)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rec = Record{Revision: w.rec.Revision + 1}
	if err := json.Unmarshal(text, &w.rec); err != nil {
		w.t.Fatal(err)
	}
	if field, err := w.rec.Check(); err != nil { // a journal would not give it back
		w.t.Fatalf("a transition wrote a %s that no journal gives back: %v", field, err)
	}
}

func (w *world) note(a Action) {
	worker := &work{e: &Engine{process: w.obs.Process}, pol: &w.pol, obs: w.obs}
	w.commit(func(r *Record) Event {
		if resume, ok := a.(Resume); ok {
			return r.resume(resume)
		}
		return r.apply(a, worker, w.now)
	})
	if _, ok := a.(Resume); ok {
		w.account.Blocked = ""
	}
}

// act does one action of a set.
func (w *world) act(a Action) {
	switch a := a.(type) {
	case LookTokens:
		if !w.holds() {
			w.obs.Tokens = &TokensSeen{At: w.now, Mine: w.list()}
		}
	case EnsureAccount:
		seen := w.account
		seen.At = w.now
		if w.holds() {
			seen = AccountSeen{At: w.now, RetryAt: w.held.Until}
		}
		w.obs.Account = &seen
	case Read:
		w.read(a.Target)
	case Glance:
		w.glance(a.Target)
	case Check:
		w.obs.Checks[a.Target] = w.unready(a.Target)
	case Find:
		w.find(a.Generation)
	case Prove:
		w.prove(a.Generation)
	case ProveOther:
		token := w.obs.Targets[a.Target].Reading.Token
		w.obs.Others[token.Fingerprint()] = Proof{At: w.now, Result: w.use(token)}
	case CloseRequest:
		w.requests = slices.DeleteFunc(w.requests, func(r Request) bool { return r.ID == a.Request })
		w.obs.Requests = slices.Clone(w.requests)
	case Issue:
		w.issue()
	case Deliver:
		w.deliver(a.Target)
	case Revoke:
		if a.Condemned {
			w.revokeCondemned(a.Generation)
			return
		}
		w.retire(a.Generation, Revoking)
	case RevokeForeign:
		w.revokeForeign()
	case Restore:
		w.restore(a.Generation)
	case Deactivate, Decline:
		var id int64
		if d, ok := a.(Decline); ok {
			id = d.Request
		} else {
			id, w.account.Blocked = a.(Deactivate).Request, AccountDeactivated
		}
		w.note(a)
		w.act(CloseRequest{Request: id})
	case Delete:
		w.retire(a.Generation, Deleting)
	default:
		w.note(a)
	}
}

// holds makes every call wait when the API is down.
func (w *world) holds() bool {
	if w.apiDown {
		w.held = Held{Until: w.now.Add(time.Minute), Reason: APIUnavailable}
		w.obs.Held = w.held
	}
	return w.apiDown
}

func (w *world) unready(key string) Reason {
	if w.places[key].down {
		return TargetUnreachable
	}
	return ""
}

func (w *world) read(key string) {
	p := w.places[key]
	if p.down {
		w.obs.Targets[key] = TargetSeen{At: w.now, Failed: TargetUnreachable, RetryAt: w.now.Add(time.Minute)}
		return
	}
	w.checked[key] = w.now
	r := backends.Reading{Present: !p.value.IsZero(), Payload: p.value.Fingerprint(), Meta: p.meta}
	if !p.lossy {
		r.Token = p.value
	}
	w.obs.Targets[key] = TargetSeen{At: w.now, Reading: r}
	w.versions[key] = p.version()
}

// version names what stands at a place.
func (p *place) version() backends.Version { return backends.Version(p.value.Fingerprint()) }

func (w *world) glance(key string) {
	p := w.places[key]
	switch {
	case p.down:
		w.obs.Targets[key] = TargetSeen{At: w.now, Failed: TargetUnreachable, RetryAt: w.now.Add(time.Minute)}
	case w.rec.unmoved(p.meta, p.version(), w.versions[key]):
		w.checked[key] = w.now
		return
	}
	delete(w.versions, key)
}

func (w *world) find(number uint64) {
	fp := w.rec.generation(number).Fingerprint
	w.obs.Found[number] = NotFound
	if !w.values[number].IsZero() {
		w.obs.Found[number] = AtHand
		return
	}
	for _, p := range w.places {
		switch {
		case p.down && w.obs.Found[number] == NotFound:
			w.obs.Found[number] = NotKnown
		case !p.down && !p.lossy && p.value.Fingerprint() == fp && fp != "":
			w.values[number], w.obs.Found[number] = p.value, AtHand
		}
	}
}

func (w *world) prove(number uint64) {
	var value secret.Value
	if g := w.rec.generation(number); g != nil && g.Fingerprint != "" {
		w.find(number)
		value = w.values[number]
	}
	if value.IsZero() {
		w.obs.Proofs[number] = Proof{At: w.now, Result: NoValue}
		return
	}
	result := w.use(value)
	w.obs.Proofs[number] = Proof{At: w.now, Result: result}
	if result == ProvedLive {
		w.commit(func(r *Record) Event { return r.proved(number, w.now) })
	}
}

func (w *world) use(value secret.Value) ProofResult {
	switch {
	case w.holds():
		return NotProved
	case w.works(value):
		return ProvedLive
	}
	return ProvedDead
}

var errLost = errors.New("the answer was lost")

// lost draws whether a call is done, and whether its answer arrives.
func (w *world) lost() (done bool, err error) {
	if w.holds() {
		return false, errLost
	}
	switch rapid.IntRange(0, 9).Draw(w.t, "call") {
	case 0:
		return false, errLost
	case 1:
		return true, errLost
	}
	return true, nil
}

func (w *world) issue() {
	intent := *w.rec.Intent
	again := !w.posted[intent.Generation].IsZero()
	w.posted[intent.Generation] = w.now
	list := w.obs.Tokens
	w.obs.Tokens = nil
	if w.taken(intent.Label) {
		claimed := again || intent.Process != w.obs.Process
		w.commit(func(r *Record) Event { return r.burn(Burn{Claimed: claimed}) })
		return
	}
	done, err := w.lost()
	var t worldToken
	if done {
		t = w.mint(intent.Label)
	}
	if err != nil {
		w.commit(func(r *Record) Event { return r.postponeIssue(OutcomeUnknown, 0, w.now) })
		return
	}
	w.values[intent.Generation], w.obs.Found[intent.Generation] = t.value, AtHand
	w.obs.Tokens = patched(list, w.now, func(mine []Token) []Token { return append(mine, t.Token) })
	w.commit(func(r *Record) Event {
		return r.issued(Issued{ID: t.ID, Value: t.value, Expires: t.Expires}, w.pol.Schedule, w.now)
	})
}

func (w *world) deliver(key string) {
	g, p := *w.rec.current(), w.places[key]
	value := w.values[g.Number]
	w.commit(func(r *Record) Event { return r.sending(key, value.Fingerprint()) })
	done, err := !p.down, error(nil)
	if rapid.IntRange(0, 9).Draw(w.t, "put") == 0 {
		err = errLost
	}
	if done {
		p.value = value
		p.meta = backends.Meta{Slot: w.pol.Slot, Generation: g.Number, TokenID: g.TokenID, Token: g.Fingerprint, Expires: g.Expires}
	}
	if !done || err != nil {
		delete(w.obs.Targets, key)
		w.commit(func(r *Record) Event { return r.deliverFailed(key, TargetUnreachable, 0, w.now) })
		return
	}
	w.read(key)
	w.commit(func(r *Record) Event { return r.delivered(key, w.now) })
}

func (w *world) retire(number uint64, to State) {
	if w.rec.generation(number).State != to {
		w.commit(func(r *Record) Event { return r.move(Move{Generation: number, To: to}, w.now) })
	}
	id := w.rec.generation(number).TokenID
	done, err := w.lost()
	list, t := w.obs.Tokens, w.token(id)
	w.obs.Tokens = nil
	if to == Deleting && t != nil && t.Active { // refused, whatever a list that lags says
		done, err = false, errLost
	}
	if err == nil {
		w.obs.Tokens = patched(list, w.now, func(mine []Token) []Token { return changed(mine, id, to) })
	}
	switch {
	case !done || t == nil:
	case to == Revoking:
		t.Active = false
	default:
		w.tokens = slices.DeleteFunc(w.tokens, func(t worldToken) bool { return t.ID == id })
	}
	w.commit(func(r *Record) Event {
		switch {
		case err != nil:
			return r.retireFailed(number, ActRevokeFailed, APIUnavailable, w.now)
		case to == Revoking:
			return r.revoked(number, Retired, w.now)
		}
		return r.deleted(number, w.now)
	})
}

// revokeCondemned and revokeForeign are the same in an emergency.
func (w *world) revokeCondemned(number uint64) {
	id := w.rec.generation(number).TokenID
	missing, err := w.kill(id)
	w.commit(func(r *Record) Event {
		if err != nil {
			return r.retireFailed(number, ActRevokeFailed, APIUnavailable, w.now)
		}
		r.tellRevoked(RevokedToken{TokenID: id, Generation: number, At: w.now, Missing: missing})
		return r.revoked(number, Leaked, w.now)
	})
}

func (w *world) revokeForeign() {
	missing, err := w.kill(w.rec.Emergency.TokenID)
	w.commit(func(r *Record) Event {
		if err != nil {
			return r.foreignFailed(APIUnavailable, w.now)
		}
		return r.revokedForeign(missing, w.now)
	})
}

func (w *world) restore(number uint64) {
	id := w.rec.generation(number).TokenID
	done, err := w.lost()
	list, t := w.obs.Tokens, w.token(id)
	w.obs.Tokens = nil
	if done && t != nil {
		t.Active = true
	}
	if err == nil {
		w.obs.Tokens = patched(list, w.now, func(mine []Token) []Token {
			for i := range mine {
				mine[i].Active = mine[i].Active || mine[i].ID == id
			}
			return mine
		})
	}
	w.commit(func(r *Record) Event {
		switch {
		case err != nil:
			return r.retireFailed(number, ActRestoreFailed, APIUnavailable, w.now)
		case t == nil:
			return r.notRestored(number, IssueRefused)
		}
		return r.restored(number, w.pol.Schedule.Grace, w.now)
	})
}

// kill revokes a token, or fails.
func (w *world) kill(id int64) (missing bool, err error) {
	done, err := w.lost()
	list, t := w.obs.Tokens, w.token(id)
	w.obs.Tokens = nil
	if done && t != nil {
		t.Active = false
	}
	if err == nil {
		w.obs.Tokens = patched(list, w.now, func(mine []Token) []Token { return changed(mine, id, Revoking) })
	}
	return t == nil, err
}

// patched is the list at hand with a change that is known.
func patched(list *TokensSeen, now time.Time, change func([]Token) []Token) *TokensSeen {
	if list == nil {
		return nil
	}
	return &TokensSeen{At: now, Mine: change(slices.Clone(list.Mine)), Patched: true}
}

// changed is the list after a token was revoked or deleted.
func changed(mine []Token, id int64, to State) []Token {
	if to == Deleting {
		return slices.DeleteFunc(mine, func(t Token) bool { return t.ID == id })
	}
	for i := range mine {
		mine[i].Active = mine[i].Active && mine[i].ID != id
	}
	return mine
}
