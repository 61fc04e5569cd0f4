package sim

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends/secret"
)

// keys are the instance's own secrets. The state file holds them.
type keys struct {
	// Signing signs JWTs, Storing is the key of the HMACs that are kept.
	Signing []byte `json:"signing"`
	Storing []byte `json:"storing"`
}

// keyBytes is the length of each key.
const keyBytes = 32

func newKeys() keys {
	k := keys{Signing: make([]byte, keyBytes), Storing: make([]byte, keyBytes)}
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(k.Signing)
	_, _ = rand.Read(k.Storing)
	return k
}

// claims are what the documents name: the account's id, e-mail and name, the
// creation time and the expiry. Their keys are a guess, and so is jti.
type claims struct {
	Email string `json:"email"`
	Name  string `json:"name"`
	jwt.RegisteredClaims
}

// mint signs the JWT of a token. It is a function of the token, the account's
// id, e-mail and name, and the key: the same again gives the same again.
func (k keys) mint(t token, a account) (secret.Value, error) {
	c := claims{Email: a.Email, Name: a.Name, RegisteredClaims: jwt.RegisteredClaims{
		Subject:  a.UserID,
		ID:       strconv.FormatInt(t.ID, 10),
		IssuedAt: jwt.NewNumericDate(t.Created),
	}}
	if !t.Expires.IsZero() {
		c.ExpiresAt = jwt.NewNumericDate(t.Expires)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(k.Signing)
	if err != nil {
		return secret.Value{}, fmt.Errorf("sign token %d: %w", t.ID, err)
	}
	return secret.New(signed), nil
}

// mac is what is kept of a token: its HMAC-SHA256 in hexadecimal digits.
func (k keys) mac(value string) string {
	h := hmac.New(sha256.New, k.Storing)
	h.Write([]byte(value))
	return hex.EncodeToString(h.Sum(nil))
}
