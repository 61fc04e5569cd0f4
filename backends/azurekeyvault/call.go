package azurekeyvault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
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
	leave, err := b.limit.Enter(ctx)
	if err != nil {
		return verdict{kind: backends.ErrUnavailable, err: err}
	}
	defer leave()
	tracked, f := wire.Track(ctx)
	bounded, cancel := context.WithTimeout(tracked, b.options.Timeout)
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
func lost(ctx context.Context, err error, f *wire.Flight, changes bool) verdict {
	v := verdict{kind: backends.ErrUnavailable}
	if changes && f.Arrived() {
		v.kind = backends.ErrUnknownOutcome
	}
	switch status := f.Status(); {
	case ctx.Err() != nil:
		v.err = wire.Cause(ctx.Err(), keyOfPlace)
	case f.Err() != nil:
		v.err = wire.Cause(f.Err(), keyOfPlace)
	case status == http.StatusUnauthorized:
		v.err = errors.New("the challenge to log in is not one of Key Vault: check url")
	case status != 0:
		v.err = errors.New("the answer is not Key Vault's: check url")
	default:
		v.err = wire.Cause(err, keyOfPlace)
	}
	return v
}

// keyOfPlace is the declaration's key that says where the vault is.
const keyOfPlace = "url"

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
