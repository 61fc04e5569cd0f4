package awssecrets

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
)

// Remove implements backends.Remover: it takes AWSPREVIOUS and AWSPENDING from
// the version. AWS can't delete one version: it gives it to whoever knows its id,
// until it prunes versions without a label. Labels that others made stay.
func (b *backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	op := operation{name: "remove", ref: ref}
	if err := begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	s, err := b.describe(ctx, ref.Path)
	switch {
	case err != nil:
		return op.fail(err)
	case !s.exists, s.scheduled(): // nobody reads any version of it
		return nil
	case s.current() == version:
		return op.fail(conflict("version %s is the current one", version))
	}
	for _, label := range []string{labelPending, labelPrevious} {
		if s.at[label] != string(version) {
			continue
		}
		_, err := change(ctx, b, "UpdateSecretVersionStage", b.client.UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: aws.String(ref.Path), VersionStage: aws.String(label), RemoveFromVersionId: aws.String(string(version)),
		})
		if err != nil {
			return op.fail(err)
		}
	}
	return nil
}
