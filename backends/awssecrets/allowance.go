package awssecrets

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/time/rate"

	"github.com/handover-agent/handover/backends"
)

// AWS keeps every version of the last day and asks for no more than one new one
// in ten minutes, sustained. A few more at once do no harm.
const (
	putEvery = 10 * time.Minute
	putBurst = 30
)

// allowance counts the new versions of each secret, so that a quarrel with
// another writer doesn't use up the secret's versions. It is safe for
// concurrent use.
type allowance struct {
	mu   sync.Mutex
	each map[string]*rate.Limiter
}

func newAllowance() *allowance { return &allowance{each: map[string]*rate.Limiter{}} }

// knows reports whether the secret's versions are counted already.
func (a *allowance) knows(path string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.each[path] != nil
}

// begin starts to count, with the versions that were made before, the oldest
// first.
func (a *allowance) begin(path string, made []time.Time) {
	limiter := rate.NewLimiter(rate.Every(putEvery), putBurst)
	for _, at := range made {
		limiter.AllowN(at, 1)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.each[path] == nil {
		a.each[path] = limiter
	}
}

// take counts a new version of a secret that is known. When there are too many
// it returns how long to wait, and counts nothing.
func (a *allowance) take(path string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.each[path].Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}

// allow counts a new version of the secret, or says how long it has to wait. At
// the first of this process it asks AWS which versions others, or the process
// before it, have made lately: nothing is asked where the secret has rested for
// so long that the answer would make no difference.
func (b *backend) allow(ctx context.Context, path string, s state) error {
	if !b.puts.knows(path) {
		var made []time.Time
		if time.Since(s.changed) < putBurst*putEvery {
			var err error
			if made, err = b.made(ctx, path); err != nil {
				return err
			}
		}
		b.puts.begin(path, made)
	}
	if wait := b.puts.take(path); wait > 0 {
		return verdict{kind: backends.ErrThrottled, wait: wait, err: errors.New(
			"too many new values for one secret, of which AWS takes one in ten minutes: look for somebody else who writes it")}
	}
	return nil
}

// made lists when the secret's versions were made, the oldest first. Where the
// policy doesn't allow the question, nothing is known.
func (b *backend) made(ctx context.Context, path string) ([]time.Time, error) {
	var all []time.Time
	in := &secretsmanager.ListSecretVersionIdsInput{SecretId: aws.String(path), IncludeDeprecated: aws.Bool(true)}
	for {
		out, err := ask(ctx, b, "ListSecretVersionIds", b.client.ListSecretVersionIds, in)
		if errors.Is(kindOf(err), backends.ErrDenied) {
			b.log.Info("the policy lacks secretsmanager:ListSecretVersionIds: what was written before the agent's start is not counted", "path", path)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			all = append(all, aws.ToTime(v.CreatedDate))
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			slices.SortFunc(all, time.Time.Compare)
			return all, nil
		}
	}
}
