package payload_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// drawToken draws a JWT, or any text at all.
func drawToken(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`ey[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}`),
		rapid.StringMatching(`[ -~]{1,40}`),
		rapid.String(),
	).Draw(t, "token")
}

// What a format renders, it extracts; what it can't write in a way that comes
// back, it refuses. A JWT it never refuses.
func TestRenderThenExtractIsIdentity(t *testing.T) {
	for name, spec := range golden {
		f := mustNew(t, spec)
		if f.Lossy() {
			continue
		}
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			token := issued(drawToken(t))
			token.URL = rapid.StringMatching(`https?://[a-z][a-z0-9-]{0,9}(\.[a-z]{1,5})?(:[1-9][0-9]{0,3})?`).Draw(t, "url")
			text, err := f.Render(token)
			if err != nil {
				if isJWT(token.Value.Reveal()) {
					t.Fatalf("a JWT is refused: %v", err)
				}
				return
			}
			back, err := f.Extract(text)
			if err != nil {
				t.Fatalf("a rendered payload doesn't give its token back: %v", err)
			}
			if !back.Equal(token.Value) {
				t.Fatal("a rendered payload gives another token back")
			}
		}))
	}
}

func isJWT(text string) bool {
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2 &&
		strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

// FuzzExtract gives every format any payload. What comes out must be what a
// format can write again, must stand in the payload, and must be what a full
// YAML parser finds there.
func FuzzExtract(f *testing.F) {
	formats := map[string]backends.Format{"aws": mustNew(f, awsConnection)}
	for name, spec := range golden {
		formats[name] = mustNew(f, spec)
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

// Two formats for one token never agree on a wrong payload: what one renders,
// another extracts rightly or not at all.
func TestExtractOfAnotherFormat(t *testing.T) {
	token := fakeJWT(t)
	for from, spec := range golden {
		text := mustRender(t, spec, issued(token))
		for to, other := range golden {
			got, err := mustNew(t, other).Extract(secret.New(text))
			if err == nil && got.Reveal() != token {
				t.Errorf("%s takes something else than the token out of %s", to, from)
			}
		}
	}
}

func BenchmarkRenderExtract(b *testing.B) {
	f := mustNew(b, payload.Spec{Format: "airflow-connection", BackendType: "vault"})
	token := issued(fakeJWT(b))
	for b.Loop() {
		text, err := f.Render(token)
		if err == nil {
			_, err = f.Extract(text)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
