package vault

import (
	"errors"
	"fmt"
	"slices"

	"github.com/handover-agent/handover/backends/secret"
)

// The ways to log in.
const (
	methodToken      = "token"
	methodAppRole    = "approle"
	methodKubernetes = "kubernetes"
	methodJWT        = "jwt"
	methodCert       = "cert"
	methodAWS        = "aws"
)

const (
	// podToken is where Kubernetes gives a pod the token of its service
	// account.
	podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	// defaultRegion is where a login of method aws is signed for, as in
	// Vault's own client.
	defaultRegion = "us-east-1"
)

// Auth is how the agent logs in.
type Auth struct {
	Method   string        `yaml:"method" required:"true" enum:"token|approle|kubernetes|jwt|cert|aws" doc:"the login method"`
	Mount    string        `yaml:"mount" doc:"where the method is mounted, below auth/; by the method's name when left out"`
	Token    secret.Source `yaml:"token" doc:"token: where the token stands, such as the sink of a Vault Agent; read again when it changes"`
	RoleID   string        `yaml:"role_id" doc:"approle: the role's id, which is not a secret"`
	SecretID secret.Source `yaml:"secret_id" doc:"approle: where the role's secret id stands"`
	Wrapped  bool          `yaml:"secret_id_wrapped" default:"false" doc:"approle: what stands at secret_id is a response-wrapping token around it, good for one start"`
	Role     string        `yaml:"role" doc:"kubernetes, jwt, cert, aws: the role's name; needed for kubernetes, else Vault's default when left out"`
	JWT      secret.Source `yaml:"jwt" doc:"jwt, kubernetes: where the JWT stands, read at each login; for kubernetes the pod's service account token when left out"`
	Region   string        `yaml:"region" doc:"aws: the region whose STS the login is signed for; us-east-1 when left out"`
	ServerID string        `yaml:"server_id" doc:"aws: the value of the header X-Vault-AWS-IAM-Server-ID, where the mount asks for one"`
}

// methods says which keys of Auth, beside method, each way to log in takes, and
// which of them it needs.
var methods = map[string]struct{ takes, needs []string }{
	methodToken:      {takes: []string{"token"}, needs: []string{"token"}},
	methodAppRole:    {takes: []string{"mount", "role_id", "secret_id", "secret_id_wrapped"}, needs: []string{"role_id", "secret_id"}},
	methodKubernetes: {takes: []string{"mount", "role", "jwt"}, needs: []string{"role"}},
	methodJWT:        {takes: []string{"mount", "role", "jwt"}, needs: []string{"jwt"}},
	methodCert:       {takes: []string{"mount", "role"}},
	methodAWS:        {takes: []string{"mount", "role", "region", "server_id"}},
}

func (a *Auth) check() error {
	rule, known := methods[a.Method]
	if !known {
		return nil // the enum says it
	}
	all := []error{checkMount("auth.mount", a.Mount)}
	for _, key := range []struct {
		name  string
		given bool
	}{
		{"mount", a.Mount != ""},
		{"token", !a.Token.IsZero()},
		{"role_id", a.RoleID != ""},
		{"secret_id", !a.SecretID.IsZero()},
		{"secret_id_wrapped", a.Wrapped},
		{"role", a.Role != ""},
		{"jwt", !a.JWT.IsZero()},
		{"region", a.Region != ""},
		{"server_id", a.ServerID != ""},
	} {
		switch {
		case key.given && !slices.Contains(rule.takes, key.name):
			all = append(all, fmt.Errorf("auth.%s means nothing to the method %s: remove it, or choose another auth.method", key.name, a.Method))
		case !key.given && slices.Contains(rule.needs, key.name):
			all = append(all, fmt.Errorf("auth.%s is missing: the method %s needs it", key.name, a.Method))
		}
	}
	return errors.Join(all...)
}
