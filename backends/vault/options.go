package vault

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

const (
	defaultMount     = "secret"
	defaultTimeout   = 10 * time.Second
	defaultAuthMount = "approle"
	defaultKey       = "value"
)

const (
	methodToken   = "token"
	methodAppRole = "approle"
)

// Options is the declaration of a backend of type vault. The declaration alone
// decides: of the environment only the proxy variables (HTTPS_PROXY, NO_PROXY …)
// count, VAULT_ADDR, VAULT_TOKEN and their like don't.
type Options struct {
	Address       string        `yaml:"address" required:"true" doc:"the server's URL; plain http only to a loopback address"`
	Namespace     string        `yaml:"namespace" doc:"the namespace that holds the mount and the login; none by default"`
	Mount         string        `yaml:"mount" default:"secret" doc:"where the KV version 2 engine is mounted"`
	CAFile        string        `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	TLSServerName string        `yaml:"tls_server_name" doc:"the name expected in the server's certificate, where it is not the address's"`
	Timeout       time.Duration `yaml:"timeout" default:"10s" doc:"the longest wait for one answer"`
	Auth          Auth          `yaml:"auth" required:"true" doc:"how the agent logs in"`
}

// Auth is how the agent logs in.
type Auth struct {
	Method   string        `yaml:"method" required:"true" enum:"token|approle" doc:"the login method"`
	Token    secret.Source `yaml:"token" doc:"for method token: where the token stands"`
	RoleID   string        `yaml:"role_id" doc:"for method approle: the role's id, which is not a secret"`
	SecretID secret.Source `yaml:"secret_id" doc:"for method approle: where the role's secret id stands"`
	Mount    string        `yaml:"mount" default:"approle" doc:"for method approle: where the method is mounted"`
}

// TargetOptions is what a target in Vault may declare of its own.
type TargetOptions struct {
	Key string `yaml:"key" default:"value" doc:"the field that holds a payload which isn't a compact JSON object of strings"`
}

// Validate checks what the tags can't say. A required key that is missing is
// left to the tags.
func (o *Options) Validate() error {
	return errors.Join(
		checkAddress(o.Address),
		checkMount("mount", o.Mount),
		checkMount("namespace", o.Namespace),
		checkTimeout(o.Timeout),
		o.Auth.check(),
	)
}

func checkTimeout(d time.Duration) error {
	if d < 0 {
		return errors.New("timeout must be more than nothing, for example 10s")
	}
	return nil
}

func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("address must be a URL such as https://vault.example:8200")
	case u.User != nil:
		return errors.New("address must not hold a user or password; use auth")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("address must end after the host, the port or a path")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("address is plain http to another machine, where anybody on the way reads the tokens; use https")
	}
	return nil
}

// isLoopback reports whether host names this machine by itself, without asking
// a name server.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// checkMount checks a mount or a namespace, with or without slashes around it.
func checkMount(what, mount string) error {
	if mount = strings.Trim(mount, "/"); mount == "" {
		return nil
	}
	if !pathPattern.MatchString(mount) {
		return fmt.Errorf("%s %q is not allowed: %s", what, mount, pathSays)
	}
	return nil
}

func (a *Auth) check() error {
	switch a.Method {
	case methodToken:
		if a.Token.IsZero() {
			return errors.New("auth.token is missing: name the file or the environment variable that holds the token")
		}
		if a.RoleID != "" || !a.SecretID.IsZero() {
			return errors.New("auth.role_id and auth.secret_id belong to method approle")
		}
	case methodAppRole:
		if a.RoleID == "" || a.SecretID.IsZero() {
			return errors.New("auth.role_id and auth.secret_id are both needed for method approle")
		}
		if !a.Token.IsZero() {
			return errors.New("auth.token belongs to method token")
		}
		return checkMount("auth.mount", a.Mount)
	}
	return nil
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// Validate checks the field's name.
func (o *TargetOptions) Validate() error {
	if o.Key != "" && !keyPattern.MatchString(o.Key) {
		return fmt.Errorf("key %q is not allowed: 1 to 128 letters, digits, '_', '.' and '-'", o.Key)
	}
	return nil
}

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	o.Address = strings.TrimRight(o.Address, "/")
	o.Namespace = strings.Trim(o.Namespace, "/")
	o.Mount = orDefault(strings.Trim(o.Mount, "/"), defaultMount)
	o.Auth.Mount = orDefault(strings.Trim(o.Auth.Mount, "/"), defaultAuthMount)
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return o
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
