package azurekeyvault

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/handover-agent/handover/backends/secret"
)

const (
	defaultTimeout     = 10 * time.Second
	defaultMaxInFlight = 16
	defaultRate        = 50
)

// The ways to log in.
const (
	methodDefault     = "default"
	methodWorkload    = "workload-identity"
	methodManaged     = "managed-identity"
	methodSecret      = "client-secret"
	methodCertificate = "client-certificate"
)

// Options is the declaration of a backend of type azure-key-vault.
type Options struct {
	URL         string            `yaml:"url" required:"true" doc:"the vault's URL, such as https://acme.vault.azure.net"`
	Cloud       string            `yaml:"cloud" enum:"public|usgovernment|china" doc:"the cloud of the vault; left out, it is the one that the URL belongs to"`
	Auth        Auth              `yaml:"auth" doc:"how the agent logs in; left out, by Azure's default chain"`
	Tags        map[string]string `yaml:"tags" doc:"tags to set on each version, at most 8; other people's tags are kept"`
	Recover     bool              `yaml:"recover" default:"false" doc:"whether a declared secret that was deleted and can be recovered is recovered and then written; its old value is current again for that moment"`
	CAFile      string            `yaml:"ca_file" path:"true" doc:"a PEM file with certificates to trust besides the system's, for the vault and for the login, as a proxy that looks into TLS needs"`
	CertFile    string            `yaml:"cert_file" path:"true" doc:"a PEM file with the certificate that the agent shows to who asks for one, such as a gateway before Azure; read again for each connection"`
	KeyFile     string            `yaml:"key_file" path:"true" doc:"a PEM file with the private key of cert_file"`
	Timeout     time.Duration     `yaml:"timeout" default:"10s" doc:"the longest wait for one answer, a login included"`
	MaxInFlight int               `yaml:"max_in_flight" default:"16" doc:"the most calls at the same time"`
	Rate        float64           `yaml:"rate" default:"50" doc:"the most calls per second"`
	APIVersion  string            `yaml:"api_version" doc:"the version of Key Vault's API to ask for, where a cloud doesn't have the SDK's own yet"`
	Emulator    bool              `yaml:"emulator" default:"false" doc:"the URL is a stand-in for Key Vault in a test: any host is taken, and the challenge and the login server that it names are not compared with Azure's; never for a real vault"`
}

// Auth is how the agent logs in.
type Auth struct {
	Method            string        `yaml:"method" default:"default" enum:"default|workload-identity|managed-identity|client-secret|client-certificate" doc:"the way to log in; default tries what the environment, the machine and the Azure command line offer"`
	TenantID          string        `yaml:"tenant_id" doc:"the tenant's id (a GUID); for workload-identity from AZURE_TENANT_ID when left out"`
	ClientID          string        `yaml:"client_id" doc:"the application's id, or that of a user-assigned managed identity (a GUID); for workload-identity from AZURE_CLIENT_ID when left out"`
	ClientSecret      secret.Source `yaml:"client_secret" doc:"for client-secret: where the application's secret stands"`
	ClientCertificate secret.Source `yaml:"client_certificate" doc:"for client-certificate: where the certificate and its private key stand, both as unencrypted PEM in one text"`
	TokenFile         string        `yaml:"token_file" path:"true" doc:"for workload-identity: the file with the service account's token; from AZURE_FEDERATED_TOKEN_FILE when left out"`
}

// TargetOptions is what a target in Key Vault may declare of its own.
type TargetOptions struct {
	ContentType string `yaml:"content_type" doc:"the secret's content type, at most 255 characters; left out, what stands there is kept"`
}

// domain is where one of Azure's clouds has its vaults.
type domain struct {
	cloud, suffix string
	configuration cloud.Configuration
}

func domains() []domain {
	return []domain{
		{"public", ".vault.azure.net", cloud.AzurePublic},
		{"usgovernment", ".vault.usgovcloudapi.net", cloud.AzureGovernment},
		{"china", ".vault.azure.cn", cloud.AzureChina},
	}
}

// Validate checks what the tags can't say. A required key that is missing is
// left to the tags.
func (o *Options) Validate() error {
	return errors.Join(o.checkURL(), o.wire().Check(), o.checkVersion(), checkTags(o.Tags), o.Auth.check())
}

func (o *Options) checkURL() error {
	if o.URL == "" {
		return nil
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https":
		return errors.New("url must be a URL such as https://acme.vault.azure.net")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return errors.New("url must end after the host: the secret's name is the target's path, and the login stands under auth")
	case o.Emulator:
		return nil
	case u.Port() != "" && u.Port() != "443":
		return errors.New("url has a port, and Key Vault has none but 443; emulator: true takes any for a stand-in in a test")
	}
	d, ok := domainOf(u.Hostname())
	switch {
	case !ok:
		return errors.New("url is not one of Key Vault's, <name>.vault.azure.net, .vault.usgovcloudapi.net or .vault.azure.cn: " +
			"a private endpoint has that name too; emulator: true takes any host for a stand-in in a test")
	case o.Cloud != "" && o.Cloud != d.cloud:
		return fmt.Errorf("cloud is %s, and the URL belongs to %s: correct one, or leave cloud out", o.Cloud, d.cloud)
	}
	return nil
}

// domainOf finds the cloud of a host.
func domainOf(host string) (domain, bool) {
	for _, d := range domains() {
		name, ok := strings.CutSuffix(strings.ToLower(host), d.suffix)
		if ok && name != "" && !strings.Contains(name, ".") {
			return d, true
		}
	}
	return domain{}, false
}

var versionPattern = regexp.MustCompile(`^[0-9A-Za-z.-]{1,32}$`)

func (o *Options) checkVersion() error {
	if o.APIVersion != "" && !versionPattern.MatchString(o.APIVersion) {
		return errors.New("api_version must be a version of Key Vault's API, such as 7.4 or 2025-07-01")
	}
	return nil
}

// keys says which keys of Auth a method takes, and which of them it needs.
var keys = map[string]struct{ takes, needs []string }{
	methodDefault:     {takes: []string{"tenant_id"}},
	methodWorkload:    {takes: []string{"tenant_id", "client_id", "token_file"}},
	methodManaged:     {takes: []string{"client_id"}},
	methodSecret:      {takes: []string{"tenant_id", "client_id", "client_secret"}, needs: []string{"tenant_id", "client_id", "client_secret"}},
	methodCertificate: {takes: []string{"tenant_id", "client_id", "client_certificate"}, needs: []string{"tenant_id", "client_id", "client_certificate"}},
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (a *Auth) check() error {
	method := orDefault(a.Method, methodDefault)
	rule, known := keys[method]
	if !known {
		return nil // the enum says it
	}
	var all []error
	for _, key := range []struct {
		name  string
		given bool
	}{
		{"tenant_id", a.TenantID != ""},
		{"client_id", a.ClientID != ""},
		{"client_secret", !a.ClientSecret.IsZero()},
		{"client_certificate", !a.ClientCertificate.IsZero()},
		{"token_file", a.TokenFile != ""},
	} {
		switch {
		case key.given && !slices.Contains(rule.takes, key.name):
			all = append(all, fmt.Errorf("auth.%s means nothing to the method %s: remove it, or choose another auth.method", key.name, method))
		case !key.given && slices.Contains(rule.needs, key.name):
			all = append(all, fmt.Errorf("auth.%s is missing: the method %s needs it", key.name, method))
		}
	}
	if a.TenantID != "" && !guid.MatchString(a.TenantID) {
		all = append(all, errors.New("auth.tenant_id must be the tenant's id, a GUID: the vault names its tenant so, and a domain's name can't be compared with it"))
	}
	if a.ClientID != "" && !guid.MatchString(a.ClientID) {
		all = append(all, errors.New("auth.client_id must be the application's or the identity's client id, a GUID"))
	}
	return errors.Join(all...)
}

// checkTags checks declared tags against Key Vault's limits.
func checkTags(declared map[string]string) error {
	var all []error
	if room := maxTags - len(ownTags); len(declared) > room {
		all = append(all, fmt.Errorf("tags are %d, and there is room for %d: Key Vault keeps %d, the agent needs the others", len(declared), room, maxTags))
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		value := declared[name]
		switch {
		case name == "" || utf8.RuneCountInString(name) > maxTag || utf8.RuneCountInString(value) > maxTag:
			all = append(all, fmt.Errorf("tags: name and value of %q must have at most %d characters, the name one at least", name, maxTag))
		case strings.HasPrefix(strings.ToLower(name), ownPrefix):
			all = append(all, fmt.Errorf("tags: %q begins with %s, and such tags are the agent's own", name, ownPrefix))
		}
	}
	return errors.Join(all...)
}

// Validate checks the content type against Key Vault's limit.
func (o *TargetOptions) Validate() error {
	if n := utf8.RuneCountInString(o.ContentType); n > maxContentType {
		return fmt.Errorf("content_type has %d characters, Key Vault takes at most %d", n, maxContentType)
	}
	return nil
}

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	o.URL = normalURL(o.URL)
	o.Auth.Method = orDefault(o.Auth.Method, methodDefault)
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

// normalURL is the same for every spelling of one vault.
func normalURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443")
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
