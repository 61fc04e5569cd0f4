package awssecrets

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Get implements backends.Backend. A secret that is scheduled for deletion is
// NotFound: no reader gets anything from it.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	op := operation{name: "get", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return backends.Item{}, "", op.fail(err)
	}
	read := b.readVersion
	if at == backends.Current {
		read = b.readCurrent
	}
	item, version, err := read(ctx, ref, at)
	if err != nil {
		return backends.Item{}, version, op.fail(err)
	}
	return item, version, nil
}

// readCurrent reads what a reader gets, by the label that a reader names, and
// its tags after.
func (b *backend) readCurrent(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	item, id, err := b.value(ctx, &secretsmanager.GetSecretValueInput{
		SecretId: aws.String(ref.Path), VersionStage: aws.String(labelCurrent),
	})
	kind := kindOf(err)
	if err != nil && !errors.Is(kind, backends.ErrNotFound) && !errors.Is(kind, backends.ErrInvalid) {
		return backends.Item{}, "", err
	}
	s, undescribed := b.describe(ctx, ref.Path)
	switch {
	case undescribed != nil:
		return backends.Item{}, "", undescribed
	case err == nil:
		item.Meta = s.tags.meta(id)
		return item, backends.Version(id), nil
	case !s.exists, s.scheduled(), s.current() == backends.Absent:
		return backends.Item{}, s.current(), s.absence(at)
	case errors.Is(kind, backends.ErrNotFound):
		return backends.Item{}, "", verdict{kind: backends.ErrUnavailable, err: errors.New("the secret changed while it was read")}
	}
	return backends.Item{}, "", err
}

// readVersion reads the version at another stage, by its id.
func (b *backend) readVersion(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	s, err := b.describe(ctx, ref.Path)
	if err != nil {
		return backends.Item{}, "", err
	}
	id := s.version(at)
	if id == "" || s.scheduled() {
		return backends.Item{}, s.current(), s.absence(at)
	}
	item, _, err := b.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(ref.Path), VersionId: aws.String(id)})
	if errors.Is(kindOf(err), backends.ErrNotFound) {
		return backends.Item{}, s.current(), err // AWS names a pending version before it has a value
	}
	if err != nil {
		return backends.Item{}, "", err
	}
	item.Meta = s.tags.meta(id)
	return item, backends.Version(id), nil
}

// value gets one value and the id of its version.
func (b *backend) value(ctx context.Context, in *secretsmanager.GetSecretValueInput) (backends.Item, string, error) {
	out, err := ask(ctx, b, "GetSecretValue", b.client.GetSecretValue, in)
	if err != nil {
		return backends.Item{}, "", err
	}
	id := aws.ToString(out.VersionId)
	if id == "" {
		return backends.Item{}, "", verdict{kind: backends.ErrUnavailable, err: errNotAWS}
	}
	if out.SecretString == nil { // binary: written by others
		return backends.Item{Payload: secret.New(string(out.SecretBinary))}, id, nil
	}
	return backends.Item{Payload: secret.New(*out.SecretString)}, id, nil
}

// Describe implements backends.Describer.
func (b *backend) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	op := operation{name: "describe", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return backends.Meta{}, "", op.fail(err)
	}
	s, err := b.describe(ctx, ref.Path)
	switch {
	case err != nil:
		return backends.Meta{}, "", op.fail(err)
	case s.scheduled(), s.current() == backends.Absent:
		return backends.Meta{}, s.current(), op.fail(s.absence(backends.Current))
	}
	return s.tags.meta(s.at[labelCurrent]), s.current(), nil
}

// Check implements backends.Checker by reading: whether the credentials work,
// and whether the secret is one that the agent can write to. AWS can't be asked
// what a policy allows without allowing that question too.
func (b *backend) Check(ctx context.Context, ref backends.Ref) error {
	op := operation{name: "check", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	s, err := b.describe(ctx, ref.Path)
	if err == nil {
		err = s.unfit(b.options)
	}
	if err != nil {
		return op.fail(err)
	}
	return nil
}
