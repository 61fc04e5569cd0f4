package awssecrets

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
)

// PutPending implements backends.Stager. The first version of a secret can't be
// staged: AWS makes it current, whatever label is asked for.
func (b *backend) PutPending(ctx context.Context, ref backends.Ref, item backends.Item) (backends.Version, error) {
	op := operation{name: "stage", ref: ref}
	s, err := b.prepare(ctx, ref, item)
	if err != nil {
		return "", op.fail(err)
	}
	if !s.exists {
		id, err := b.create(ctx, ref, item)
		if err == nil {
			return backends.Version(id), nil
		}
		if !errors.Is(kindOf(err), backends.ErrConflict) {
			return "", op.fail(err)
		}
		if s, err = b.describe(ctx, ref.Path); err != nil { // somebody came first
			return "", op.fail(err)
		}
	}
	id, err := b.standing(ctx, ref, s, item, s.at[labelCurrent], s.pending())
	switch {
	case err != nil:
		return "", op.fail(err)
	case id == "":
		id, err = b.stage(ctx, ref, s, item)
	case id == s.at[labelCurrent]:
		b.dropDead(ctx, ref, s)
	}
	if err != nil {
		return "", op.fail(err)
	}
	return backends.Version(id), nil
}

// Promote implements backends.Stager.
func (b *backend) Promote(ctx context.Context, ref backends.Ref, pending, prev backends.Version) error {
	op := operation{name: "promote", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	if pending == backends.Absent {
		return op.fail(conflict("no version was staged"))
	}
	if err := b.promote(ctx, ref, string(pending), prev); err != nil {
		return op.fail(err)
	}
	return nil
}

// promote moves AWSCURRENT from prev to id. AWS refuses that when the label has
// gone elsewhere; only then is asked where it went. Where there was none, AWS
// has given it by itself to the first version, so that is asked before.
func (b *backend) promote(ctx context.Context, ref backends.Ref, id string, prev backends.Version) error {
	if prev == backends.Absent {
		if s, err := b.describe(ctx, ref.Path); err != nil || s.at[labelCurrent] == id {
			return err
		}
	}
	var refused error
	if id != string(prev) {
		refused = b.move(ctx, ref, labelCurrent, id, string(prev))
		kind := kindOf(refused)
		if !errors.Is(kind, backends.ErrInvalid) && !errors.Is(kind, backends.ErrNotFound) {
			return refused // or nil
		}
	}
	s, err := b.describe(ctx, ref.Path)
	if err == nil {
		err = s.unfit(b.options)
	}
	switch {
	case err != nil:
		return err
	case s.scheduled():
		return conflict("the secret was scheduled for deletion meanwhile")
	case s.at[labelCurrent] == id:
		return nil
	case s.current() != prev || refused == nil:
		b.dropOwn(ctx, ref, s, id)
		return moved(s, prev)
	case !s.labelled(id):
		return conflict("the staged version is gone")
	}
	return refused
}

// move takes a label from one version to another; either may be "" for none.
func (b *backend) move(ctx context.Context, ref backends.Ref, label, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(ref.Path), VersionStage: aws.String(label)}
	if to != "" {
		in.MoveToVersionId = aws.String(to)
	}
	if from != "" {
		in.RemoveFromVersionId = aws.String(from)
	}
	_, err := change(ctx, b, "UpdateSecretVersionStage", b.client.UpdateSecretVersionStage, in)
	return err
}

// dropDead takes AWSPENDING from a version of ours that nobody will promote, for
// its secret serves what it should.
func (b *backend) dropDead(ctx context.Context, ref backends.Ref, s state) {
	if id := s.pending(); fingerprintIn(id) != "" {
		b.dropOwn(ctx, ref, s, id)
	}
}

// dropOwn takes AWSPENDING from a version that has lost, so that nobody takes it
// for a rotation under way. Where that fails, the next staging moves the label.
func (b *backend) dropOwn(ctx context.Context, ref backends.Ref, s state, id string) {
	if s.at[labelPending] != id {
		return
	}
	if err := b.move(ctx, ref, labelPending, "", id); err != nil {
		b.log.Debug("the label of a dead attempt is left", "path", ref.Path, "version", id, "error", err)
	}
}
