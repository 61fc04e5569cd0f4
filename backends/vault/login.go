package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// login makes a new session by the declared method. It fails with a verdict
// that never says UnknownOutcome: nothing of the caller's request was sent.
func (s *sessions) login(ctx context.Context) (*session, error) {
	client, err := s.newClient()
	if err != nil {
		return nil, err
	}
	var auth *api.SecretAuth
	ses := &session{client: client}
	if s.options.Auth.Method == methodAppRole {
		auth, err = s.loginAppRole(ctx, client)
		ses.ours = true
	} else {
		auth, err = s.loginToken(ctx, client)
	}
	if err != nil {
		return nil, err
	}
	ses.token = secret.New(client.Token())
	if err := s.keep(ses, auth); err != nil {
		return nil, err
	}
	return ses, nil
}

func (s *sessions) loginAppRole(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	a := s.options.Auth
	secretID, err := a.SecretID.Read()
	if err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	method, err := approle.NewAppRoleAuth(a.RoleID,
		&approle.SecretID{FromString: secretID.Reveal()}, approle.WithMountPath(a.Mount))
	if err != nil {
		return nil, verdict{kind: backends.ErrInvalid, err: secret.Redact(err, secretID)}
	}
	answer, err := client.Auth().Login(ctx, method)
	if err == nil {
		return answer.Auth, nil
	}
	var refused *api.ResponseError
	if errors.As(err, &refused) && isRefusal(refused.StatusCode) {
		return nil, verdict{kind: backends.ErrDenied, err: fmt.Errorf(
			"log in with AppRole at auth/%s: Vault answered %d: check that AppRole is enabled there, role_id, and that the secret id in %s is still valid",
			a.Mount, refused.StatusCode, a.SecretID)}
	}
	return nil, verdict{kind: loginKind(err), err: fmt.Errorf("log in with AppRole at auth/%s: %w", a.Mount, loginError(err, secretID))}
}

// loginToken takes the declared token. Its lifetime is asked for, so that it
// can be renewed; a token that may not look itself up is used as it is.
func (s *sessions) loginToken(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	token, err := s.options.Auth.Token.Read()
	if err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	client.SetToken(token.Reveal())
	self, err := client.Auth().Token().LookupSelfWithContext(ctx)
	var refused *api.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, verdict{kind: loginKind(err), err: fmt.Errorf("look up the token from %s: %w",
			s.options.Auth.Token, loginError(err, token))}
	}
	return lifetime(self, token), nil
}

// lifetime puts what a token says of itself in the form of a login's answer.
func lifetime(self *api.Secret, token secret.Value) *api.SecretAuth {
	if self == nil {
		return nil
	}
	ttl, isNumber := self.Data["ttl"].(json.Number)
	if !isNumber {
		return nil
	}
	seconds, err := ttl.Int64()
	renewable, _ := self.Data["renewable"].(bool)
	if err != nil || seconds <= 0 {
		return nil
	}
	return &api.SecretAuth{ClientToken: token.Reveal(), Renewable: renewable, LeaseDuration: int(seconds)}
}

// alive asks Vault whether it still knows the session's token.
func (ses *session) alive(ctx context.Context) bool {
	_, err := ses.client.Auth().Token().LookupSelfWithContext(ctx)
	var refused *api.ResponseError
	return !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden
}

func isRefusal(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden
}

func loginKind(err error) error {
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		return classify(reply{status: refused.StatusCode, errors: refused.Errors}, false).kind
	}
	return backends.ErrUnavailable
}

// loginError is err in few words, without the SDK's rendering of the request
// and without a trace of the secrets.
func loginError(err error, secrets ...secret.Value) error {
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		return classify(reply{status: refused.StatusCode, errors: refused.Errors}, false).err
	}
	return secret.Redact(plainCause(err), secrets...)
}
