package awssecrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// login reads the SDK's configuration and prepares the credentials; nothing is
// asked before the first use. The logins go by transports of the SDK, which end
// with w.
func login(ctx context.Context, o Options, w *wire.Transport) (aws.Config, error) {
	// The logins' requests are few: no connection is kept for the next.
	client := awshttp.NewBuildableClient().WithTimeout(o.Timeout).
		WithTransportOptions(w.Prepare, func(t *http.Transport) { t.DisableKeepAlives = true })
	load := []func(*config.LoadOptions) error{
		config.WithRegion(o.Region), config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // the engine decides when to try again
	}
	if o.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(o.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	whole, ok := cfg.HTTPClient.(*awshttp.BuildableClient) // with AWS_CA_BUNDLE, if that is set
	if !ok {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: a client of type %T", cfg.HTTPClient)
	}
	base := whole.GetTransport()
	base.DisableKeepAlives = false
	w.Over(base)
	if o.AssumeRole != nil {
		cfg.Credentials = aws.NewCredentialsCache(assume(cfg, *o.AssumeRole))
	}
	cfg.Credentials = loginOf{cfg.Credentials}
	return cfg, nil
}

func assume(cfg aws.Config, role AssumeRole) aws.CredentialsProvider {
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		if role.Endpoint != "" {
			o.BaseEndpoint = aws.String(role.Endpoint)
		}
	})
	return stscreds.NewAssumeRoleProvider(client, role.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = role.SessionName
		if role.ExternalID != "" {
			o.ExternalID = aws.String(role.ExternalID)
		}
	})
}

// loginOf marks what fails before a request to Secrets Manager is made.
type loginOf struct{ chain aws.CredentialsProvider }

// loginError is a failure to get credentials.
type loginError struct{ err error }

func (e *loginError) Error() string { return "no credentials: " + e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// Retrieve implements aws.CredentialsProvider.
func (l loginOf) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := l.chain.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &loginError{err}
	}
	return found, nil
}

// loginVerdict says what a failed login means. Nothing was asked of Secrets
// Manager. The SDK's own text is passed on from the network alone: that of a
// credential process can hold what the process said.
func loginVerdict(e *loginError, o Options) verdict {
	var api smithy.APIError
	var sso *ssocreds.InvalidTokenError
	say := func(kind error, text string) verdict { return verdict{kind: kind, err: errors.New(text)} }
	switch {
	case errors.Is(e.err, context.DeadlineExceeded), errors.Is(e.err, context.Canceled):
		return lost(e.err, e.err, false)
	case errors.As(e.err, &sso):
		return say(backends.ErrDenied, "the SSO session is over: run aws sso login as the agent's user")
	case !errors.As(e.err, &api):
		if cause := wire.Network(e.err, keysOfPlace); cause != nil {
			return verdict{kind: backends.ErrUnavailable, err: fmt.Errorf("no credentials: %w", cause)}
		}
		return say(backends.ErrUnavailable, "no credentials in the environment, the profile, a web identity, the container or the instance: "+
			"aws sts get-caller-identity, run as the agent's user, tells more")
	}
	code := codeOf(api)
	switch _, throttled := retry.DefaultThrottleErrorCodes[code]; {
	case throttled:
		return say(backends.ErrThrottled, "the login is throttled ("+code+")")
	case code == "AccessDenied" && o.AssumeRole != nil:
		return say(backends.ErrDenied, "AWS does not let the agent take on "+o.AssumeRole.Role+
			": check the role's trust policy, the external id, and sts:AssumeRole in the agent's own policy")
	case code == "RegionDisabledException":
		return say(backends.ErrDenied, "STS is not active in the region "+o.Region+": check region")
	case api.ErrorFault() == smithy.FaultServer:
		return say(backends.ErrUnavailable, "the login failed on AWS's side ("+code+")")
	}
	if row, known := codes[code]; known {
		return say(row.kind, "login: "+row.says+" ("+code+")")
	}
	return say(backends.ErrDenied, "AWS refuses the login ("+code+"): check the credentials, the role and its trust policy")
}
