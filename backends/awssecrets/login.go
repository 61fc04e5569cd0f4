package awssecrets

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/handover-agent/handover/backends"
)

// login reads the SDK's configuration and prepares the credentials; nothing is
// asked before the first use. Proxies come from the environment.
func (w *wire) login(ctx context.Context, o Options) (aws.Config, error) {
	roots, err := rootsOf(o.CAFile)
	if err != nil {
		return aws.Config{}, err
	}
	// The logins' requests are few: no connection is kept for the next.
	client := awshttp.NewBuildableClient().WithTimeout(o.Timeout).WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
		t.DialContext = w.dial
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if roots != nil {
			t.TLSClientConfig.RootCAs = roots
		}
	})
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
	t := whole.GetTransport()
	t.DisableKeepAlives = false
	w.use(t)
	if o.AssumeRole != nil {
		cfg.Credentials = aws.NewCredentialsCache(assume(cfg, *o.AssumeRole))
	}
	cfg.Credentials = loginOf{cfg.Credentials}
	return cfg, nil
}

// rootsOf reads ca_file; nil is the system's.
func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no file is no pool, as tls.Config has it
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file %s: it holds no PEM certificate", file)
	}
	return roots, nil
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
		if cause := networkCause(e.err); cause != nil {
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

// networkCause is the part of err that the network or TLS made; nil is none.
func networkCause(err error) error {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		return fmt.Errorf("%w: name its authority in ca_file", verify)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("%w: check region, endpoint and the proxy", dns)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return nil
}
