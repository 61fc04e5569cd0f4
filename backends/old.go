package backends

import (
	"context"
	"errors"
)

// maxOld bounds how many versions one call of RemoveOld takes out of reach:
// more is a driver whose Remove does nothing.
const maxOld = 100

// Removes reports whether the store can take an old version out of reach.
func (t *Target) Removes() bool {
	_, ok := As[Remover](t.Backend)
	return ok
}

// RemoveOld takes the versions beside the current one out of reach of which
// dead says that they hold a dead token: what is pending, and what is previous,
// one after the other. It stops at the first previous version that isn't dead: what
// lies behind that is found once it is gone too. It returns how many were taken
// out of reach, also beside an error. Done again it does what is left. A store
// that can't remove has nothing to do.
func (t *Target) RemoveOld(ctx context.Context, dead func(Reading) bool) (removed int, err error) {
	remover, ok := As[Remover](t.Backend)
	if !ok {
		return 0, nil
	}
	stages := []Stage{Previous}
	if _, ok := As[Stager](t.Backend); ok {
		stages = []Stage{Pending, Previous}
	}
	for _, at := range stages {
		for {
			found, err := t.Read(ctx, at)
			if err != nil {
				return removed, err
			}
			if !found.Present || !dead(found) {
				break
			}
			if removed == maxOld {
				return removed, t.fail("remove", ErrInvalid, errors.New("versions that were removed can still be read"))
			}
			if err := remover.Remove(ctx, t.Ref, found.Version); err != nil {
				return removed, t.wrap("remove", err, writeKind(err))
			}
			removed++
		}
	}
	return removed, nil
}
