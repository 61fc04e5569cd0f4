package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/aws"
	"github.com/hashicorp/vault/api/auth/kubernetes"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// login makes a new session by the declared method. It fails with a verdict
// that never says UnknownOutcome: nothing of the caller's request was sent.
func (s *sessions) login(ctx context.Context) (*session, error) {
	ses, auth, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	return ses, s.keep(ses, auth)
}

func (s *sessions) enter(ctx context.Context) (*session, *api.SecretAuth, error) {
	if s.options.Auth.Method == methodToken {
		return s.enterByToken(ctx)
	}
	method, credential, err := s.method(ctx)
	if err != nil {
		return nil, nil, err
	}
	client, err := s.newClient() // the logins of the SDK put their token into the client
	if err != nil {
		return nil, nil, err
	}
	answer, err := method.Login(ctx, client)
	switch {
	case err != nil:
		return nil, nil, s.loginError(err, credential)
	case answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "":
		return nil, nil, verdict{kind: backends.ErrUnavailable,
			err: fmt.Errorf("log in at auth/%s: the answer holds no token: check address and auth.mount", s.options.Auth.Mount)}
	}
	return &session{token: secret.New(answer.Auth.ClientToken), ours: true}, answer.Auth, nil
}

// method prepares the declared login. The credential that it sends is returned
// too, so that no error shows it.
func (s *sessions) method(ctx context.Context) (api.AuthMethod, secret.Value, error) {
	a := s.options.Auth
	var method api.AuthMethod
	var credential secret.Value
	var err error
	switch a.Method {
	case methodAppRole:
		if credential, err = s.secretID(ctx); err != nil {
			return nil, credential, err
		}
		method, err = approle.NewAppRoleAuth(a.RoleID, &approle.SecretID{FromString: credential.Reveal()}, approle.WithMountPath(a.Mount))
	case methodKubernetes, methodJWT:
		if credential, err = a.JWT.Read(); err != nil {
			return nil, credential, verdict{kind: backends.ErrUnavailable, err: err}
		}
		if a.Method == methodKubernetes {
			method, err = kubernetes.NewKubernetesAuth(a.Role, kubernetes.WithServiceAccountToken(credential.Reveal()), kubernetes.WithMountPath(a.Mount))
			break
		}
		method = plainLogin{mount: a.Mount, body: map[string]any{"role": a.Role, "jwt": credential.Reveal()}}
	case methodCert:
		method = plainLogin{mount: a.Mount, body: map[string]any{"name": a.Role}}
	case methodAWS:
		method, err = s.awsLogin()
	default:
		err = fmt.Errorf("auth.method %q is unknown", a.Method)
	}
	if err != nil {
		return nil, credential, verdict{kind: backends.ErrInvalid, err: secret.Redact(err, credential)}
	}
	return method, credential, nil
}

// plainLogin is a login for which the vendor has no module: one write.
type plainLogin struct {
	mount string
	body  map[string]any
}

// Login implements api.AuthMethod.
func (p plainLogin) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return client.Logical().WriteWithContext(ctx, "auth/"+p.mount+"/login", p.body)
}

// awsLogin signs a question to STS with the credentials that the machine has,
// for Vault to send.
func (s *sessions) awsLogin() (api.AuthMethod, error) {
	a := s.options.Auth
	with := []aws.LoginOption{aws.WithIAMAuth(), aws.WithMountPath(a.Mount), aws.WithRegion(a.Region), aws.WithRole(a.Role)}
	if a.ServerID != "" {
		with = append(with, aws.WithIAMServerIDHeader(a.ServerID))
	}
	method, err := aws.NewAWSAuth(with...)
	return patient{method: method, s: s}, err
}

// patient is a login whose library looks for credentials without regard to the
// context: the caller doesn't wait longer than its own, Close waits for the end.
type patient struct {
	method api.AuthMethod
	s      *sessions
}

// Login implements api.AuthMethod.
func (p patient) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	type outcome struct {
		answer *api.Secret
		err    error
	}
	done := make(chan outcome, 1)
	p.s.running.Go(func() {
		answer, err := p.method.Login(ctx, client)
		done <- outcome{answer, err}
	})
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enterByToken takes the declared token. Its lifetime is asked for, so that it
// can be renewed; a token that may not look itself up is used as it is.
func (s *sessions) enterByToken(ctx context.Context) (*session, *api.SecretAuth, error) {
	token, err := s.options.Auth.Token.Read()
	if err != nil {
		return nil, nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	req := request{method: http.MethodGet, path: "auth/token/lookup-self"}
	r, err := s.ask(ctx, token, req)
	ses := &session{token: token}
	switch v := req.judge(r); {
	case err != nil:
		return nil, nil, verdict{kind: backends.ErrUnavailable, err: fmt.Errorf("look up the token from %s: %w", s.options.Auth.Token, briefly(err, token))}
	case r.status == http.StatusForbidden:
		return ses, nil, nil
	case v.kind != nil:
		return nil, nil, v
	}
	return ses, lifetime(r, token), nil
}

// ask makes a request of the session's own within the declared time.
func (s *sessions) ask(ctx context.Context, token secret.Value, req request) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return send(ctx, s.client, token, req)
}

// lifetime puts what a token says of itself in the form of a login's answer.
func lifetime(r reply, token secret.Value) *api.SecretAuth {
	var self struct {
		TTL       json.Number `json:"ttl"`
		Renewable bool        `json:"renewable"`
	}
	if r.decode(&self) != nil {
		return nil
	}
	seconds, err := self.TTL.Int64()
	if err != nil || seconds <= 0 {
		return nil
	}
	return &api.SecretAuth{ClientToken: token.Reveal(), Renewable: self.Renewable, LeaseDuration: int(seconds)}
}

// loginError is the verdict on a login that failed. The words of the server are
// not passed on: they can repeat what was sent.
func (s *sessions) loginError(err error, credential secret.Value) error {
	at := fmt.Sprintf("log in by %s at auth/%s", s.options.Auth.Method, s.options.Auth.Mount)
	var refused *api.ResponseError
	switch {
	case !errors.As(err, &refused):
		return verdict{kind: backends.ErrUnavailable, err: fmt.Errorf("%s: %w", at, briefly(err, credential))}
	case refused.StatusCode == http.StatusBadRequest || refused.StatusCode == http.StatusUnauthorized ||
		refused.StatusCode == http.StatusForbidden:
		return verdict{kind: backends.ErrDenied, err: fmt.Errorf("%s: vault answered %d: check that the method is enabled there, and %s",
			at, refused.StatusCode, s.options.Auth.remedy())}
	}
	v := request{method: http.MethodPut, path: "auth/" + s.options.Auth.Mount + "/login"}.judge(reply{status: refused.StatusCode, errors: refused.Errors})
	v.err = fmt.Errorf("log in by %s: %w", s.options.Auth.Method, v.err)
	return v
}

// remedy is what to look at when the login is refused.
func (a *Auth) remedy() string {
	switch a.Method {
	case methodAppRole:
		return fmt.Sprintf("role_id, and that the secret id from %s is still valid and may be used from this machine", a.SecretID)
	case methodKubernetes:
		return fmt.Sprintf("that the role %s is for this pod's service account, namespace and audience, and that Vault may review tokens", a.Role)
	case methodJWT:
		return fmt.Sprintf("that the role takes the issuer, audience and subject of the JWT from %s, and that it is not over", a.JWT)
	case methodCert:
		return "that a role there trusts the certificate in cert_file, and that it is not over"
	}
	return "that the role is for the AWS principal whose credentials this machine has, server_id, and this machine's clock"
}
