package awssecrets

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
)

// Put implements backends.Backend: it stages the item and promotes it.
func (b *backend) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	op := operation{name: "put", ref: ref}
	s, err := b.prepare(ctx, ref, item)
	if err != nil {
		return "", op.fail(err)
	}
	id, err := b.standing(ctx, ref, s, item, s.at[labelCurrent])
	switch {
	case err != nil:
		return "", op.fail(err)
	case id != "":
		b.dropDead(ctx, ref, s)
		return backends.Version(id), nil
	case s.current() != prev:
		return "", op.fail(moved(s, prev))
	case !s.exists:
		id, err = b.create(ctx, ref, item)
	default:
		id, err = b.stage(ctx, ref, s, item)
	}
	if err == nil && s.exists {
		err = b.promote(ctx, ref, id, prev)
	}
	if err != nil {
		return "", op.fail(err)
	}
	return backends.Version(id), nil
}

func moved(s state, prev backends.Version) error {
	return conflict("the current version is %q, not the expected %q", s.current(), prev)
}

// prepare looks at the place and makes it ready for a write: a secret that is
// scheduled for deletion is restored, where that is declared.
func (b *backend) prepare(ctx context.Context, ref backends.Ref, item backends.Item) (state, error) {
	if err := begin(ctx, ref); err != nil {
		return state{}, err
	}
	if err := accept(item); err != nil {
		return state{}, err
	}
	s, err := b.describe(ctx, ref.Path)
	if err == nil {
		err = s.unfit(b.options)
	}
	if err != nil || !s.scheduled() {
		return s, err
	}
	_, err = change(ctx, b, "RestoreSecret", b.client.RestoreSecret, &secretsmanager.RestoreSecretInput{SecretId: aws.String(ref.Path)})
	if err != nil {
		return state{}, err
	}
	b.log.Info("secret restored that was scheduled for deletion", "path", ref.Path)
	return b.describe(ctx, ref.Path)
}

// accept refuses before any call what AWS would refuse, or couldn't give back.
func accept(item backends.Item) error {
	switch n := item.Payload.Len(); {
	case n == 0:
		return invalid("the payload is empty")
	case n > maxPayload:
		return invalid("the payload has %d bytes, AWS takes at most %d", n, maxPayload)
	case !utf8.ValidString(item.Payload.Reveal()):
		return invalid("the payload is not UTF-8 text")
	}
	for _, value := range pairs[0].describe(item.Meta, versionID("", backends.Ref{}, item)) {
		if len(value) > maxTagValue || !tagPattern.MatchString(value) {
			return invalid("the slot's name can't stand in a tag: AWS takes at most %d letters, digits, spaces and _ . : / = + - @", maxTagValue)
		}
	}
	return nil
}

// standing returns the first of the versions that holds the item's payload
// already, with its tags brought up to date; "" is none. What others have
// written is read, for the id of their version tells nothing.
func (b *backend) standing(ctx context.Context, ref backends.Ref, s state, item backends.Item, ids ...string) (string, error) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		fingerprint := fingerprintIn(id)
		if fingerprint == "" {
			found, _, err := b.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(ref.Path), VersionId: aws.String(id)})
			if err != nil && !errors.Is(kindOf(err), backends.ErrNotFound) {
				return "", err
			}
			fingerprint = found.Payload.Fingerprint()
		}
		if fingerprint == item.Payload.Fingerprint() {
			return id, b.writeTags(ctx, ref, s, b.wanted(s, item, id))
		}
	}
	return "", nil
}

// create makes the secret with its first version, which AWS makes current.
func (b *backend) create(ctx context.Context, ref backends.Ref, item backends.Item) (string, error) {
	id := versionID(b.agentID, ref, item)
	in := &secretsmanager.CreateSecretInput{
		Name:               aws.String(ref.Path),
		ClientRequestToken: aws.String(id),
		SecretString:       aws.String(item.Payload.Reveal()),
		Description:        aws.String(b.options.Description),
		Tags:               b.wanted(state{}, item, id).list(),
	}
	if b.options.KMSKey != "" {
		in.KmsKeyId = aws.String(b.options.KMSKey)
	}
	out, err := change(ctx, b, "CreateSecret", b.client.CreateSecret, in)
	var v verdict
	switch {
	case errors.As(err, &v) && errors.Is(v.kind, backends.ErrNotFound): // no secret can be meant
		return "", invalid("AWS answered %s to CreateSecret: it knows no such KMS key: check kms_key", v.code)
	case errors.As(err, &v) && errors.Is(v.kind, backends.ErrInvalid) && v.code == "InvalidRequestException":
		// It was described as missing a moment ago: AWS deletes in its own time.
		return "", verdict{kind: backends.ErrUnavailable, err: errors.New("a secret of this name is still being deleted")}
	case err != nil:
		return "", err
	case aws.ToString(out.VersionId) == "":
		return "", verdict{kind: backends.ErrUnknownOutcome, err: errors.New("the answer names no version")}
	}
	b.puts.begin(ref.Path, []time.Time{time.Now()})
	return *out.VersionId, nil
}

// writeTags sets those of want that the secret lacks; all others are left
// alone.
func (b *backend) writeTags(ctx context.Context, ref backends.Ref, s state, want tags) error {
	missing := s.tags.lacking(want)
	if len(missing) == 0 {
		return nil
	}
	count := len(s.tags)
	for key := range missing {
		if _, there := s.tags[key]; !there {
			count++
		}
	}
	if count > maxTags {
		return invalid("the secret would have %d tags and AWS allows %d: take some away", count, maxTags)
	}
	_, err := change(ctx, b, "TagResource", b.client.TagResource,
		&secretsmanager.TagResourceInput{SecretId: aws.String(ref.Path), Tags: missing.list()})
	return err
}

// stage writes the item under AWSPENDING and returns the id of its version. The
// tags go first: they name the version that they describe, so they say nothing
// of any other, and a crash between the two leaves no value without them.
func (b *backend) stage(ctx context.Context, ref backends.Ref, s state, item backends.Item) (string, error) {
	id := versionID(b.agentID, ref, item)
	if err := b.writeTags(ctx, ref, s, b.wanted(s, item, id)); err != nil {
		return "", err
	}
	switch {
	case s.at[labelPending] == id: // an earlier Put came this far
		return id, nil
	case s.labelled(id):
		return id, b.move(ctx, ref, labelPending, id, s.at[labelPending])
	}
	if err := b.allow(ctx, ref.Path, s); err != nil {
		return "", err
	}
	out, err := change(ctx, b, "PutSecretValue", b.client.PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId:           aws.String(ref.Path),
		ClientRequestToken: aws.String(id),
		SecretString:       aws.String(item.Payload.Reveal()),
		VersionStages:      []string{labelPending},
	})
	switch {
	case err != nil:
		return "", err
	case aws.ToString(out.VersionId) == "":
		return "", verdict{kind: backends.ErrUnknownOutcome, err: errors.New("the answer names no version")}
	case slices.Contains(out.VersionStages, labelPending), slices.Contains(out.VersionStages, labelCurrent):
		return *out.VersionId, nil
	}
	// AWS kept this very version from before, without a label, and ignored
	// the request.
	return *out.VersionId, b.move(ctx, ref, labelPending, *out.VersionId, s.at[labelPending])
}
