package azurekeyvault

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

const aGUID = "01234567-89ab-cdef-0123-456789abcdef"

func valid() *Options { return &Options{URL: "https://acme.vault.azure.net"} }

func TestValidate(t *testing.T) {
	url := func(u string) func(*Options) { return func(o *Options) { o.URL = u } }
	auth := func(a Auth) func(*Options) { return func(o *Options) { o.Auth = a } }
	here := secret.Source{Env: "X"}
	for _, c := range []struct {
		name   string
		change func(*Options)
		says   string
	}{
		{"valid", func(*Options) {}, ""},
		{"no url is for the tags", url(""), ""},
		{"no method of the kind is for the tags", auth(Auth{Method: "kerberos"}), ""},
		{"slash at the end", url("https://acme.vault.azure.net/"), ""},
		{"port 443", url("https://Acme.Vault.Azure.Net:443"), ""},
		{"US government", url("https://acme.vault.usgovcloudapi.net"), ""},
		{"China", func(o *Options) { o.URL, o.Cloud = "https://acme.vault.azure.cn", "china" }, ""},
		{"another cloud", func(o *Options) { o.Cloud = "usgovernment" }, "belongs to public"},
		{"http", url("http://acme.vault.azure.net"), "url must be a URL"},
		{"no scheme", url("acme.vault.azure.net"), "url must be a URL"},
		{"a secret's id", url("https://acme.vault.azure.net/secrets/x"), "end after the host"},
		{"a query", url("https://acme.vault.azure.net?x=1"), "end after the host"},
		{"a user", url("https://me:pw@acme.vault.azure.net"), "end after the host"},
		{"another port", url("https://acme.vault.azure.net:8443"), "port"},
		{"another host", url("https://vault.example"), "not one of Key Vault's"},
		{"a host with such an end", url("https://acmevault.azure.net"), "not one of Key Vault's"},
		{"a private endpoint's own name", url("https://acme.privatelink.vaultcore.azure.net"), "private endpoint"},
		{"no name", url("https://.vault.azure.net"), "not one of Key Vault's"},
		{"a stand-in", func(o *Options) { o.URL, o.Emulator = "https://127.0.0.1:8443", true }, ""},
		{"a stand-in by http", func(o *Options) { o.URL, o.Emulator = "http://127.0.0.1:8443", true }, "url must be a URL"},
		{"negative timeout", func(o *Options) { o.Timeout = -1 }, "timeout"},
		{"negative max_in_flight", func(o *Options) { o.MaxInFlight = -1 }, "max_in_flight"},
		{"a certificate without its key", func(o *Options) { o.CertFile = "client.pem" }, "cert_file and key_file"},
		{"negative rate", func(o *Options) { o.Rate = -1 }, "rate"},
		{"a version", func(o *Options) { o.APIVersion = "7.4" }, ""},
		{"no version", func(o *Options) { o.APIVersion = "7.4&x=1" }, "api_version"},
		{"default with a tenant", auth(Auth{TenantID: aGUID}), ""},
		{"default with a client id", auth(Auth{ClientID: aGUID}), "auth.client_id means nothing to the method default"},
		{"managed identity", auth(Auth{Method: methodManaged, ClientID: aGUID}), ""},
		{"managed identity with a tenant", auth(Auth{Method: methodManaged, TenantID: aGUID}), "auth.tenant_id means nothing"},
		{"workload identity", auth(Auth{Method: methodWorkload, TokenFile: "/run/token"}), ""},
		{"workload identity with a secret", auth(Auth{Method: methodWorkload, ClientSecret: here}), "auth.client_secret means nothing"},
		{"client secret", auth(Auth{Method: methodSecret, TenantID: aGUID, ClientID: aGUID, ClientSecret: here}), ""},
		{"client secret without it", auth(Auth{Method: methodSecret, TenantID: aGUID, ClientID: aGUID}), "auth.client_secret is missing"},
		{"certificate", auth(Auth{Method: methodCertificate, TenantID: aGUID, ClientID: aGUID, ClientCertificate: here}), ""},
		{"certificate without a client", auth(Auth{Method: methodCertificate, TenantID: aGUID, ClientCertificate: here}), "auth.client_id is missing"},
		{"a tenant's domain", auth(Auth{TenantID: "acme.onmicrosoft.com"}), "auth.tenant_id must be the tenant's id"},
		{"an application's name", auth(Auth{Method: methodManaged, ClientID: "handover"}), "auth.client_id must be"},
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
	o := &Options{URL: "http://x", Timeout: -1, Rate: -1, Auth: Auth{Method: methodSecret}}
	err := o.Validate()
	for _, says := range []string{"url", "timeout", "rate", "auth.tenant_id", "auth.client_id", "auth.client_secret"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
}

func TestTags(t *testing.T) {
	many := func(n int) map[string]string {
		tags := map[string]string{}
		for i := range n {
			tags[fmt.Sprint("t", i)] = "x"
		}
		return tags
	}
	for name, c := range map[string]struct {
		tags map[string]string
		says string
	}{
		"none":             {nil, ""},
		"as many as fit":   {many(8), ""},
		"one too many":     {many(9), "there is room for 8"},
		"long tag":         {map[string]string{"a": strings.Repeat("x", 257)}, "at most 256"},
		"long name":        {map[string]string{strings.Repeat("x", 257): "a"}, "at most 256"},
		"no name":          {map[string]string{"": "a"}, "at most 256"},
		"the agent's name": {map[string]string{"Handover-slot": "a"}, "agent's own"},
	} {
		o := valid()
		o.Tags = c.tags
		err := o.Validate()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
	}
}

func TestTargetOptions(t *testing.T) {
	if err := (&TargetOptions{ContentType: strings.Repeat("é", 255)}).Validate(); err != nil {
		t.Errorf("refused: %v", err)
	}
	if err := (&TargetOptions{ContentType: strings.Repeat("x", 256)}).Validate(); err == nil || !strings.Contains(err.Error(), "content_type has 256") {
		t.Errorf("a long content type: %v", err)
	}
	for _, ref := range []backends.Ref{{}, {Options: (*TargetOptions)(nil)}, {Options: Driver().TargetOptions()}} {
		if got := declaredType(ref); got != "" {
			t.Errorf("content type %q where none is declared", got)
		}
	}
}

// TestPlace: one secret has one name, however it is spelled.
func TestPlace(t *testing.T) {
	place := func(url, path string) string {
		return Driver().Place(&Options{URL: url}, backends.Ref{Backend: "b", Path: path})
	}
	want := place("https://acme.vault.azure.net", "a-b")
	for name, got := range map[string]string{
		"port given":       place("https://acme.vault.azure.net:443", "a-b"),
		"slash at the end": place("https://ACME.vault.azure.net/", "a-b"),
		"letters":          place("https://acme.vault.azure.net", "A-B"),
	} {
		if got != want {
			t.Errorf("%s: place %q, want %q", name, got, want)
		}
	}
	for _, got := range []string{place("https://acme2.vault.azure.net", "a-b"), place("https://acme.vault.azure.net", "a-c")} {
		if got == want {
			t.Errorf("place %q is another secret's", got)
		}
	}
}

func TestPathRule(t *testing.T) {
	rule := Driver().Properties(nil).Path
	for _, path := range []string{"x", "airflow-connections-qualytics-default", "0", "-", "A--b", strings.Repeat("a", 127)} {
		if err := rule.Check(path); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, path := range append(escapes, strings.Repeat("a", 128)) {
		if err := rule.Check(path); err == nil {
			t.Errorf("path %q is allowed", path)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options any
		says    string
	}{
		"other options":  {"x", "not of azure-key-vault"},
		"no url":         {&Options{}, "url is missing"},
		"bad url":        {&Options{URL: "http://x"}, "url must be"},
		"no CA file":     {&Options{URL: valid().URL, CAFile: "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
		"no certificate": {&Options{URL: valid().URL, CertFile: "/nonexistent/cert.pem", KeyFile: "/nonexistent/key.pem"}, "cert_file"},
		"empty CA file":  {&Options{URL: valid().URL, CAFile: write(t, "nothing")}, "no PEM certificate"},
	} {
		_, err := Driver().Open(context.Background(), backends.Env{Name: "kv", Log: slog.New(slog.DiscardHandler)}, c.options)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "backend kv") {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

func TestDefaults(t *testing.T) {
	o := Driver().Options().(*Options)
	o.URL = "https://Acme.vault.azure.net:443/"
	got := o.withDefaults()
	want := Options{URL: valid().URL, Auth: Auth{Method: methodDefault}, Timeout: 10 * time.Second, MaxInFlight: 16, Rate: 50}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, (Options{URL: o.URL}).withDefaults()); diff != "" {
		t.Errorf("defaults of what was left out (-want +got):\n%s", diff)
	}
}
