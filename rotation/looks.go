package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The looks: each brings one thing into the observation, also its failure.

func (w *work) lookTokens(a LookTokens) {
	list, err := w.e.listTokens(w.soft, a.After, w.mem.seq)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed(list)
}

// listTokens makes all slots wait where it fails.
func (e *Engine) listTokens(ctx context.Context, after time.Time, seq uint64) (*snapshot[[]Token], error) {
	list, err := e.tokens.get(ctx, after, seq)
	if err != nil {
		e.hold(err, true)
	}
	return list, err
}

func (w *work) listed(list *snapshot[[]Token]) {
	w.obs.Tokens = &TokensSeen{At: list.at, Mine: list.byKey[w.pol.AccountID]}
	w.tokens = ground{since: list.since[w.pol.AccountID], firm: true}
}

func (w *work) ensureAccount(ctx context.Context, a EnsureAccount) {
	if a.Known {
		if seen, known := w.e.knownAccount(ctx, w.pol); known {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.obs.Account, w.account = &seen, ground{}
			return
		}
	}
	seen, account, err := w.e.ensure(ctx, w.pol, a.After, a.Look)
	if err != nil {
		w.fail(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Account, w.account = &seen, account
}

func (w *work) read(a Read) {
	ctx, cancel := context.WithTimeout(w.soft, w.lookTime())
	defer cancel()
	reading, err := w.target(a.Target).Read(ctx, backends.Current)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	if err != nil {
		w.notRead(a.Target, err, now)
		return
	}
	w.wasRead(a.Target, TargetSeen{At: now, Reading: reading, Reshaped: w.reshaped(a.Target, reading)})
}

// wasRead takes in what was read at a target. The caller holds mu.
func (w *work) wasRead(key string, seen TargetSeen) {
	w.obs.Targets[key] = seen
	w.mem.checked[key] = seen.At
	delete(w.mem.unread, key)
	delete(w.mem.versions, key)
	if !seen.Reading.Meta.IsZero() && w.target(key).Describes() {
		w.mem.versions[key] = seen.Reading.Version
	}
}

// notRead makes a target wait that could not be read. The caller holds mu.
func (w *work) notRead(key string, err error, now time.Time) {
	after, failed := backends.RetryAfter(err), w.mem.unread[key]
	if after == 0 {
		failed.times++
		after = backOff(failed.times, key)
	}
	failed.seen = TargetSeen{At: now, Failed: targetReason(err), RetryAt: now.Add(after)}
	w.mem.unread[key], w.obs.Targets[key] = failed, failed.seen
	w.e.log.Warn("target not read", "slot", w.pol.Slot, "target", key,
		"reason", string(targetReason(err)), "retry_in", after, "error", err)
}

// glance is a drift check without the secret. Whatever doesn't bear out that the
// target stands where it stood makes the next look a reading: at once where the
// store answered, after a back-off where it couldn't be asked, or asks to wait.
func (w *work) glance(a Glance) {
	ctx, cancel := context.WithTimeout(w.soft, w.lookTime())
	defer cancel()
	meta, version, err := w.target(a.Target).Describe(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	delete(w.obs.Targets, a.Target) // it may have been taken for failed
	switch kind := backends.KindOf(err); {
	case err == nil && w.rec.unmoved(meta, version, w.mem.versions[a.Target]):
		w.mem.checked[a.Target] = now
		return
	case errors.Is(kind, backends.ErrUnavailable), errors.Is(kind, backends.ErrThrottled):
		w.notRead(a.Target, err, now)
	case err != nil:
		w.e.log.Debug("target not described", "slot", w.pol.Slot, "target", a.Target, "error", err)
	}
	delete(w.mem.versions, a.Target)
}

// reshaped reports whether a target that holds the current token holds it in
// another shape than is declared now: the format or the instance's URL was
// changed. What a lossy format holds can't be told from its shape.
func (w *work) reshaped(key string, r backends.Reading) bool {
	target, current := w.target(key), w.rec.current()
	if !r.Present || current == nil || target.Format.Lossy() {
		return false
	}
	if r.Token.IsZero() {
		return true
	}
	payload, err := target.Payload(w.token(current, r.Token))
	return err == nil && payload.Fingerprint() != r.Payload
}

func (w *work) check(a Check) {
	ctx, cancel := context.WithTimeout(w.soft, w.lookTime())
	defer cancel()
	why := Reason("")
	if err := w.target(a.Target).Check(ctx); err != nil {
		why = targetReason(err)
		w.e.log.Warn("target not ready", "slot", w.pol.Slot, "target", a.Target, "reason", string(why), "error", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Checks[a.Target] = why
}

func (w *work) find(a Find) {
	value, finding := w.value(w.soft, a.Generation)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Found[a.Generation] = finding
	if finding == AtHand {
		w.mem.values[a.Generation] = value
	}
}

// value looks for a generation's token: in memory, in what was read in this
// pass, then in every stage of every target.
func (w *work) value(ctx context.Context, number uint64) (secret.Value, Finding) {
	w.mu.Lock()
	value, g := w.mem.values[number], w.rec.generation(number)
	if g == nil || g.Fingerprint == "" {
		w.mu.Unlock()
		return value, NotFound
	}
	fp := g.Fingerprint
	for _, seen := range w.obs.Targets {
		if token := seen.Reading.Token; value.IsZero() && token.Fingerprint() == fp {
			value = token
		}
	}
	w.mu.Unlock()
	if !value.IsZero() {
		return value, AtHand
	}
	finding := NotFound
	for _, t := range w.pol.Targets {
		if w.unreadable(t.Key) { // one that hangs is waited for once
			finding = NotKnown
			continue
		}
		found, err := w.findAt(ctx, t.Key, fp)
		if !found.IsZero() {
			return found, AtHand
		}
		if err != nil {
			finding = NotKnown
		}
	}
	return secret.Value{}, finding
}

// unreadTargets are the targets whose last read failed.
func (w *work) unreadTargets() map[string]TargetSeen {
	var all map[string]TargetSeen
	for key, failed := range w.mem.unread {
		if w.pol.declares(key) {
			if all == nil {
				all = map[string]TargetSeen{}
			}
			all[key] = failed.seen
		}
	}
	return all
}

// unreadable reports whether a target could not be read, and isn't to be tried
// again yet.
func (w *work) unreadable(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.obs.Targets[key].Failed != ""
}

func (w *work) findAt(ctx context.Context, key string, fp secret.Fingerprint) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, w.lookTime())
	defer cancel()
	return w.target(key).Find(ctx, fp)
}

func (w *work) prove(ctx context.Context, a Prove) {
	value, finding := w.value(w.soft, a.Generation)
	switch finding {
	case NotKnown: // a target that can't be read may have it
		w.proof(a.Generation, NotProved)
		return
	case NotFound:
		w.proof(a.Generation, NoValue)
		return
	}
	result, _ := w.use(w.soft, value)
	w.proof(a.Generation, result)
	if result == ProvedLive {
		w.proved(ctx, a.Generation)
	}
}

// proved records a token's proof. The first one is an event of its own; later
// ones only tell our own use from others': they are remembered, and go with the
// next commit.
func (w *work) proved(ctx context.Context, number uint64) {
	w.mu.Lock()
	now := w.clock()
	g := w.rec.generation(number)
	first := g.ProvedAt.IsZero() || g.Attempts > 0
	if !first {
		w.rec = w.rec.clone()
		w.rec.proved(number, now)
		w.mem.proved[number] = now
	}
	w.mu.Unlock()
	if first {
		w.commit(ctx, func(r *Record) Event { return r.proved(number, now) })
	}
}

func (w *work) proof(number uint64, result ProofResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Proofs[number] = Proof{At: w.clock(), Result: result}
}

func (w *work) proveOther(a ProveOther) {
	w.mu.Lock()
	token := w.obs.Targets[a.Target].Reading.Token
	w.mu.Unlock()
	result, who := w.use(w.soft, token)
	if result == ProvedLive && who.AccountID != "" && who.AccountID != w.pol.AccountID {
		result = ProvedElse
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Others[token.Fingerprint()] = Proof{At: w.clock(), Result: result}
}

// use takes a token to the API once.
func (w *work) use(ctx context.Context, token secret.Value) (ProofResult, Identity) {
	who, err := w.api().Prove(ctx, token)
	switch {
	case err == nil:
		return ProvedLive, who
	case errors.Is(err, ErrDead):
		return ProvedDead, who
	}
	w.e.hold(err, false)
	w.e.log.Warn("token not proved", "slot", w.pol.Slot, "error", err)
	return NotProved, who
}

// changed says that the slot's own tokens were changed: lists asked for before
// aren't shown to it any more. patch brings the list at hand up to date, where
// the change is known; without it the next decision asks for a new one.
func (w *work) changed(patch func(mine []Token) []Token) {
	seq := w.e.mutations.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mem.seq = seq
	w.tokens = ground{}
	if patch == nil || w.obs.Tokens == nil {
		w.obs.Tokens = nil
		return
	}
	w.obs.Tokens = &TokensSeen{At: w.clock(), Mine: patch(slices.Clone(w.obs.Tokens.Mine)), Patched: true}
}
