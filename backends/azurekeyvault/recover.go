package azurekeyvault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
)

// The waits between two tries to write a secret that is being recovered, after
// the first, grow to longestPause; after patience the operation gives up, and
// the next one goes on.
const (
	longestPause = 5 * time.Second
	patience     = 2 * time.Minute
)

// recoverAndSet recovers the deleted secret and writes item as soon as the
// vault takes it. Recovering goes on after Key Vault has answered; until it is
// done every write is refused with 409. A refused write has changed nothing, so
// it can be tried again.
func (b *backend) recoverAndSet(ctx context.Context, ref backends.Ref, item backends.Item, refused error) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var now found
	for pause := b.pause; ; pause = min(2*pause, longestPause) {
		if says(refused, codeDeleted) {
			recovered, err := b.recover(bounded, ref)
			if err != nil {
				return "", err
			}
			now = recovered
		}
		select {
		case <-bounded.Done():
			return "", verdict{kind: backends.ErrUnavailable,
				err: fmt.Errorf("%w; nothing was written: %w", refused, bounded.Err())}
		case <-time.After(pause):
		}
		version, err := b.setOnce(bounded, ref, now, item)
		if !says(err, codeDeleted, codeDeleting, codeRecovering) {
			return version, err
		}
		refused = err
	}
}

// recover asks Key Vault to recover a deleted secret, and returns what stands
// beside its latest version. Where somebody else recovers or purges it at this
// moment, that is no error: the next try to write tells.
func (b *backend) recover(ctx context.Context, ref backends.Ref) (found, error) {
	var answer azsecrets.RecoverDeletedSecretResponse
	err := b.call(ctx, true, func(ctx context.Context) (err error) {
		answer, err = b.client.RecoverDeletedSecret(ctx, ref.Path, nil)
		return err
	})
	switch {
	case err == nil:
		b.log.Info("deleted secret is being recovered", "secret", ref.Path)
		return foundIn(answer.Secret), nil
	case says(err, codeDeleting, codeRecovering), errors.Is(kindOf(err), backends.ErrNotFound):
		return found{}, nil
	}
	return found{}, after("recover the deleted secret", err)
}
