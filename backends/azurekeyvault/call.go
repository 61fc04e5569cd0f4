package azurekeyvault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// operation names what a method of the backend was asked to do, for errors.
type operation struct {
	name string
	ref  backends.Ref
}

// fail makes the error of an operation. A verdict gives its kind and waiting
// time.
func (op operation) fail(err error) error {
	e := &backends.Error{Op: op.name, Ref: op.ref, Kind: backends.ErrUnavailable, Err: err}
	var v verdict
	if errors.As(err, &v) {
		e.Kind, e.RetryAfter, e.Err = v.kind, v.wait, v.err
	}
	return e
}

// begin is what every operation asks before it starts.
func (b *backend) begin(ctx context.Context, ref backends.Ref) error {
	if err := ctx.Err(); err != nil {
		return verdict{kind: backends.ErrUnavailable, err: err}
	}
	if err := properties().Path.Check(ref.Path); err != nil {
		return verdict{kind: backends.ErrInvalid, err: err}
	}
	return nil
}

// call does one exchange with the vault, logging in first where that is
// needed. Its errors are verdicts. changes says that a failure may leave the
// change made all the same.
func (b *backend) call(ctx context.Context, changes bool, do func(context.Context) error) error {
	leave, err := b.limit.enter(ctx)
	if err != nil {
		return verdict{kind: backends.ErrUnavailable, err: err}
	}
	defer leave()
	f := &flight{}
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, flightKey{}, f), b.options.Timeout)
	defer cancel()
	err = do(bounded)
	var v verdict
	var refused *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &v):
		return v
	case errors.As(err, &refused):
		return classify(answerOf(refused), changes)
	}
	return lost(bounded, err, f, changes)
}

// lost is the verdict on a call that got no answer, or none that could be used.
func lost(ctx context.Context, err error, f *flight, changes bool) verdict {
	v := verdict{kind: backends.ErrUnavailable}
	if changes && f.sent.Load() {
		v.kind = backends.ErrUnknownOutcome
	}
	switch status := f.status.Load(); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		v.err = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case ctx.Err() != nil:
		v.err = ctx.Err()
	case status == http.StatusUnauthorized:
		v.err = errors.New("the challenge to log in is not one of Key Vault: check url")
	case status != 0:
		v.err = errors.New("the answer is not Key Vault's: check url")
	default:
		v.err = plainCause(err)
	}
	return v
}

// plainCause drops the method and URL that net/http puts before the cause, for
// the place is in the error already, and says what to do about the two mistakes
// of a declaration that end here.
func plainCause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return fmt.Errorf("there is no vault of that name, or no way to its private endpoint: check url: %w", err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("the server's certificate is not trusted: name its authority in ca_file: %w", err)
	}
	return err
}

// found is one version of a secret as Key Vault answered it. The zero found is
// "nothing stands there".
type found struct {
	version     string
	payload     secret.Value
	tags        tags
	contentType string
	expires     time.Time
	notBefore   time.Time
	// managed: the secret is the other side of a certificate.
	managed bool
}

// read gets one version, "" being the latest.
func (b *backend) read(ctx context.Context, name, version string) (found, error) {
	var answer azsecrets.GetSecretResponse
	err := b.call(ctx, false, func(ctx context.Context) (err error) {
		answer, err = b.client.GetSecret(ctx, name, version, nil)
		return err
	})
	if err != nil {
		return found{}, err
	}
	f := foundIn(answer.Secret)
	if f.version == "" || (version != "" && f.version != version) {
		return found{}, verdict{kind: backends.ErrUnavailable, err: errors.New("the answer is not Key Vault's: check url")}
	}
	return f, nil
}

func foundIn(s azsecrets.Secret) found {
	f := found{tags: tags{}, managed: s.KID != nil || (s.Managed != nil && *s.Managed)}
	if s.ID != nil {
		f.version = s.ID.Version()
	}
	if s.Value != nil {
		f.payload = secret.New(*s.Value)
	}
	if s.ContentType != nil {
		f.contentType = *s.ContentType
	}
	for name, value := range s.Tags {
		if value != nil {
			f.tags[name] = *value
		}
	}
	if a := s.Attributes; a != nil {
		if a.Expires != nil {
			f.expires = *a.Expires
		}
		if a.NotBefore != nil {
			f.notBefore = *a.NotBefore
		}
	}
	return f
}
