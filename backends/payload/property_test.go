package payload_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

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
