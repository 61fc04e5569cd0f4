package qualytics

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends/secret"
)

// Candidate is a token that may be the agent's own.
type Candidate struct {
	Value secret.Value
	// From says where it stands, for people.
	From string
	// Spare: it is for the time when nothing better works.
	Spare bool
}

// Candidates yields what may be the agent's own token, the best first and spare
// ones last. With an error it says of a place that it can't be read, and goes
// on. It reads as far as it is asked to. It is called when the first call needs
// a token, when the API refuses the one in use, and by RenewCredential; one
// call of it at a time.
type Candidates func(ctx context.Context) iter.Seq2[Candidate, error]

// OnePlace is a token that stands in one place, which is read anew each time.
func OnePlace(from string, read func() (secret.Value, error)) Candidates {
	return func(context.Context) iter.Seq2[Candidate, error] {
		return func(yield func(Candidate, error) bool) {
			value, err := read()
			yield(Candidate{Value: value, From: from}, err)
		}
	}
}

// Credential is how the agent's own token stands.
type Credential struct {
	// From is where the token in use was read; "" when there is none yet.
	From string
	// Working is its fingerprint once the API has taken it; "" before, and
	// when the API refused it last.
	Working secret.Fingerprint
	// Since is when it came into use, by the local clock.
	Since time.Time
	// Trouble is why another one isn't in use that stands in a better place;
	// nil: none stands there.
	Trouble error
}

// credential keeps the agent's own token between calls. What is in use stays in
// use until another one was tried and works.
type credential struct {
	candidates Candidates
	now        func() time.Time
	log        *slog.Logger

	turn chan struct{} // holds one token: whoever has it looks for another token

	mu      sync.Mutex
	use     Candidate // the zero Candidate: none yet
	works   bool
	since   time.Time
	trouble error
	before  Candidate // what worked before use
	looks   int       // looks after a refusal that have ended
}

func newCredential(o Options) *credential {
	return &credential{candidates: o.Credential, now: o.Now, log: o.Log, turn: make(chan struct{}, 1)}
}

// trial uses a candidate once; nil: it works.
type trial func(ctx context.Context, token secret.Value) error

// begin waits for the turn to look.
func (c *credential) begin(ctx context.Context) (end func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *credential) state() Credential {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Credential{From: c.use.From, Since: c.since, Trouble: c.trouble}
	if c.works {
		s.Working = c.use.Value.Fingerprint()
	}
	return s
}

func (c *credential) held() (token secret.Value, looks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.use.Value, c.looks
}

// get returns the token, and reads it when there is none yet. The first one that
// can be read is taken untried: the call that needs it tells.
func (c *credential) get(ctx context.Context) (secret.Value, error) {
	if held, _ := c.held(); !held.IsZero() {
		return held, nil
	}
	end, err := c.begin(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	defer end()
	if held, _ := c.held(); !held.IsZero() {
		return held, nil
	}
	return c.first(ctx)
}

func (c *credential) first(ctx context.Context) (secret.Value, error) {
	var unread error
	for candidate, err := range c.readable(ctx) {
		if err == nil {
			c.take(candidate, false)
			c.worry(unread)
			return candidate.Value, nil
		}
		unread = both(unread, err)
	}
	if unread == nil {
		unread = errors.New("there is no token")
	}
	if ctx.Err() == nil {
		c.worry(unread)
	}
	return secret.Value{}, unread
}

// readable is what may be used, with the reason where something may not.
func (c *credential) readable(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for candidate, err := range c.candidates(ctx) {
			if err == nil {
				if err = sendable(candidate.Value); err != nil {
					err = fmt.Errorf("%s: %w", candidate.From, err)
				}
			}
			if !yield(candidate, err) {
				return
			}
		}
	}
}

// worked notes that the API took a call with the token.
func (c *credential) worked(token secret.Value) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.works = c.works || c.use.Value.Equal(token)
}

// renew is called when the API refused used. It returns another token when there
// is one by now that works: taken into use by another call in between, or found
// here among all candidates and what worked before. Calls that were refused
// together look once.
func (c *credential) renew(ctx context.Context, used secret.Value, try trial) (fresh secret.Value, changed bool, err error) {
	_, before := c.held()
	end, err := c.begin(ctx)
	if err != nil {
		return secret.Value{}, false, err
	}
	defer end()
	held, looks := c.held()
	if !held.Equal(used) {
		return held, true, nil
	}
	if looks == before {
		err = c.replace(ctx, used, try)
	} else {
		err = c.state().Trouble
	}
	held, _ = c.held()
	return held, !held.Equal(used), err
}

// replace looks for a token in the place of one that was refused.
func (c *credential) replace(ctx context.Context, used secret.Value, try trial) error {
	c.mu.Lock()
	c.works = false
	earlier := c.before
	c.mu.Unlock()
	var trouble, refused error
	found := false
	for candidate, err := range withEarlier(c.readable(ctx), earlier) {
		if err == nil && candidate.Value.Equal(used) {
			refused = fmt.Errorf("the token from %s (fingerprint %s) is refused", candidate.From, used.Fingerprint().Short())
			continue
		}
		if err == nil {
			err = c.tried(ctx, candidate, try)
		}
		if err == nil {
			found = true
			break
		}
		trouble = both(trouble, err)
	}
	if found && refused != nil { // else the call itself tells
		trouble = both(refused, trouble)
	}
	if ctx.Err() == nil {
		c.worry(trouble)
	}
	c.mu.Lock()
	c.looks++
	c.mu.Unlock()
	if found {
		return nil
	}
	return trouble
}

// withEarlier yields what worked before ahead of the spare ones.
func withEarlier(all iter.Seq2[Candidate, error], earlier Candidate) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		due := !earlier.Value.IsZero()
		for candidate, err := range all {
			if candidate.Spare && due {
				due = false
				if !yield(earlier, nil) {
					return
				}
			}
			if !yield(candidate, err) {
				return
			}
		}
		if due {
			yield(earlier, nil)
		}
	}
}

// refresh looks whether another token than the one in use stands in the places
// that aren't spare, and takes the first that works into use.
func (c *credential) refresh(ctx context.Context, try trial) error {
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	held, _ := c.held()
	if held.IsZero() {
		_, err := c.first(ctx)
		return err
	}
	var trouble error
	for candidate, err := range c.readable(ctx) {
		if candidate.Spare || err == nil && candidate.Value.Equal(held) {
			break
		}
		if err == nil {
			err = c.tried(ctx, candidate, try)
		}
		if err == nil {
			break
		}
		trouble = both(trouble, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.worry(trouble)
	return trouble
}

// tried takes a candidate into use if it works.
func (c *credential) tried(ctx context.Context, candidate Candidate, try trial) error {
	if err := try(ctx, candidate.Value); err != nil {
		return fmt.Errorf("the token from %s (fingerprint %s) doesn't work: %w", candidate.From, candidate.Value.Fingerprint().Short(), err)
	}
	c.take(candidate, true)
	return nil
}

// take brings a candidate into use.
func (c *credential) take(candidate Candidate, works bool) {
	c.mu.Lock()
	replaced := !c.use.Value.IsZero()
	if replaced {
		c.before = c.use
	}
	c.use, c.works, c.since = candidate, works, c.now()
	c.mu.Unlock()
	if replaced {
		c.log.Info("the agent works with another credential from now on", "from", candidate.From, "fingerprint", candidate.Value.Fingerprint().Short())
	}
}

// worry keeps why a better token isn't in use, and tells it once.
func (c *credential) worry(trouble error) {
	c.mu.Lock()
	before := c.trouble
	c.trouble = trouble
	c.mu.Unlock()
	using := c.state().From
	switch {
	case trouble != nil && before != nil && before.Error() == trouble.Error(): // told
	case trouble != nil && using == "":
		c.log.Error("the agent has no credential: put the token of an Admin at its place", "error", trouble)
	case trouble != nil:
		c.log.Warn("what stands at the credential's place is not in use: put a working token there; meanwhile the agent goes on with what it has",
			"using", using, "error", trouble)
	case before != nil:
		c.log.Info("the agent works with what stands at its credential's place", "from", using)
	}
}

// both is two reasons in one line.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// InUse is the fingerprint of the token in use, whether the API has taken it yet
// or not; "" when there is none.
func (c *Client) InUse() secret.Fingerprint {
	token, _ := c.credential.held()
	return token.Fingerprint()
}

// Credential tells how the agent's own token stands.
func (c *Client) Credential() Credential { return c.credential.state() }

// RenewCredential looks whether another token stands at the credential's place
// by now. It is tried, and taken into use if it works; else the one in use
// stays, and the error says why. Without a token in use the first one that can
// be read is taken.
func (c *Client) RenewCredential(ctx context.Context) error {
	return c.credential.refresh(ctx, c.try)
}

// try is one use of a token that is to be the agent's own. That of another role
// than Admin is refused, where the API tells the role (G): with it every call
// would be refused.
func (c *Client) try(ctx context.Context, token secret.Value) error {
	who, err := c.Prove(ctx, token)
	if err == nil && who.Role != "" && who.Role != adminRole {
		return fmt.Errorf("it is of the role %s, and the agent needs %s", who.Role, adminRole)
	}
	return err
}

const adminRole = "Admin"

// CredentialExpires is the end of the agent's own token, in UTC, as its claims
// tell it: the zero time is never. The claims aren't verified (qualytics-api.md:
// "don't rely on the claims"), so it serves for warnings alone. It is false when
// none was read yet, or it is no JWT.
func (c *Client) CredentialExpires() (time.Time, bool) {
	token, _ := c.credential.held()
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token.Reveal(), &claims); err != nil {
		return time.Time{}, false
	}
	if claims.ExpiresAt == nil {
		return time.Time{}, true
	}
	return claims.ExpiresAt.UTC(), true
}

// sendable refuses what can't stand in a header after "Bearer ": such a text
// is a mistake at its source, and net/http would refuse it with less words.
func sendable(token secret.Value) error {
	if token.IsZero() {
		return errors.New("there is no token")
	}
	for _, b := range []byte(token.Reveal()) {
		if b <= ' ' || b > '~' {
			return errors.New("it holds white space or characters that no bearer token has")
		}
	}
	return nil
}
