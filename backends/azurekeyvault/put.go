package azurekeyvault

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
)

// Put implements backends.Backend. The new version carries its tags from the
// start. It is read back by its id; that it is the latest too, the caller finds
// by a Get: of two writers at once the last one wins, and both are told that
// their version stands.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, _ backends.Version) (backends.Version, error) {
	op := operation{name: "put", ref: ref}
	err := b.begin(ctx, ref)
	if err == nil {
		err = checkItem(item)
	}
	if err != nil {
		return "", op.fail(err)
	}
	now, err := b.standing(ctx, ref.Path)
	if err != nil {
		return "", op.fail(err)
	}
	if now.version != "" && now.payload.Equal(item.Payload) {
		if err := b.refresh(ctx, ref, now, item); err != nil {
			return "", op.fail(after("the value stands, its tags do not", err))
		}
		return backends.Version(now.version), nil
	}
	version, err := b.set(ctx, ref, now, item)
	if err != nil {
		return "", op.fail(err)
	}
	back, err := b.read(ctx, ref.Path, version)
	if err == nil && !back.payload.Equal(item.Payload) {
		err = errors.New("it holds another value")
	}
	if err != nil {
		return "", op.fail(verdict{kind: backends.ErrUnknownOutcome,
			err: fmt.Errorf("the version %s was written, and can't be read back by its id: %w", version, err)})
	}
	return backends.Version(version), nil
}

// checkItem refuses what Key Vault can't keep.
func checkItem(item backends.Item) error {
	err := describe(item).check()
	switch n := item.Payload.Len(); {
	case n > maxPayload:
		err = fmt.Errorf("the payload has %d bytes, Key Vault takes at most %d", n, maxPayload)
	case n == 0:
		err = errors.New("the payload is empty")
	case !utf8.ValidString(item.Payload.Reveal()):
		err = errors.New("the payload is not UTF-8 text, and Key Vault keeps nothing else")
	}
	if err != nil {
		return verdict{kind: backends.ErrInvalid, err: err}
	}
	return nil
}

// standing is what a write has to regard: the latest version, or of a disabled
// one its tags. Where nothing stands it is the zero found and no error.
func (b *backend) standing(ctx context.Context, name string) (found, error) {
	now, err := b.read(ctx, name, "")
	switch {
	case says(err, codeDisabled):
		all, err := b.history(ctx, name)
		if err != nil || len(all) == 0 {
			return found{}, err
		}
		return found{tags: all[0].tags, contentType: all[0].contentType}, nil
	case errors.Is(kindOf(err), backends.ErrNotFound):
		return found{}, nil
	case err == nil && now.managed:
		return found{}, verdict{kind: backends.ErrInvalid,
			err: errors.New("the secret belongs to a certificate of the vault: choose another name")}
	}
	return now, err
}

// refresh brings what stands beside the current value up to date, also a start
// of its validity that is yet to come.
func (b *backend) refresh(ctx context.Context, ref backends.Ref, now found, item backends.Item) error {
	want := tags(b.options.Tags).with(describe(item))
	attributes := &azsecrets.SecretAttributes{}
	update := azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: attributes}
	changed := false
	if !now.tags.has(want) {
		update.Tags, changed = now.tags.with(want).sdk(), true
	}
	if kind := declaredType(ref); kind != "" && kind != now.contentType {
		update.ContentType, changed = &kind, true
	}
	if end := item.Meta.Expires; !end.IsZero() && end.Unix() != now.expires.Unix() {
		attributes.Expires, changed = &end, true
	}
	if started := time.Now(); now.notBefore.After(started) {
		attributes.NotBefore, changed = &started, true
	}
	if !changed {
		return nil
	}
	if err := now.tags.with(want).check(); err != nil {
		return verdict{kind: backends.ErrInvalid, err: err}
	}
	return b.update(ctx, ref.Path, now.version, update)
}

// update changes what stands beside a version.
func (b *backend) update(ctx context.Context, name, version string, p azsecrets.UpdateSecretPropertiesParameters) error {
	return b.call(ctx, true, func(ctx context.Context) error {
		_, err := b.client.UpdateSecretProperties(ctx, name, version, p, nil)
		return err
	})
}

// set writes item as a new version and returns its id. A deleted secret that
// can be recovered is recovered first, where that is declared.
func (b *backend) set(ctx context.Context, ref backends.Ref, now found, item backends.Item) (string, error) {
	version, err := b.setOnce(ctx, ref, now, item)
	if !says(err, codeDeleted, codeDeleting, codeRecovering) || !b.options.Recover {
		return version, err
	}
	return b.recoverAndSet(ctx, ref, item, err)
}

func (b *backend) setOnce(ctx context.Context, ref backends.Ref, now found, item backends.Item) (string, error) {
	all := now.tags.others().with(b.options.Tags).with(describe(item)).with(tags{tagReplaces: now.version})
	if err := all.check(); err != nil {
		return "", verdict{kind: backends.ErrInvalid, err: err}
	}
	p := azsecrets.SetSecretParameters{
		Value:            to.Ptr(item.Payload.Reveal()),
		Tags:             all.sdk(),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true)},
	}
	if kind := orDefault(declaredType(ref), now.contentType); kind != "" {
		p.ContentType = &kind
	}
	if end := item.Meta.Expires; !end.IsZero() {
		p.SecretAttributes.Expires = &end
	}
	var answer azsecrets.SetSecretResponse
	err := b.call(ctx, true, func(ctx context.Context) (err error) {
		answer, err = b.client.SetSecret(ctx, ref.Path, p, nil)
		return err
	})
	if err != nil {
		return "", err
	}
	version := foundIn(answer.Secret).version
	if version == "" {
		return "", verdict{kind: backends.ErrUnknownOutcome, err: errors.New("the answer names no version")}
	}
	return version, nil
}

// declaredType is the target's content type; "" leaves what stands there.
func declaredType(ref backends.Ref) string {
	if o, ok := ref.Options.(*TargetOptions); ok && o != nil {
		return o.ContentType
	}
	return ""
}

// after puts what has happened already before what failed.
func after(happened string, err error) error {
	v := verdict{kind: backends.ErrUnavailable, err: err}
	errors.As(err, &v)
	v.err = fmt.Errorf("%s: %w", happened, v.err)
	return v
}
