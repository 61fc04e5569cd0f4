package payload_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// allFormats are those of the golden files.
func allFormats(t testing.TB) map[string]backends.Format {
	t.Helper()
	formats := map[string]backends.Format{"aws": mustNew(t, awsConnection)}
	for name, spec := range golden {
		formats[name] = mustNew(t, spec)
	}
	return formats
}

// FuzzExtract gives every format any payload. What comes out must be what a
// format can write again, must stand in the payload, and must be what a full
// YAML parser finds there.
func FuzzExtract(f *testing.F) {
	formats := allFormats(f)
	for name := range golden {
		f.Add(strings.ReplaceAll(readGolden(f, name), placeholder, fakeJWT(f)))
	}
	f.Add("a: \"\ntoken: x\n\"\nkind: Secret\nstringData:\n  QUALYTICS_TOKEN: 'it''s'\ndata: {}\n")
	f.Add("token: \"\\u0041\\/\" # x\nb: |\n  c\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, format := range formats {
			token, err := format.Extract(secret.New(text))
			if err != nil {
				if !token.IsZero() {
					t.Fatalf("%s: a token and the error %v", name, err)
				}
				continue
			}
			if token.IsZero() {
				t.Fatalf("%s: neither a token nor an error", name)
			}
			if _, err := formats["json"].Render(issued(token.Reveal())); err != nil {
				t.Fatalf("%s: extracts what no format can write: %v", name, err)
			}
			checkWithYAML(t, name, text, token.Reveal())
		}
	})
}

func checkWithYAML(t *testing.T, name, text, token string) {
	if json.Valid([]byte(text)) {
		return // read as JSON, where the last of two equal keys wins
	}
	var doc struct {
		Token  string `yaml:"token"`
		String struct {
			Token string `yaml:"QUALYTICS_TOKEN"`
		} `yaml:"stringData"`
	}
	if yaml.Unmarshal([]byte(text), &doc) != nil {
		return
	}
	switch name {
	case "qualytics-cli":
		if doc.Token != token {
			t.Fatalf("YAML has another token in %q", text)
		}
	case "kubernetes-secret":
		if doc.String.Token != "" && doc.String.Token != token {
			t.Fatalf("YAML has another token in %q", text)
		}
	}
}

// FuzzRender writes any token of any account and instance in every format: what
// is written gives its token back, or is lossy and has it inside; what can't be
// is refused without a word of it. A JWT at a plain URL is never refused.
func FuzzRender(f *testing.F) {
	formats := allFormats(f)
	const url = "https://acme.qualytics.io"
	for _, token := range []string{fakeJWT(f), "ab+/=", "it's \"quoted\" \\ $HOME `x` #{}", "a b", " a", "a\nb", "", "\u2028", "null", "~", "[]", "%41", "{{.}}"} {
		f.Add(token, url, "Pipeline Automation", "production")
	}
	f.Add("eyJ.e.x", "http://[::1]:8080/base", "it's \"A\"\n", "\xff")
	f.Add("eyJ.e.x", "https://user:pass@h?q#f", "{{.Token}}", "")
	f.Fuzz(func(t *testing.T, text, url, account, environment string) {
		token := issued(text)
		token.URL, token.Account, token.Environment = url, account, environment
		for name, format := range formats {
			payload, err := format.Render(token)
			if err != nil {
				if isJWT(text) && url == "https://acme.qualytics.io" {
					t.Errorf("%s: a JWT is refused: %v", name, err)
				}
				if len(text) >= 12 && strings.Contains(err.Error(), text) || !payload.IsZero() {
					t.Errorf("%s: the refusal shows the token, or a payload", name)
				}
				continue
			}
			back, err := format.Extract(payload)
			switch {
			case format.Lossy() && (!errors.Is(err, backends.ErrLossy) || !back.IsZero()):
				t.Errorf("%s is lossy, and Extract says %v", name, err)
			case format.Lossy() && !strings.Contains(payload.Reveal(), text):
				t.Errorf("%s: the payload hasn't the token in it", name)
			case !format.Lossy() && (err != nil || !back.Equal(token.Value)):
				t.Errorf("%s: the payload gives another token back, or none: %v", name, err)
			}
		}
	})
}
