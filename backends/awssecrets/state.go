package awssecrets

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
)

// The labels that Secrets Manager itself gives a meaning.
const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
	labelPending  = "AWSPENDING"
)

// state is what AWS tells of a secret without its values. The zero state is no
// secret.
type state struct {
	exists bool
	// deletes is when a secret that is scheduled for deletion was so; the zero
	// time is never.
	deletes time.Time
	// changed is when anything of the secret was changed last.
	changed time.Time
	// at are the versions by label.
	at   map[string]string
	tags tags
	// owner is another service that manages the secret; "" is none.
	owner string
	// primary is the region of which this secret is a copy; "" is none.
	primary string
	// rotated: AWS runs a rotation function on the secret.
	rotated bool
}

// describe asks for the state. A secret that isn't there is no error.
func (b *backend) describe(ctx context.Context, path string) (state, error) {
	out, err := ask(ctx, b, "DescribeSecret", b.client.DescribeSecret, &secretsmanager.DescribeSecretInput{SecretId: aws.String(path)})
	if errors.Is(kindOf(err), backends.ErrNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	if out.ARN == nil {
		return state{}, verdict{kind: backends.ErrUnavailable, err: errNotAWS}
	}
	s := state{
		exists:  true,
		deletes: aws.ToTime(out.DeletedDate),
		changed: aws.ToTime(out.LastChangedDate),
		at:      map[string]string{},
		tags:    tags{},
		owner:   aws.ToString(out.OwningService),
		rotated: aws.ToBool(out.RotationEnabled),
	}
	if region := aws.ToString(out.PrimaryRegion); region != b.options.Region {
		s.primary = region
	}
	for id, labels := range out.VersionIdsToStages {
		for _, label := range labels {
			s.at[label] = id
		}
	}
	for _, tag := range out.Tags {
		s.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return s, nil
}

func (s state) scheduled() bool { return !s.deletes.IsZero() }

// current is what a Put has to expect.
func (s state) current() backends.Version { return backends.Version(s.at[labelCurrent]) }

// pending is the version that waits to become current. A promoted version keeps
// the label until the next one is staged, and waits for nothing.
func (s state) pending() string {
	if id := s.at[labelPending]; id != s.at[labelCurrent] {
		return id
	}
	return ""
}

// version is the one at a stage; "" is none.
func (s state) version(at backends.Stage) string {
	switch at {
	case backends.Previous:
		return s.at[labelPrevious]
	case backends.Pending:
		return s.pending()
	}
	return s.at[labelCurrent]
}

// labelled reports whether AWS keeps the version for one of its labels.
func (s state) labelled(id string) bool {
	for _, other := range s.at {
		if other == id {
			return true
		}
	}
	return false
}

// absence says why nothing can be read at a stage.
func (s state) absence(at backends.Stage) error {
	switch {
	case !s.exists:
		return nothing("there is no such secret")
	case s.scheduled():
		return nothing("the secret is scheduled for deletion")
	case at == backends.Current:
		return nothing("the secret has no value yet")
	}
	return nothing("no version has that label")
}

// unfit says why the agent can't write to the secret as it is; nil is no
// reason.
func (s state) unfit(o Options) error {
	switch {
	case s.owner != "":
		return invalid("the secret is managed by %s: declare another name", s.owner)
	case s.primary != "":
		return invalid("the secret is a copy of the one in %s: declare that region", s.primary)
	case s.rotated:
		return invalid("AWS rotates the secret by a function of its own: run aws secretsmanager cancel-rotate-secret, or declare another name")
	case s.scheduled() && !o.Recover:
		return invalid("the secret is scheduled for deletion since %s: run aws secretsmanager restore-secret, or declare recover: true",
			s.deletes.UTC().Format(time.DateOnly))
	}
	return nil
}
