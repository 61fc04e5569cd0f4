package awssecrets

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/wire"
)

const (
	defaultTimeout     = 10 * time.Second
	defaultMaxInFlight = 16
	defaultRate        = 20
	defaultDescription = "A token of a Qualytics service account, kept up to date by handover"
	maxDescription     = 2048
)

// Options is the declaration of a backend of type aws-secrets-manager.
// Credentials come from the default chain of the AWS SDK: the environment, a
// profile, a web identity (IRSA), a container's role, an instance's role. The
// address of Secrets Manager comes from the declaration alone.
type Options struct {
	Region      string            `yaml:"region" required:"true" doc:"the AWS region that holds the secrets, such as us-east-1"`
	Profile     string            `yaml:"profile" doc:"a profile of the shared AWS files to log in with; by default the SDK's chain of credentials"`
	AssumeRole  *AssumeRole       `yaml:"assume_role" doc:"a role to take on with the credentials that were found"`
	Endpoint    string            `yaml:"endpoint" doc:"the URL of Secrets Manager, such as a VPC endpoint's; the region's own by default"`
	CAFile      string            `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	CertFile    string            `yaml:"cert_file" path:"true" doc:"a PEM file with the certificate that the agent shows to who asks for one, such as a gateway before AWS; read again for each connection"`
	KeyFile     string            `yaml:"key_file" path:"true" doc:"a PEM file with the private key of cert_file"`
	Timeout     time.Duration     `yaml:"timeout" default:"10s" doc:"the longest wait for one answer"`
	MaxInFlight int               `yaml:"max_in_flight" default:"16" doc:"the most calls at the same time"`
	Rate        float64           `yaml:"rate" default:"20" doc:"the most calls per second; AWS allows an account 50 writes a second, whoever makes them"`
	KMSKey      string            `yaml:"kms_key" doc:"the KMS key for secrets that the agent creates: an ARN, an id or alias/NAME; aws/secretsmanager by default"`
	Description string            `yaml:"description" default:"A token of a Qualytics service account, kept up to date by handover" doc:"the description of secrets that the agent creates"`
	Tags        map[string]string `yaml:"tags" doc:"tags for the secrets, set when the agent writes to one; all others are left alone"`
	Recover     bool              `yaml:"recover" default:"false" doc:"restore a secret that is scheduled for deletion before writing to it; else it is an error"`
}

// AssumeRole is a role that the agent takes on.
type AssumeRole struct {
	Role        string `yaml:"role" required:"true" doc:"the role's ARN"`
	ExternalID  string `yaml:"external_id" doc:"the external id that the role's trust policy asks for"`
	SessionName string `yaml:"session_name" doc:"the session's name in CloudTrail; by default handover- and the agent's id"`
	Endpoint    string `yaml:"endpoint" doc:"the URL of STS, such as a VPC endpoint's; the region's own by default"`
}

var (
	regionPattern  = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`)
	rolePattern    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[A-Za-z0-9_+=,.@/-]+$`)
	sessionPattern = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
	keyPattern     = regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+|` +
		`alias/[A-Za-z0-9/_-]+|(mrk-)?[0-9a-f-]{32,36})$`)
	// tagPattern is AWS's rule for keys and values of tags.
	tagPattern = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// Validate checks what the tags can't say. A required key that is missing is
// left to the tags.
func (o *Options) Validate() error {
	problems := []error{checkEndpoint("endpoint", o.Endpoint), o.wire().Check()}
	if o.Region != "" && !regionPattern.MatchString(o.Region) {
		problems = append(problems, errors.New("region must be the name of an AWS region, such as us-east-1"))
	}
	if o.KMSKey != "" && !keyPattern.MatchString(o.KMSKey) {
		problems = append(problems, errors.New("kms_key must be the key's ARN, its id, or alias/ and its alias"))
	}
	if len(o.Description) > maxDescription {
		problems = append(problems, fmt.Errorf("description must have at most %d bytes", maxDescription))
	}
	if o.AssumeRole != nil {
		problems = append(problems, o.AssumeRole.check())
	}
	return errors.Join(append(problems, o.checkTags()...)...)
}

func (a *AssumeRole) check() error {
	var problems []error
	if a.Role != "" && !rolePattern.MatchString(a.Role) {
		problems = append(problems, errors.New("assume_role.role must be the ARN of a role, such as arn:aws:iam::123456789012:role/handover"))
	}
	if a.ExternalID != "" && (len(a.ExternalID) < 2 || len(a.ExternalID) > 1224) {
		problems = append(problems, errors.New("assume_role.external_id must have 2 to 1224 characters"))
	}
	if a.SessionName != "" && !sessionPattern.MatchString(a.SessionName) {
		problems = append(problems, errors.New("assume_role.session_name must be 2 to 64 letters, digits and _ + = , . @ -"))
	}
	return errors.Join(append(problems, checkEndpoint("assume_role.endpoint", a.Endpoint))...)
}

func (o *Options) checkTags() []error {
	var problems []error
	if most := maxTags - len(ownTags); len(o.Tags) > most {
		problems = append(problems, fmt.Errorf("tags must be at most %d, for AWS allows %d and the agent needs %d", most, maxTags, len(ownTags)))
	}
	for key, value := range o.Tags {
		switch {
		case key == "" || len(key) > maxTagKey || len(value) > maxTagValue || !tagPattern.MatchString(key) || !tagPattern.MatchString(value):
			problems = append(problems, fmt.Errorf(
				"tags.%s is not allowed: a key has 1 to %d and a value at most %d letters, digits, spaces and _ . : / = + - @",
				key, maxTagKey, maxTagValue))
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			problems = append(problems, fmt.Errorf("tags.%s is not allowed: AWS keeps aws: for itself", key))
		case slices.Contains(ownTags, key):
			problems = append(problems, fmt.Errorf("tags.%s is not allowed: the agent writes that tag", key))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

func checkEndpoint(key, endpoint string) error {
	if endpoint == "" {
		return nil
	}
	return wire.CheckURL(key, endpoint, "https://vpce-1a2b.secretsmanager.us-east-1.vpce.amazonaws.com")
}

// maxBody bounds what is read of one answer, in bytes. The largest describe
// secrets with many versions.
const maxBody = 8 << 20

// wire is what the options say of the way to AWS.
func (o *Options) wire() wire.Options {
	return wire.Options{
		CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile,
		Timeout: o.Timeout, MaxInFlight: o.MaxInFlight, Rate: o.Rate, MaxBody: maxBody,
	}
}

// accountOf is the account in a role's ARN; "" where there is none.
func accountOf(role string) string {
	parts := rolePattern.FindStringSubmatch(role)
	if parts == nil {
		return ""
	}
	return parts[1]
}

// withDefaults fills what was left out.
func (o Options) withDefaults(agentID string) Options {
	o.Endpoint = strings.TrimRight(o.Endpoint, "/")
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if o.AssumeRole != nil {
		role := *o.AssumeRole
		if role.SessionName == "" {
			role.SessionName = "handover-" + agentID
		}
		o.AssumeRole = &role
	}
	return o
}
