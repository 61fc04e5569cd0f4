package vault

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

const (
	defaultMount       = "secret"
	defaultTimeout     = 10 * time.Second
	defaultMaxInFlight = 16
	defaultRate        = 50
	defaultKey         = "value"

	addressExample = "https://vault.example:8200"
)

// maxBody bounds what is read of one answer, in bytes. The largest are metadata
// of entries that keep thousands of versions.
const maxBody = 8 << 20

// Options is the declaration of a backend of type vault. The declaration alone
// decides: of the environment only the proxy variables (HTTPS_PROXY, NO_PROXY …)
// count, and for method aws the AWS credentials; VAULT_ADDR, VAULT_TOKEN and
// their like don't.
type Options struct {
	Address       string        `yaml:"address" required:"true" doc:"the server's URL; plain http only to a loopback address"`
	Namespace     string        `yaml:"namespace" doc:"the namespace that holds the mount and the login; none by default"`
	Mount         string        `yaml:"mount" default:"secret" doc:"where the KV engine is mounted"`
	KVVersion     int           `yaml:"kv_version" enum:"1|2" doc:"the version of the KV engine; left out, the server is asked, and until then it counts as 2"`
	CAFile        string        `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	CertFile      string        `yaml:"cert_file" path:"true" doc:"a PEM file with the client's certificate, for method cert or a server that asks for one; read again for each connection"`
	KeyFile       string        `yaml:"key_file" path:"true" doc:"a PEM file with that certificate's key"`
	TLSServerName string        `yaml:"tls_server_name" doc:"the name expected in the server's certificate, where it is not the address's"`
	Timeout       time.Duration `yaml:"timeout" default:"10s" doc:"the longest wait for one answer"`
	MaxInFlight   int           `yaml:"max_in_flight" default:"16" doc:"the most calls at the same time"`
	Rate          float64       `yaml:"rate" default:"50" doc:"the most calls per second"`
	Auth          Auth          `yaml:"auth" required:"true" doc:"how the agent logs in"`
}

// Validate checks what the tags can't say. A required key that is missing is
// left to the tags.
func (o *Options) Validate() error {
	all := []error{checkMount("mount", o.Mount), checkMount("namespace", o.Namespace), o.network().Check(), o.Auth.check()}
	if o.Address != "" {
		all = append(all, wire.CheckURL("address", o.Address, addressExample))
	}
	if o.Auth.Method == methodCert && o.CertFile == "" {
		all = append(all, errors.New("cert_file and key_file are needed for auth.method cert: they are what the agent logs in with"))
	}
	return errors.Join(all...)
}

// network is what the declaration says of the way to the server.
func (o *Options) network() wire.Options {
	return wire.Options{
		CAFile:      o.CAFile,
		CertFile:    o.CertFile,
		KeyFile:     o.KeyFile,
		ServerName:  o.TLSServerName,
		Timeout:     o.Timeout,
		MaxInFlight: o.MaxInFlight,
		Rate:        o.Rate,
		MaxBody:     maxBody,
	}
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

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	o.Address = strings.TrimRight(o.Address, "/")
	o.Namespace = strings.Trim(o.Namespace, "/")
	o.Mount = orDefault(strings.Trim(o.Mount, "/"), defaultMount)
	o.Auth.Mount = orDefault(strings.Trim(o.Auth.Mount, "/"), o.Auth.Method)
	o.Auth.Region = orDefault(o.Auth.Region, defaultRegion)
	if o.Auth.Method == methodKubernetes && o.Auth.JWT.IsZero() {
		o.Auth.JWT = secret.Source{File: podToken}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	return o
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// TargetOptions is what a target in Vault may declare of its own.
type TargetOptions struct {
	Key string `yaml:"key" default:"value" doc:"the field that holds a payload which isn't a compact JSON object of strings"`

	// shape is how the target's format is laid into an entry; "" is unknown.
	shape layout
}

// Shape implements backends.Shaped.
func (o *TargetOptions) Shape(sample secret.Value) {
	if _, how, err := encode(sample, orDefault(o.Key, defaultKey)); err == nil {
		o.shape = how
	}
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// Validate checks the field's name.
func (o *TargetOptions) Validate() error {
	if o.Key != "" && !keyPattern.MatchString(o.Key) {
		return fmt.Errorf("key %q is not allowed: 1 to 128 letters, digits, '_', '.' and '-'", o.Key)
	}
	return nil
}
