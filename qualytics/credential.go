package qualytics

import (
	"errors"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends/secret"
)

// credential keeps the agent's own token between calls.
type credential struct {
	read func() (secret.Value, error)

	mu    sync.Mutex
	value secret.Value
}

// get returns the token, and reads it when there is none yet.
func (c *credential) get() (secret.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.value.IsZero() {
		return c.value, nil
	}
	value, err := c.read()
	if err != nil {
		return secret.Value{}, err
	}
	if err := sendable(value); err != nil {
		return secret.Value{}, err
	}
	c.value = value
	return value, nil
}

// renew is called when the API refused used. It returns another token when
// there is one by now: read by another call in between, or read again here.
func (c *credential) renew(used secret.Value) (fresh secret.Value, changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.value.Equal(used) {
		return c.value, true, nil
	}
	value, err := c.read()
	if err == nil {
		err = sendable(value)
	}
	if err != nil || value.Equal(used) {
		return secret.Value{}, false, err
	}
	c.value = value
	return value, true, nil
}

// CredentialExpires is the end of the agent's own token, in UTC, as its claims
// tell it: the zero time is never. The claims aren't verified (qualytics-api.md:
// "don't rely on the claims"), so it serves for warnings alone. It is false when
// nothing can be read, or it is no JWT.
func (c *Client) CredentialExpires() (time.Time, bool) {
	token, err := c.credential.get()
	if err != nil {
		return time.Time{}, false
	}
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
