// Package awssecrets keeps tokens in AWS Secrets Manager.
//
// A target's path is the name of a secret. A new payload is written as a version
// of its own under the label AWSPENDING, and becomes AWSCURRENT by moving that
// label away from the version that was seen there: AWS refuses the move when
// the label has gone elsewhere meanwhile. AWSPREVIOUS follows by itself. Which
// token a version carries stands in four tags of the secret, whose names begin
// with "handover-"; all other tags are left alone.
//
// docs/backends/aws-secrets-manager.md has the policy that the agent needs.
package awssecrets

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// Limits of Secrets Manager: "AWS Secrets Manager quotas" in its user guide.
const (
	maxPayload  = 64 << 10
	maxName     = 512
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// pathSays is the rule of pathPattern in words.
const pathSays = "1 to 512 letters, digits and / _ + = . @ -, not ending in a hyphen and six characters, " +
	"for that is how AWS ends an ARN; the name, not the ARN"

// pathPattern is AWS's rule for the name of a secret: the seventh character
// from the end is no hyphen.
var pathPattern = regexp.MustCompile(`^([A-Za-z0-9/_+=.@-]{1,6}|[A-Za-z0-9/_+=.@-]*[A-Za-z0-9/_+=.@][A-Za-z0-9/_+=.@-]{6})$`)

// Driver introduces the type "aws-secrets-manager".
func Driver() backends.Driver {
	return backends.Driver{
		Type: "aws-secrets-manager",
		Options: func() any {
			return &Options{
				Timeout: defaultTimeout, MaxInFlight: defaultMaxInFlight, Rate: defaultRate, Description: defaultDescription,
			}
		},
		Properties: func(any) backends.Properties { return properties() },
		Place:      place,
		Open:       open,
	}
}

func properties() backends.Properties {
	return backends.Properties{
		CompareAndSet:  true,
		Versions:       true,
		Metadata:       true,
		FirstIsCurrent: true,
		MaxPayload:     maxPayload,
		MaxMeta:        maxTagValue,
		Path:           backends.PathRule{Pattern: pathPattern, Max: maxName, Says: pathSays},
	}
}

// place names the secret. Whose account it is in, only AWS knows: who logs in
// stands for it.
func place(options any, ref backends.Ref) string {
	o, ok := options.(*Options)
	if !ok {
		return ref.String()
	}
	account := o.Profile
	if o.AssumeRole != nil {
		account = accountOf(o.AssumeRole.Role)
	}
	at := o.Region
	if u, err := url.Parse(o.Endpoint); err == nil && o.Endpoint != "" {
		at += " at " + u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.Path, "/")
	}
	return fmt.Sprintf("%s of %q in %s", ref.Path, account, at)
}

// backend is one declared Secrets Manager. Its methods are in read.go, put.go,
// stage.go and remove.go.
type backend struct {
	agentID string
	options Options
	log     *slog.Logger
	wire    *wire.Transport
	client  *secretsmanager.Client
	limit   *wire.Limit
	puts    *allowance
}

var (
	_ backends.Backend   = (*backend)(nil)
	_ backends.Stager    = (*backend)(nil)
	_ backends.Describer = (*backend)(nil)
	_ backends.Checker   = (*backend)(nil)
	_ backends.Remover   = (*backend)(nil)
)

// open makes the backend. The first use looks for credentials.
func open(ctx context.Context, env backends.Env, options any) (backends.Backend, error) {
	declared, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("open backend %s: options of type %T, not of aws-secrets-manager", env.Name, options)
	}
	if err := declared.Validate(); err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	filled := declared.withDefaults(env.AgentID)
	w, err := wire.New(filled.wire())
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	cfg, err := login(ctx, filled, w)
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	return &backend{
		agentID: env.AgentID,
		options: filled,
		log:     env.Log.With("backend", env.Name),
		wire:    w,
		client: secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
			o.HTTPClient = w.Client()
			o.BaseEndpoint = nil // the declaration decides, not AWS_ENDPOINT_URL
			if filled.Endpoint != "" {
				o.BaseEndpoint = aws.String(filled.Endpoint)
			}
		}),
		limit: wire.NewLimit(filled.MaxInFlight, filled.Rate),
		puts:  newAllowance(),
	}, nil
}

// Properties implements backends.Backend.
func (b *backend) Properties() backends.Properties { return properties() }

// Close ends all requests, those of a login under way too.
func (b *backend) Close() error {
	b.wire.Close()
	return nil
}
