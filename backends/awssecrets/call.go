package awssecrets

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// method is one call of the SDK's client.
type method[In, Out any] func(context.Context, *In, ...func(*secretsmanager.Options)) (*Out, error)

// ask makes a call that changes nothing.
func ask[In, Out any](ctx context.Context, b *backend, action string, m method[In, Out], in *In) (*Out, error) {
	return call(ctx, b, action, false, m, in)
}

// change makes a call that a failing server may have carried out all the same.
func change[In, Out any](ctx context.Context, b *backend, action string, m method[In, Out], in *In) (*Out, error) {
	return call(ctx, b, action, true, m, in)
}

// call makes one exchange with AWS within the declared time, a login that is
// due included. All errors are verdicts.
func call[In, Out any](ctx context.Context, b *backend, action string, writes bool, m method[In, Out], in *In) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	if b.wire.Closed() {
		return nil, verdict{kind: backends.ErrUnavailable, err: wire.ErrClosed}
	}
	leave, err := b.limit.Enter(ctx)
	if err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	ctx, f := wire.Track(ctx)
	out, err := m(ctx, in)
	if err != nil {
		return nil, b.classify(err, f, action, writes)
	}
	return out, nil
}

// begin is what every operation asks before it starts.
func begin(ctx context.Context, ref backends.Ref) error {
	if err := ctx.Err(); err != nil {
		return verdict{kind: backends.ErrUnavailable, err: err}
	}
	if err := properties().Path.Check(ref.Path); err != nil {
		return invalid("%w", err)
	}
	return nil
}
