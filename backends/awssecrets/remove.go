package awssecrets

import (
	"context"
	"errors"

	"github.com/handover-agent/handover/backends"
)

// Remove implements backends.Remover: it takes the labels AWSPREVIOUS and
// AWSPENDING off a version. No reader that asks by label gets it any more, and
// AWS prunes it in its own time, a day at the earliest; until then whoever may
// read the secret gets it by its id. Nobody can delete a single version. A label
// that other people have put on it is theirs to take off.
func (b *backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	op := operation{name: "remove", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	if version == backends.Absent {
		return op.fail(invalid("no version is named"))
	}
	for _, label := range []string{labelPrevious, labelPending} {
		if err := b.unlabel(ctx, ref, label, string(version)); err != nil {
			return op.fail(err)
		}
	}
	return nil
}

// unlabel takes a label off a version that isn't current. Where the label stands
// elsewhere, or goes there at this moment, nothing is to be done.
func (b *backend) unlabel(ctx context.Context, ref backends.Ref, label, id string) error {
	var refused error
	for {
		s, err := b.describe(ctx, ref.Path)
		switch {
		case err != nil:
			return err
		case s.exists && s.at[labelCurrent] == id:
			return conflict("version %s is the current one", id)
		case s.at[label] != id: // nor is it where the secret is gone
			return nil
		case s.scheduled():
			return invalid("the secret is scheduled for deletion, and its labels can't be moved: restore it first")
		case refused != nil:
			return refused
		}
		refused = b.move(ctx, ref, label, "", id)
		if kind := kindOf(refused); !errors.Is(kind, backends.ErrInvalid) && !errors.Is(kind, backends.ErrNotFound) {
			return refused // or nil
		}
	}
}
