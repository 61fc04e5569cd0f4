package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// unwrapped is the secret id that came out of a wrapping token. Such a token
// opens once, so the id is kept for later logins, until another token stands at
// the source.
type unwrapped struct {
	wrapping, secretID secret.Value
}

// secretID is the secret id of AppRole, unwrapped where it is declared so.
func (s *sessions) secretID(ctx context.Context) (secret.Value, error) {
	a := s.options.Auth
	found, err := a.SecretID.Read()
	switch {
	case err != nil:
		return secret.Value{}, verdict{kind: backends.ErrUnavailable, err: err}
	case !a.Wrapped:
		return found, nil
	case found.Equal(s.unwrap.wrapping):
		return s.unwrap.secretID, nil
	}
	opened, err := s.open(ctx, found)
	if err != nil {
		return secret.Value{}, err
	}
	s.unwrap = unwrapped{wrapping: found, secretID: opened}
	return opened, nil
}

// open trades a wrapping token for the secret id in it.
func (s *sessions) open(ctx context.Context, wrapping secret.Value) (secret.Value, error) {
	client, err := s.newClient()
	if err != nil {
		return secret.Value{}, err
	}
	from := fmt.Sprintf("unwrap the secret id from %s", s.options.Auth.SecretID)
	answer, err := client.Logical().UnwrapWithContext(ctx, wrapping.Reveal())
	var refused *api.ResponseError
	switch {
	case errors.As(err, &refused) && (refused.StatusCode == http.StatusBadRequest || refused.StatusCode == http.StatusForbidden):
		return secret.Value{}, verdict{kind: backends.ErrDenied, err: fmt.Errorf(
			"%s: vault answered %d: the wrapping token was used before, or its time is over. A wrapped secret id is good for one start of the agent: "+
				"put a newly wrapped one there. If no agent has used this one, somebody else has: then destroy that secret id",
			from, refused.StatusCode)}
	case err != nil:
		v := verdict{kind: backends.ErrUnavailable, err: briefly(err, wrapping)}
		if refused != nil {
			v = request{method: http.MethodPut, path: "sys/wrapping/unwrap"}.judge(reply{status: refused.StatusCode, errors: refused.Errors})
		}
		v.err = fmt.Errorf("%s: %w", from, v.err)
		return secret.Value{}, v
	}
	if answer != nil {
		if id, ok := answer.Data["secret_id"].(string); ok && id != "" {
			return secret.New(id), nil
		}
	}
	return secret.Value{}, verdict{kind: backends.ErrInvalid,
		err: fmt.Errorf("%s: what was wrapped is no secret id: wrap the answer of auth/%s/role/NAME/secret-id", from, s.options.Auth.Mount)}
}
