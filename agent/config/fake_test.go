package config

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The drivers of these tests: as the real ones in what the declaration sees,
// with one of each type of option.

type fakeFile struct {
	Dir      string `yaml:"dir" required:"true" path:"true" doc:"the folder"`
	Volatile bool   `yaml:"volatile" doc:"the folder ends with a restart"`
}

type fakeFileTarget struct {
	Mode string `yaml:"mode" default:"0600" doc:"the file's mode"`
}

func (o *fakeFileTarget) Validate() error {
	if !regexp.MustCompile(`^0[0-7]{3}$`).MatchString(o.Mode) {
		return errors.New("mode must be four octal digits such as 0600")
	}
	return nil
}

type fakeAuth struct {
	Method   string        `yaml:"method" required:"true" enum:"token|approle" doc:"the login method"`
	Token    secret.Source `yaml:"token" doc:"where the token stands"`
	RoleID   string        `yaml:"role_id" doc:"the role"`
	SecretID secret.Source `yaml:"secret_id" doc:"where the secret id stands"`
	Mount    string        `yaml:"mount" default:"approle" doc:"the method's mount"`
}

type fakeVault struct {
	Address string            `yaml:"address" required:"true" doc:"the server"`
	Timeout time.Duration     `yaml:"timeout" default:"10s" doc:"the longest wait"`
	Retries int               `yaml:"retries" default:"3" doc:"how often"`
	Burst   float64           `yaml:"burst" default:"1.5" doc:"how many"`
	Headers map[string]string `yaml:"headers" doc:"sent with each call"`
	Proxies []string          `yaml:"proxies" doc:"asked in turn"`
	Auth    *fakeAuth         `yaml:"auth" required:"true" doc:"the login"`
}

func (o *fakeVault) Validate() error {
	var err error
	if !strings.HasPrefix(o.Address, "https://") {
		err = errors.New("address must begin with https://")
	}
	if o.Auth != nil && o.Auth.Method == "approle" && o.Auth.SecretID.IsZero() {
		err = errors.Join(err, errors.New("auth.secret_id is missing"), errors.New("the login is not complete"))
	}
	return err
}

type fakeVaultTarget struct {
	Key string `yaml:"key" default:"value" doc:"the field"`

	sample secret.Value
}

func (o *fakeVaultTarget) Shape(sample secret.Value) { o.sample = sample }

type fakeBare struct{}

func fakeRegistry(t testing.TB) backends.Registry {
	t.Helper()
	path := backends.PathRule{
		Pattern: regexp.MustCompile(`^(\./)?[a-z0-9_-][a-z0-9_/.-]*$`), Max: 100,
		Says: "lower-case names joined by slashes, without ..",
	}
	registry, err := backends.NewRegistry(
		backends.Driver{
			Type:          "file",
			Options:       func() any { return &fakeFile{} },
			TargetOptions: func() any { return &fakeFileTarget{} },
			Properties: func(options any) backends.Properties {
				return backends.Properties{Metadata: true, Volatile: options.(*fakeFile).Volatile, Path: path}
			},
			Place: func(options any, ref backends.Ref) string {
				absolute, _ := filepath.Abs(filepath.Join(options.(*fakeFile).Dir, ref.Path))
				return absolute
			},
		},
		backends.Driver{
			Type:          "vault",
			Options:       func() any { return &fakeVault{} },
			TargetOptions: func() any { return &fakeVaultTarget{} },
			Properties: func(any) backends.Properties {
				return backends.Properties{Metadata: true, MaxMeta: 120, MaxPayload: 6000, Path: path}
			},
			Place: func(options any, ref backends.Ref) string { return options.(*fakeVault).Address + "/" + ref.Path },
		},
		backends.Driver{
			Type:       "bare",
			Options:    func() any { return &fakeBare{} },
			Properties: func(any) backends.Properties { return backends.Properties{} },
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// fakeEnv is the environment of these tests.
func fakeEnv(name string) (string, bool) {
	value, ok := map[string]string{
		"HOST":   "acme.qualytics.io",
		"TEAM":   "data-platform",
		"GRACE":  "8d",
		"EMPTY":  "",
		"SECRET": testJWT,
	}[name]
	return value, ok
}

// testJWT has the shape of a token and is none.
const testJWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
