package rotation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// sameValues lets cmp compare secrets without printing them.
var sameValues = cmp.Comparer(func(a, b secret.Value) bool { return a.Fingerprint() == b.Fingerprint() })

// longestPass is far more steps than any honest pass takes.
const longestPass = 150

// TestNextKeepsItsWord plays random worlds: what people, stores, crashes and
// time can do to a slot. At each decision it asks for what Next promises.
func TestNextKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(5, 40).Draw(t, "passes") {
			w.pass()
			w.happen()
		}
	})
}

// pass plays one pass to its end.
func (w *world) pass() {
	w.begin()
	var trail []string
	for range longestPass {
		actions, _ := w.next()
		if wait, ok := actions[0].(Wait); ok {
			if !wait.Until.After(w.now) {
				w.t.Fatalf("the pass at %s waits until %s", w.now, wait.Until)
			}
			return
		}
		for _, a := range rapid.Permutation(actions).Draw(w.t, "order") {
			trail = append(trail, fmt.Sprintf("%T%+v", a, a))
			w.act(a)
		}
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(w.t, "seconds")) * time.Second)
	}
	w.t.Fatalf("no end after %d steps; the last ones: %v", longestPass, trail[len(trail)-20:])
}

// next asks Next twice and checks everything that holds of its answer.
func (w *world) next() ([]Action, Reason) {
	rec, obs := w.rec.clone(), copyOf(w.obs)
	if w.rec.Targets == nil {
		rec.Targets = nil
	}
	actions, reason := Next(w.rec, w.obs, w.pol, w.now)
	again, reason2 := Next(w.rec, w.obs, w.pol, w.now)
	if diff := cmp.Diff(actions, again, sameValues); diff != "" || reason != reason2 {
		w.t.Fatalf("asked twice, Next decides otherwise:\n%s", diff)
	}
	if diff := cmp.Diff(rec, w.rec); diff != "" {
		w.t.Fatalf("Next changed the record:\n%s", diff)
	}
	if diff := cmp.Diff(obs, w.obs, sameValues); diff != "" {
		w.t.Fatalf("Next changed the observation:\n%s", diff)
	}
	w.checkSet(actions)
	w.checkPause(actions)
	for _, a := range actions {
		switch a := a.(type) {
		case Issue:
			w.checkIssue()
		case Deliver:
			w.checkDeliver(a.Target)
		case Restore:
			if g := w.rec.generation(a.Generation); g.Restore == 0 || g.State != Observing {
				w.t.Fatalf("Restore of g%d in state %s, which nobody asked for", g.Number, g.State)
			}
		case Revoke:
			if a.Condemned {
				w.checkCondemned(w.rec.generation(a.Generation))
				continue
			}
			w.checkRevoke(w.rec.generation(a.Generation))
		case RevokeForeign:
			w.checkForeign()
		case Delete:
			w.checkDelete(w.rec.generation(a.Generation))
		}
	}
	return actions, reason
}

// copyOf is deep as far as Next could reach.
func copyOf(o Observation) Observation {
	c := o
	c.Requests = slices.Clone(o.Requests)
	c.Targets, c.Checks, c.Proofs = cloneMap(o.Targets), cloneMap(o.Checks), cloneMap(o.Proofs)
	c.Others, c.Found, c.Posted, c.Checked = cloneMap(o.Others), cloneMap(o.Found), cloneMap(o.Posted), cloneMap(o.Checked)
	c.Versions = cloneMap(o.Versions)
	if o.Tokens != nil {
		c.Tokens = &TokensSeen{At: o.Tokens.At, Mine: slices.Clone(o.Tokens.Mine), Patched: o.Tokens.Patched}
	}
	if o.Account != nil {
		account := *o.Account
		c.Account = &account
	}
	return c
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := map[K]V{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// checkSet: one class, nothing twice, and no two actions whose order matters.
func (w *world) checkSet(actions []Action) {
	subjects := map[string]bool{}
	for _, a := range actions {
		if a.class() != actions[0].class() && !w.beside(actions[0], a) {
			w.t.Fatalf("a set of two classes: %+v", actions)
		}
		if _, wait := a.(Wait); wait && len(actions) > 1 {
			w.t.Fatalf("a Wait among others: %+v", actions)
		}
		if s := subject(a); subjects[s] {
			w.t.Fatalf("two actions on %s: %+v", s, actions)
		} else if s != "" {
			subjects[s] = true
		}
	}
	if subjects["the current token"] && slices.ContainsFunc(actions, func(a Action) bool { _, ok := a.(Deliver); return ok }) {
		w.t.Fatalf("a token is issued while the one before it is delivered: %+v", actions)
	}
	if actions[0].class() == note {
		w.checkOrder(actions)
	}
}

// subject is the thing that an action changes or looks at; two actions of a set
// on one thing would depend on each other.
func subject(a Action) string {
	switch a := a.(type) {
	case Read:
		return "read " + a.Target
	case Glance:
		return "read " + a.Target
	case Check:
		return "check " + a.Target
	case Prove:
		return fmt.Sprint("proof ", a.Generation)
	case LookTokens:
		return "tokens"
	case EnsureAccount:
		return "account"
	case Issue:
		return "the current token"
	case Deliver:
		return "target " + a.Target
	case See:
		return "target " + a.Target
	case Forget:
		return "target " + a.Target
	case Revoke:
		return fmt.Sprint("generation ", a.Generation)
	case Delete:
		return fmt.Sprint("generation ", a.Generation)
	case Discover:
		return fmt.Sprint("generation ", a.Generation)
	case Move:
		return fmt.Sprint("generation ", a.Generation)
	}
	return ""
}

// checkOrder applies the notes forwards and backwards to the same record.
func (w *world) checkOrder(actions []Action) {
	forwards, backwards := w.applied(actions), slices.Clone(actions)
	slices.Reverse(backwards)
	if diff := cmp.Diff(forwards, w.applied(backwards)); diff != "" {
		w.t.Fatalf("the order of %+v matters:\n%s", actions, diff)
	}
}

func (w *world) applied(actions []Action) Record {
	worker := &work{e: &Engine{process: w.obs.Process}, pol: &w.pol, obs: w.obs}
	rec := w.rec.clone()
	for _, a := range actions {
		switch a := a.(type) {
		case Resume:
			rec.resume(a)
		case Decline:
			rec.decline(a)
		case CloseRequest:
		default:
			rec.apply(a, worker, w.now)
		}
	}
	return rec
}

// checkIssue: an intent is committed, nothing blocks, and a list from after the
// last post lacks the label.
func (w *world) checkIssue() {
	intent := w.rec.Intent
	if intent == nil {
		w.t.Fatal("Issue without an intent")
	}
	after := w.posted[intent.Generation]
	if intent.Process != w.obs.Process && after.Before(intent.At) {
		after = intent.At
	}
	list, urgent := w.obs.Tokens, w.rec.Emergency.open() && after.IsZero()
	switch {
	case w.rec.Blocked != "" || !w.obs.Account.Ready():
		w.t.Fatalf("Issue of a blocked slot: %q, %+v", w.rec.Blocked, w.obs.Account)
	case list == nil && urgent:
	case list == nil || list.At.Before(after) && !urgent:
		w.t.Fatal("Issue without a list from after the last post")
	case slices.ContainsFunc(list.Mine, func(t Token) bool { return t.Label == intent.Label }):
		w.t.Fatalf("Issue of the label %s that is listed", intent.Label)
	}
}

// checkDeliver: the value is at hand, was proved in this pass, and what stands
// at the target is in the record.
func (w *world) checkDeliver(key string) {
	g := w.rec.current()
	seen, known := w.rec.Targets[key]
	switch reading := w.obs.Targets[key]; {
	case g == nil || w.rec.Lost != "":
		w.t.Fatal("Deliver without a token to deliver")
	case w.obs.Found[g.Number] != AtHand || w.obs.Proofs[g.Number].Result != ProvedLive:
		w.t.Fatalf("Deliver of g%d: found %q, proof %+v", g.Number, w.obs.Found[g.Number], w.obs.Proofs[g.Number])
	case reading.At.IsZero() || reading.Failed != "" || !known:
		w.t.Fatalf("Deliver to %s unseen", key)
	case seen.Serves != w.whose(key):
		w.t.Fatalf("Deliver over g%d, and the record says that g%d stands there", w.whose(key), seen.Serves)
	}
}

// whose is the generation at a target as read in this pass, by the test's own
// reckoning; 0 is none of ours.
func (w *world) whose(key string) uint64 {
	r := w.obs.Targets[key].Reading
	if !r.Present {
		return 0
	}
	for _, g := range w.rec.Generations {
		if fp := r.Token.Fingerprint(); fp != "" && g.Fingerprint == fp {
			return g.Number
		}
	}
	for _, p := range w.rec.Targets[key].Payloads {
		if p.Fingerprint == r.Payload {
			return p.Generation
		}
	}
	if g := w.rec.generation(r.Meta.Generation); g != nil && r.Meta.Slot == w.pol.Slot && g.TokenID == r.Meta.TokenID {
		return g.Number
	}
	return 0
}

// checkRevoke is the guard of design.md, written a second time.
func (w *world) checkRevoke(g *Generation) {
	listed := w.listed(g)
	if listed == nil || !listed.Active || g.State == Live {
		w.t.Fatalf("Revoke of g%d in state %s, which isn't listed as active under its label", g.Number, g.State)
	}
	if listed.Expired(w.now) {
		return
	}
	s := w.pol.Schedule
	used := listed.LastUsed.After(g.ProvedAt.Add(ownUse)) && w.now.Before(listed.LastUsed.Add(s.Quiet))
	switch {
	case !g.Claimed:
		w.t.Fatalf("Revoke of g%d, which isn't this journal's", g.Number)
	case w.obs.Tokens.At.Before(w.obs.Began):
		w.t.Fatal("Revoke by a list from before this pass")
	case g.RevokeAfter.IsZero() || w.now.Before(g.RevokeAfter):
		w.t.Fatalf("Revoke of g%d at %s, its grace lasts until %s", g.Number, w.now, g.RevokeAfter)
	case used && w.now.Before(g.RevokeAfter.Add(s.Hold)):
		w.t.Fatalf("Revoke of g%d, which was used at %s", g.Number, listed.LastUsed)
	}
	for _, t := range w.pol.Targets {
		seen, ok := w.obs.Targets[t.Key]
		number := w.whose(t.Key)
		proof := w.obs.Proofs[number]
		other := w.rec.generation(number)
		switch {
		case !ok || seen.Failed != "" || w.now.Sub(seen.At) > time.Minute:
			w.t.Fatalf("Revoke of g%d, and %s wasn't read just now: %+v", g.Number, t.Key, seen)
		case number == 0 || number == g.Number || other == nil:
			w.t.Fatalf("Revoke of g%d, and %s serves g%d", g.Number, t.Key, number)
		case proof.Result == ProvedLive && w.now.Sub(proof.At) <= time.Minute:
		case proof.Result == NoValue && w.listed(other) != nil && w.listed(other).Live(w.now):
		default:
			w.t.Fatalf("Revoke of g%d, and g%d at %s isn't proved: %+v", g.Number, number, t.Key, proof)
		}
	}
}

func (w *world) listed(g *Generation) *Token {
	for _, t := range w.obs.Tokens.Mine {
		if t.ID == g.TokenID && t.Label == Label(w.pol.Token, w.pol.AgentID, g.Number) {
			return &t
		}
	}
	return nil
}

// checkDelete: listed as revoked just now, and observed for long enough.
func (w *world) checkDelete(g *Generation) {
	listed := w.listed(g)
	switch {
	case listed == nil || listed.Active:
		w.t.Fatalf("Delete of g%d, which isn't listed as revoked", g.Number)
	case w.obs.Tokens.At.Before(w.obs.Began):
		w.t.Fatal("Delete by a list from before this pass")
	case g.State != Observing && g.State != Deleting:
		w.t.Fatalf("Delete of g%d in state %s", g.Number, g.State)
	case w.now.Before(g.RevokedAt.Add(w.pol.Schedule.Observe)):
		w.t.Fatalf("Delete of g%d at %s, revoked at %s", g.Number, w.now, g.RevokedAt)
	}
}

// happen is what the world does between two passes.
func (w *world) happen() {
	for range rapid.IntRange(0, 2).Draw(w.t, "events") {
		events := []func(){w.byHand, w.atTarget, w.atAgent, w.atAPI}
		rapid.SampledFrom(events).Draw(w.t, "event")()
	}
	steps := []time.Duration{0, time.Second, 15 * time.Second, 10 * time.Minute, 7 * time.Hour, Day, 3 * Day, 12 * Day}
	w.now = w.now.Add(rapid.SampledFrom(steps).Draw(w.t, "step"))
}

// byHand: other people's doing at the API.
func (w *world) byHand() {
	if len(w.tokens) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.tokens)-1).Draw(w.t, "token")
	switch rapid.SampledFrom([]string{"revoke", "restore", "delete", "use", "issue", "rename"}).Draw(w.t, "hand") {
	case "revoke":
		w.tokens[i].Active = false
	case "restore":
		w.tokens[i].Active = true
	case "delete":
		w.tokens = slices.Delete(w.tokens, i, i+1)
	case "use":
		w.tokens[i].LastUsed = w.now
	case "issue":
		label := Label(w.pol.Token, w.pol.AgentID, w.rec.High+uint64(rapid.IntRange(1, 2).Draw(w.t, "ahead")))
		if !w.taken(label) {
			w.mint(label)
		}
	case "rename":
		w.tokens[i].Label = "somebody's"
	}
}

// atTarget: what else can stand at a target.
func (w *world) atTarget() {
	p := w.places[rapid.SampledFrom(w.pol.Targets).Draw(w.t, "target").Key]
	switch rapid.SampledFrom([]string{"down", "up", "empty", "foreign", "token", "token and metadata"}).Draw(w.t, "place") {
	case "down":
		p.down = true
	case "up":
		p.down = false
	case "empty":
		p.value, p.meta = secret.Value{}, backends.Meta{}
	case "foreign":
		p.value, p.meta = secret.New("somebody's password"), backends.Meta{}
	case "token":
		p.value, p.meta = w.some().value, backends.Meta{}
	case "token and metadata":
		t := w.some()
		number, _ := ParseLabel(t.Label, w.pol.Token, w.pol.AgentID)
		p.value = t.value
		p.meta = backends.Meta{Slot: w.pol.Slot, Generation: number, TokenID: t.ID,
			Token: t.value.Fingerprint(), Expires: t.Expires}
	}
}

func (w *world) some() worldToken {
	if len(w.tokens) == 0 || rapid.IntRange(0, 4).Draw(w.t, "other") == 0 {
		return w.mint("by hand " + fmt.Sprint(w.lastID))
	}
	return rapid.SampledFrom(w.tokens).Draw(w.t, "token")
}

// atAgent: crashes, lost journals, requests, reloads.
func (w *world) atAgent() {
	switch rapid.SampledFrom([]string{"crash", "lose the journal", "rotate", "resume", "adopt", "declare", "emergency", "emergency",
		"revoke", "restore", "deactivate", "pause", "end pauses"}).Draw(w.t, "agent") {
	case "revoke":
		w.request(Request{Kind: RequestRevoke, At: w.now})
	case "restore":
		w.request(Request{Kind: RequestRestore})
	case "deactivate":
		w.request(Request{Kind: RequestDeactivate})
	case "pause":
		w.request(Request{Kind: RequestPause})
	case "end pauses":
		w.requests = slices.DeleteFunc(w.requests, func(q Request) bool { return q.Kind == RequestPause })
	case "emergency":
		q := Request{Kind: RequestEmergency, At: w.now, RevokeFirst: rapid.IntRange(0, 3).Draw(w.t, "revoke first") == 0}
		if len(w.tokens) > 0 && rapid.IntRange(0, 2).Draw(w.t, "named") == 0 {
			q.TokenID = rapid.SampledFrom(w.tokens).Draw(w.t, "token").ID
		}
		w.request(q)
	case "crash":
		w.process++
		clear(w.values)
		clear(w.posted)
		clear(w.checked)
	case "lose the journal":
		w.rec = Record{Slot: w.pol.Slot}
	case "rotate":
		w.request(Request{Kind: RequestRotate})
	case "resume":
		w.request(Request{Kind: RequestResume})
	case "adopt":
		w.request(Request{Kind: RequestAdopt})
	case "declare":
		s := &w.pol.Schedule
		s.Grace = time.Duration(rapid.IntRange(0, 4).Draw(w.t, "grace")) * Day
		s.Hold = time.Duration(rapid.IntRange(0, 4).Draw(w.t, "hold")) * Day
		all := testPolicy("a/one", "b/two", "c/three").Targets
		all[2].Lossy = true
		w.pol.Targets = all[:rapid.IntRange(1, 3).Draw(w.t, "declared")]
		w.pol.BlockOnRevocation = rapid.Bool().Draw(w.t, "block")
	}
}

func (w *world) request(q Request) {
	w.closed++
	q.ID, q.Slot = w.closed, w.pol.Slot
	w.requests = append(w.requests, q)
}

// atAPI: the API's own moods, and the account's.
func (w *world) atAPI() {
	switch rapid.SampledFrom([]string{"down", "up", "lag", "no lag", "block", "unblock"}).Draw(w.t, "api") {
	case "down":
		w.apiDown = true
	case "up":
		w.apiDown = false
	case "lag":
		w.frozen = w.list()
	case "no lag":
		w.frozen = nil
	case "block":
		w.account.Blocked = AccountDeactivated
	case "unblock":
		w.account.Blocked = ""
	}
}
