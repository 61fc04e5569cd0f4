package vault

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

func valid() *Options {
	return &Options{
		Address: "https://vault.example:8200",
		Auth:    Auth{Method: methodAppRole, RoleID: "role", SecretID: secret.Source{Env: "ID"}},
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		says   string
	}{
		{"valid", func(*Options) {}, ""},
		{"no address is for the tags", func(o *Options) { o.Address = "" }, ""},
		{"no method is for the tags", func(o *Options) { o.Auth = Auth{} }, ""},
		{"plain http on loopback", func(o *Options) { o.Address = "http://127.0.0.1:8200" }, ""},
		{"plain http on loopback, v6", func(o *Options) { o.Address = "http://[::1]:8200/" }, ""},
		{"plain http on localhost", func(o *Options) { o.Address = "http://localhost:8200" }, ""},
		{"plain http elsewhere", func(o *Options) { o.Address = "http://vault.example" }, "use https"},
		{"plain http to a name like loopback", func(o *Options) { o.Address = "http://127.0.0.1.example" }, "use https"},
		{"no scheme", func(o *Options) { o.Address = "vault.example:8200" }, "must be a URL"},
		{"other scheme", func(o *Options) { o.Address = "unix:///run/vault.sock" }, "must be a URL"},
		{"no URL", func(o *Options) { o.Address = "https://a b" }, "must be a URL"},
		{"a user", func(o *Options) { o.Address = "https://me:pw@vault.example" }, "no user or password"},
		{"a query", func(o *Options) { o.Address = "https://vault.example/?x=1" }, "must end"},
		{"negative timeout", func(o *Options) { o.Timeout = -time.Second }, "timeout"},
		{"deep mount", func(o *Options) { o.Mount = "/team/kv/" }, ""},
		{"mount that leaves", func(o *Options) { o.Mount = "team/../sys" }, "mount"},
		{"namespace that leaves", func(o *Options) { o.Namespace = ".." }, "namespace"},
		{"auth mount that leaves", func(o *Options) { o.Auth.Mount = "../token" }, "auth.mount"},
		{"token", func(o *Options) { o.Auth = Auth{Method: methodToken, Token: secret.Source{Env: "T"}} }, ""},
		{"token without a source", func(o *Options) { o.Auth = Auth{Method: methodToken} }, "auth.token is missing"},
		{"token with a role", func(o *Options) {
			o.Auth = Auth{Method: methodToken, Token: secret.Source{Env: "T"}, RoleID: "r"}
		}, "auth.role_id means nothing to the method token"},
		{"approle without a role", func(o *Options) { o.Auth.RoleID = "" }, "auth.role_id is missing"},
		{"approle without a secret id", func(o *Options) { o.Auth.SecretID = secret.Source{} }, "auth.secret_id is missing"},
		{"approle with a token", func(o *Options) { o.Auth.Token = secret.Source{Env: "T"} }, "auth.token means nothing to the method approle"},
		{"kubernetes", func(o *Options) { o.Auth = Auth{Method: methodKubernetes, Role: "r"} }, ""},
		{"kubernetes without a role", func(o *Options) { o.Auth = Auth{Method: methodKubernetes} }, "auth.role is missing"},
		{"jwt", func(o *Options) { o.Auth = Auth{Method: methodJWT, JWT: secret.Source{Env: "J"}} }, ""},
		{"jwt without one", func(o *Options) { o.Auth = Auth{Method: methodJWT, Role: "r"} }, "auth.jwt is missing"},
		{"cert", func(o *Options) { o.Auth, o.CertFile, o.KeyFile = Auth{Method: methodCert}, "c.pem", "k.pem" }, ""},
		{"cert without one", func(o *Options) { o.Auth = Auth{Method: methodCert} }, "cert_file and key_file are needed"},
		{"a certificate without its key", func(o *Options) { o.CertFile = "c.pem" }, "belong together"},
		{"aws", func(o *Options) { o.Auth = Auth{Method: methodAWS, Region: "eu-central-1", ServerID: "vault"} }, ""},
		{"aws with a secret id", func(o *Options) { o.Auth = Auth{Method: methodAWS, SecretID: secret.Source{Env: "S"}} }, "auth.secret_id means nothing"},
		{"a wrapped token", func(o *Options) {
			o.Auth = Auth{Method: methodToken, Token: secret.Source{Env: "T"}, Wrapped: true}
		}, "auth.secret_id_wrapped means nothing"},
		{"an unknown method is for the tags", func(o *Options) { o.Auth = Auth{Method: "userpass"} }, ""},
		{"negative rate", func(o *Options) { o.Rate = -1 }, "rate must be"},
		{"negative calls", func(o *Options) { o.MaxInFlight = -1 }, "max_in_flight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := valid()
			c.change(o)
			err := o.Validate()
			switch {
			case c.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestValidateReportsAllAtOnce(t *testing.T) {
	o := valid()
	o.Address, o.Timeout, o.Auth.RoleID = "http://vault.example", -1, ""
	err := o.Validate()
	for _, says := range []string{"use https", "timeout", "auth.role_id is missing"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
}

func TestTargetOptions(t *testing.T) {
	d := Driver()
	o := d.TargetOptions().(*TargetOptions)
	if err := o.Validate(); err != nil || o.Key != defaultKey {
		t.Errorf("the default key is %q: %v", o.Key, err)
	}
	for key, fits := range map[string]bool{"token": true, "a.b-c_9": true, "": true, "a b": false, "a/b": false, strings.Repeat("k", 129): false} {
		if err := (&TargetOptions{Key: key}).Validate(); (err == nil) != fits {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for _, ref := range []backends.Ref{{}, {Options: (*TargetOptions)(nil)}, {Options: &TargetOptions{}}} {
		if got := keyOf(ref); got != defaultKey {
			t.Errorf("key %q where none is declared", got)
		}
	}
}

// TestPlace: one entry has one name, however it is spelled.
func TestPlace(t *testing.T) {
	place := func(address, namespace, mount, path string) string {
		return Driver().Place(&Options{Address: address, Namespace: namespace, Mount: mount}, backends.Ref{Backend: "b", Path: path})
	}
	want := place("https://vault.example", "team", "secret", "a/b")
	for name, got := range map[string]string{
		"port given":         place("https://vault.example:443", "team", "secret", "a/b"),
		"slash at the end":   place("https://Vault.Example/", "/team/", "secret/", "a/b"),
		"default mount":      place("https://vault.example", "team", "", "a/b"),
		"namespace in mount": place("https://vault.example", "", "team/secret", "a/b"),
	} {
		if got != want {
			t.Errorf("%s: place %q, want %q", name, got, want)
		}
	}
	for name, got := range map[string]string{
		"other port":      place("https://vault.example:8200", "team", "secret", "a/b"),
		"other namespace": place("https://vault.example", "other", "secret", "a/b"),
		"other mount":     place("https://vault.example", "team", "kv", "a/b"),
		"other path":      place("https://vault.example", "team", "secret", "a/c"),
	} {
		if got == want {
			t.Errorf("%s: place %q is that of another entry", name, got)
		}
	}
}

func TestPathRule(t *testing.T) {
	rule := Driver().Properties(nil).Path
	for _, path := range []string{"x", "connections/qualytics_default", "a/b.c/D-9", ".hidden", "pipeline@service", "..a", "a:b=c,d~e+f"} {
		if err := rule.Check(path); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, path := range append(escapes, strings.Repeat("a", 513), "é", "...") {
		if err := rule.Check(path); err == nil {
			t.Errorf("path %q is allowed", path)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options func() any
		env     map[string]string
		says    string
	}{
		{"other options", func() any { return "x" }, nil, "not of vault"},
		{"no CA file", func() any { o := valid(); o.CAFile = "/nonexistent/ca.pem"; return o }, nil, "/nonexistent/ca.pem"},
		{"empty CA file", func() any { o := valid(); o.CAFile = empty; return o }, nil, "no PEM certificate"},
		{"plain http", func() any { o := valid(); o.Address = "http://vault.example"; return o }, nil, "use https"},
		{"malformed environment", func() any { return valid() }, map[string]string{"VAULT_SKIP_VERIFY": "perhaps"}, "VAULT_SKIP_VERIFY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			_, err := Driver().Open(context.Background(), backends.Env{Name: "kv", Log: slog.New(slog.DiscardHandler)}, c.options())
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "backend kv") {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	o := Driver().Options().(*Options)
	o.Address, o.Auth.Method = "https://vault.example/", methodAppRole
	got := o.withDefaults()
	if got.Mount != "secret" || got.Timeout != 10*time.Second || got.Auth.Mount != "approle" || got.MaxInFlight != 16 || got.Rate != 50 || got.Address != "https://vault.example" {
		t.Errorf("defaults are %+v", got)
	}
	if bare := (Options{Address: o.Address, Auth: o.Auth}).withDefaults(); bare != got {
		t.Errorf("left out, the options are %+v, want %+v", bare, got)
	}
}

func TestDefaultsOfKubernetes(t *testing.T) {
	o := Options{Auth: Auth{Method: methodKubernetes, Role: "r"}}.withDefaults()
	if o.Auth.JWT.File != podToken || o.Auth.Mount != "kubernetes" {
		t.Errorf("the login is %+v", o.Auth)
	}
	o = Options{Auth: Auth{Method: methodKubernetes, Mount: "/k8s/prod/", JWT: secret.Source{Env: "J"}}}.withDefaults()
	if o.Auth.JWT != (secret.Source{Env: "J"}) || o.Auth.Mount != "k8s/prod" {
		t.Errorf("the login is %+v", o.Auth)
	}
}

func TestProperties(t *testing.T) {
	for version, keeps := range map[int]bool{0: true, 1: false, 2: true} {
		p := Driver().Properties(&Options{KVVersion: version})
		if p.CompareAndSet != keeps || p.Versions != keeps || p.Metadata != keeps {
			t.Errorf("kv_version %d: %+v", version, p)
		}
	}
}
