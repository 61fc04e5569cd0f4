package qualytics

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

func TestBaseURL(t *testing.T) {
	tests := []struct{ in, want, err string }{
		{"https://acme.qualytics.io", "https://acme.qualytics.io/api", ""},
		{"https://acme.qualytics.io/", "https://acme.qualytics.io/api", ""},
		{"https://acme.qualytics.io/api", "https://acme.qualytics.io/api", ""},
		{"https://acme.qualytics.io/api/", "https://acme.qualytics.io/api", ""},
		{"https://acme.qualytics.io//api//", "https://acme.qualytics.io//api", ""},
		{" HTTPS://acme.qualytics.io \n", "https://acme.qualytics.io/api", ""},
		{"acme.qualytics.io", "https://acme.qualytics.io/api", ""},
		{"acme.qualytics.io:8443/api", "https://acme.qualytics.io:8443/api", ""},
		{"https://gate.test/qualytics", "https://gate.test/qualytics/api", ""},
		{"https://gate.test/myapi", "https://gate.test/myapi/api", ""},
		{"https://[2001:db8::1]/", "https://[2001:db8::1]/api", ""},
		{"http://127.0.0.1:9690", "http://127.0.0.1:9690/api", ""},
		{"http://127.9.9.9/api/", "http://127.9.9.9/api", ""},
		{"http://localhost:9690", "http://localhost:9690/api", ""},
		{"http://[::1]:9690", "http://[::1]:9690/api", ""},
		{"localhost:9690", "https://localhost:9690/api", ""},
		{"", "", "no url"},
		{"  ", "", "no url"},
		{"https://", "", "no host"},
		{"https:///api", "", "no host"},
		{"http://acme.qualytics.io", "", "clear text"},
		{"http://10.0.0.1", "", "clear text"},
		{"http://127.0.0.1.nip.test", "", "clear text"},
		{"http://localhost.test", "", "clear text"},
		{"http://[::ffff:8.8.8.8]", "", "clear text"},
		{"ftp://acme.qualytics.io", "", "scheme"},
		{"https://admin:hunter2@acme.qualytics.io", "", "user or a password"},
		{"https://hunter2@acme.qualytics.io", "", "user or a password"},
		{"https://acme.qualytics.io?token=hunter2", "", "query"},
		{"https://acme.qualytics.io/#hunter2", "", "fragment"},
		{"https://hunter2\x7f@acme", "", "can't be parsed"},
		{"https://acme.test:port/hunter2", "", "can't be parsed"},
	}
	for _, test := range tests {
		got, err := baseURL(test.in)
		switch {
		case test.err == "" && err != nil:
			t.Errorf("baseURL(%q): %v", test.in, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("baseURL(%q): err = %v, want %q in it", test.in, err, test.err)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("baseURL(%q): the error shows the secret: %v", test.in, err)
		case got != test.want:
			t.Errorf("baseURL(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	credential := OnePlace("its place", func() (secret.Value, error) { return secret.New(adminToken), nil })
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		options Options
		want    string
	}{
		"no url":           {Options{Credential: credential}, "no url"},
		"no credential":    {Options{BaseURL: "acme.test"}, "no credential"},
		"CA and transport": {Options{BaseURL: "acme.test", Credential: credential, CAFile: "x", Transport: http.DefaultTransport}, "CA file"},
		"no rate":          {Options{BaseURL: "acme.test", Credential: credential, Rate: math.NaN()}, "rate"},
		"endless rate":     {Options{BaseURL: "acme.test", Credential: credential, Rate: math.Inf(1)}, "rate"},
		"burst":            {Options{BaseURL: "acme.test", Credential: credential, Burst: -1}, "burst"},
		"timeout":          {Options{BaseURL: "acme.test", Credential: credential, Timeout: -1}, "timeout"},
		"CA missing":       {Options{BaseURL: "acme.test", Credential: credential, CAFile: notPEM + "x"}, "no such file"},
		"CA is a folder":   {Options{BaseURL: "acme.test", Credential: credential, CAFile: filepath.Dir(notPEM)}, "CA file"},
		"CA no PEM":        {Options{BaseURL: "acme.test", Credential: credential, CAFile: notPEM}, "no certificate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := New(test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) || c != nil {
				t.Errorf("New = %v, %v; want %q", c, err, test.want)
			}
		})
	}
}

func TestNewCallsNothing(t *testing.T) {
	s := &script{}
	c := client(t, Options{BaseURL: "acme.test", Transport: s, Credential: OnePlace("its place", func() (secret.Value, error) {
		t.Error("the credential was read")
		return secret.Value{}, nil
	})})
	if c.BaseURL() != "https://acme.test/api" {
		t.Errorf("BaseURL = %q", c.BaseURL())
	}
	if len(s.sent()) != 0 {
		t.Error("a call was sent")
	}
}

func TestDefaults(t *testing.T) {
	o := Options{}.withDefaults()
	limit, burst := o.limit()
	if limit != 10 || burst != 10 || o.Timeout != 30*time.Second || o.UserAgent != "handover" {
		t.Errorf("rate %v, burst %d, timeout %v, agent %q", limit, burst, o.Timeout, o.UserAgent)
	}
	if _, burst := (Options{Rate: 0.2}).limit(); burst != 1 {
		t.Errorf("burst of a slow rate = %d, want 1", burst)
	}
	if _, burst := (Options{Rate: 1e300}).limit(); burst != 1000 {
		t.Errorf("burst of a huge rate = %d, want 1000", burst)
	}
}
