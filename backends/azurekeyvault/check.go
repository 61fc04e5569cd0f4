package azurekeyvault

import (
	"context"
	"errors"

	"github.com/handover-agent/handover/backends"
)

// Check implements backends.Checker by reading: that the vault answers, that
// the login is good, that the agent may read the secret, and that no deleted
// secret or certificate holds the name. Whether it may write can't be known
// without writing.
func (b *backend) Check(ctx context.Context, ref backends.Ref) error {
	op := operation{name: "check", ref: ref}
	if err := b.begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	now, err := b.read(ctx, ref.Path, "")
	switch {
	case err == nil && now.managed:
		return op.fail(verdict{kind: backends.ErrInvalid,
			err: errors.New("the secret belongs to a certificate of the vault: choose another name")})
	case err == nil, says(err, codeDisabled):
		return nil
	case !errors.Is(kindOf(err), backends.ErrNotFound):
		return op.fail(err)
	case b.options.Recover:
		return nil
	}
	err = b.call(ctx, false, func(ctx context.Context) error {
		_, err := b.client.GetDeletedSecret(ctx, ref.Path, nil)
		return err
	})
	switch {
	case err == nil:
		return op.fail(classify(answer{status: 409, code: codeDeleted}, false))
	case errors.Is(kindOf(err), backends.ErrNotFound), errors.Is(kindOf(err), backends.ErrDenied):
		return nil // the name is free, or the agent may not know
	}
	return op.fail(err)
}
