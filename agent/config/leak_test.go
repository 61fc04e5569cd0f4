package config

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// samples have the shape of secrets and are none.
var samples = map[string]string{
	"a JSON Web Token":    testJWT,
	"a Vault token":       "hvs.CAESIJ0123456789abcdefghijklmn",
	"an AWS access key":   "AKIAIOSFODNN7EXAMPLE",
	"a GitHub token":      "ghp_" + strings.Repeat("a1", 18),
	"a private key":       "-----BEGIN RSA PRIVATE KEY-----",
	"a password in a URL": "postgres://admin:hunter2@db.internal/x",
}

func TestLeakIn(t *testing.T) {
	for want, sample := range samples {
		if what, at := leakIn("é: " + sample); what != want || at != len("é: ") && want != "a password in a URL" && want != "a private key" {
			t.Errorf("%s: found %q at %d", want, what, at)
		}
	}
	if what, _ := leakIn("s.0123456789abcdefABCDEF01"); what != "a Vault token" {
		t.Errorf("an old Vault token: found %q", what)
	}
	for _, harmless := range []string{
		"", "eyJ", "eyJ….eyJ…", "hvs.…", "vaults.example.com", "https://acme.qualytics.io:8443/x@y",
		"http://:<T>@acme.qualytics.io/https?Authorization=Bearer+<T>", "${env:USER}://${env:A}:${env:B}@host",
		"https://host/a:b@c", "AKIA", "highs.0123456789abcdefABCDEF01x",
		`{"url":"https://acme.example","mail":"to:me@acme.example"}`,
	} {
		if what, _ := leakIn(harmless); what != "" {
			t.Errorf("%q is taken for %s", harmless, what)
		}
	}
}

// TestNoMessageRepeatsASecret puts a secret in the place of each key and each
// value of a declaration, plain and behind an escape.
func TestNoMessageRepeatsASecret(t *testing.T) {
	const full = small + `
state: {sqlite: state/db}
defaults: {rotation: {every: 30d}}
environments: {testing: {rotation: {grace: 8d}}}
`
	var top yaml.Node
	if err := yaml.Unmarshal([]byte(full), &top); err != nil {
		t.Fatal(err)
	}
	scalars := scalarsOf(&top)
	if len(scalars) < 40 {
		t.Fatalf("only %d places", len(scalars))
	}
	for _, n := range scalars {
		for what, sample := range samples {
			old := *n
			n.Value, n.Tag, n.Style = sample, "!!str", yaml.DoubleQuotedStyle
			text, err := yaml.Marshal(&top)
			*n = old
			if err != nil {
				t.Fatal(err)
			}
			checkSilent(t, what+" for "+old.Value, string(text), sample)
			// As the parser reads it this is the same, the text differs.
			escaped := strings.ReplaceAll(string(text), sample[:1], escapeOf(sample[0]))
			if yaml.Unmarshal([]byte(escaped), new(any)) == nil {
				checkSilent(t, what+" escaped for "+old.Value, escaped, sample)
			}
			checkSilent(t, what+" as an alias", strings.Replace(full, "role: Editor", "role: *"+sample, 1), sample)
		}
	}
}

func escapeOf(c byte) string {
	return `\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
}

func scalarsOf(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	var all []*yaml.Node
	for _, child := range n.Content {
		all = append(all, scalarsOf(child)...)
	}
	return all
}

func checkSilent(t *testing.T, name, text, sample string) {
	t.Helper()
	_, err := parse(t, text)
	if err == nil {
		t.Errorf("%s: accepted", name)
		return
	}
	for _, p := range err.(*Errors).Problems {
		if strings.Contains(p.Message+p.Key, sample) {
			t.Errorf("%s: a message repeats it", name)
		}
	}
}
