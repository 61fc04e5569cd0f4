package follow

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// problem is why a value isn't copied, or a file isn't in step.
type problem struct {
	reason Reason
	err    error
}

// judge says whether what was found in the store may be copied: it has the
// declared shape, and the token in it is one of the account, by metadata that
// fits or by its claims. Where no account is declared, any JSON Web Token is
// taken: Qualytics' tokens are such (qualytics-api.md, "Service tokens").
func (e *entry) judge(found backends.Reading) (secret.Value, backends.Meta, *problem) {
	refuse := func(why Reason, format string, args ...any) (secret.Value, backends.Meta, *problem) {
		return secret.Value{}, backends.Meta{}, &problem{why, fmt.Errorf(format, args...)}
	}
	switch {
	case !found.Present:
		return refuse(Missing, "nothing stands there: look whether the agent delivers to this path")
	case found.Token.IsZero():
		return refuse(Unreadable, "what stands there isn't of the declared format: look at the format, or who else writes there")
	case !e.ofAccount(found):
		if e.AccountID == "" {
			return refuse(Foreign, "what stands there is no token of Qualytics: look who else writes there")
		}
		return refuse(Foreign, "what stands there is no token of %s: look who else writes there, or at account", e.AccountID)
	}
	meta := found.Meta
	if meta.IsZero() {
		meta = backends.Meta{Slot: e.AccountID, Token: found.Token.Fingerprint()}
		if end, ok := expiry(found.Token); ok {
			meta.Expires = end
		}
	}
	return found.Token, meta, nil
}

// ofAccount reports whether a reading with a token in it is one of the account.
func (e *entry) ofAccount(r backends.Reading) bool {
	if !r.Meta.IsZero() {
		return e.metaFits(r.Meta)
	}
	claims, ok := claimsOf(r.Token)
	if !ok || e.AccountID == "" {
		return ok
	}
	for _, claim := range claims {
		if text, isText := claim.(string); isText && text == e.AccountID {
			return true
		}
	}
	return false
}

func (e *entry) metaFits(m backends.Meta) bool {
	account, _, _ := strings.Cut(m.Slot, "/")
	return e.AccountID == "" || account == e.AccountID
}

// ours reports whether the file holds a value of the account: also in a format
// that doesn't give its token back, by the metadata beside it.
func (e *entry) ours(stands backends.Reading) bool {
	if stands.Payload == e.wrote {
		return true
	}
	if stands.Token.IsZero() {
		return !stands.Meta.IsZero() && e.metaFits(stands.Meta)
	}
	return e.ofAccount(stands)
}

// render writes the good value in the file's format.
func (e *entry) render() (backends.Item, *problem) {
	token := backends.Token{Value: e.good.token, ID: e.good.meta.TokenID, Account: e.Account, AccountID: e.AccountID,
		Environment: e.Environment, URL: e.URL, Expiration: e.good.meta.Expires}
	payload, err := e.To.Payload(token)
	if err != nil {
		return backends.Item{}, &problem{CannotRender, err}
	}
	return backends.Item{Payload: payload, Meta: e.good.meta}, nil
}

// claimsOf reads a JWT's claims without asking who signed it. They decide
// nothing but whether it is copied.
func claimsOf(token secret.Value) (jwt.MapClaims, bool) {
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token.Reveal(), claims)
	return claims, err == nil
}

// expiry is the end that a JWT names.
func expiry(token secret.Value) (time.Time, bool) {
	claims, ok := claimsOf(token)
	if !ok {
		return time.Time{}, false
	}
	end, err := claims.GetExpirationTime()
	if err != nil || end == nil {
		return time.Time{}, false
	}
	return end.UTC(), true
}

// reasonOf is a backend's error as a reason.
func reasonOf(err error) Reason {
	for _, row := range []struct {
		kind   error
		reason Reason
	}{
		{backends.ErrDenied, StoreDenied},
		{backends.ErrThrottled, StoreThrottled},
		{backends.ErrInvalid, StoreRefuses},
	} {
		if errors.Is(err, row.kind) {
			return row.reason
		}
	}
	return StoreAway
}
