package qualytics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation"
)

func stringsOf(text string) io.Reader { return strings.NewReader(text) }

// endless is a body of 'a' without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// counted tells how much of a body was read.
type counted struct {
	io.Reader
	n *int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// Every call gives up on a body without an end, at its bound, and says so.
func TestEndlessBody(t *testing.T) {
	for _, m := range methods() {
		for _, status := range []int{200, 500} {
			if status == 200 && m.class == lists && m.name != "Tokens" {
				continue // 64 MiB of one list will do
			}
			t.Run(fmt.Sprint(m.name, status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var read int64
					c, s := scripted(t, sayFrom(status, func() io.Reader {
						return counted{io.MultiReader(stringsOf(`{"detail": "`), endless{}), &read}
					}))
					fail := apiError(t, m.call(t.Context(), c))
					want := rotation.ErrInvalidAnswer
					bound := int64(maxAnswer)
					switch {
					case m.class == mints:
						want = rotation.ErrUnknownOutcome
					case status == 500:
						want = rotation.ErrUnavailable
					case m.class == lists:
						bound = maxList
					case m.name == "OpenAPI":
						bound = maxOpenAPI
					}
					if fail.Kind != want {
						t.Errorf("kind = %v, want %v", fail.Kind, want)
					}
					if status == 200 && !strings.Contains(fail.Error(), "larger than") {
						t.Errorf("err = %v, want one that names the bound", fail)
					}
					if tries := int64(len(s.sent())); read > tries*(bound+1) {
						t.Errorf("read %d bytes in %d tries, bound %d", read, tries, bound)
					}
				})
			})
		}
	}
}

func TestBoundIsExact(t *testing.T) {
	for size, want := range map[int64]error{9: nil, 10: nil, 11: errTooLarge} {
		body := &bounded{from: io.LimitReader(endless{}, size), left: 10}
		got, err := io.ReadAll(body)
		if !errors.Is(err, want) || int64(len(got)) != min(size, 10) {
			t.Errorf("%d bytes: read %d, err = %v, want %v", size, len(got), err, want)
		}
		if _, err := body.Read(make([]byte, 1)); want != nil && !errors.Is(err, want) {
			t.Errorf("%d bytes: a later read gives %v", size, err)
		}
	}
}

// What counts as "done" when the status is all that is asked for.
func TestNothing(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, " \n": true, "{}": true, "null": true, "[1]": true, `"done"`: true,
		"<html>": false, "OK": false, "{": false, "{}{}": false, "{} x": false,
	} {
		if err := nothing(stringsOf(text)); (err == nil) != ok {
			t.Errorf("nothing(%q) = %v, want ok %v", text, err, ok)
		}
	}
}

// Answers in the shape of no call at all.
func TestNonsense(t *testing.T) {
	nonsense := []string{
		"null", "true", "7", `"x"`, "<html>", "\xff\xfe\x00", "[", "{", "[[", "[}", "[1]", "[null]", "[{}]",
		`{"items": null}`, `{"items": {}}`, `{"items": [], "items": []}`, `{"total": 0}`, `{"items": [], "total": -1}`,
		`{"items": [], "total": "x"}`, `{"items": [], "total": 1.5}`, `{"items": [{}], "total": 1}`, `[] []`, `{"items": []} x`,
		strings.Repeat("[", 20000), strings.Repeat(`{"items":`, 20000), `[{"id": 1e400}]`, `[{"id": 99999999999999999999}]`,
	}
	for _, body := range nonsense {
		for _, m := range methods() {
			if m.class != lists {
				continue
			}
			t.Run(fmt.Sprintf("%s/%.20q", m.name, body), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, _ := scripted(t, say(200, body))
					if err := m.call(t.Context(), c); !errors.Is(err, rotation.ErrInvalidAnswer) {
						t.Errorf("err = %v, want invalid answer", err)
					}
				})
			})
		}
	}
}

// A list of 20,000 tokens is read without keeping its text.
func BenchmarkTokens(b *testing.B) {
	var text strings.Builder
	text.WriteByte('[')
	for i := range 20000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id": %d, "created": "2026-01-01T00:00:00Z", "name": "token-%d.acme.g1", "active": true,
			"expiration": null, "last_used": null, "user": {"id": %d, "user_id": "a%d@service", "role": "Member"}}`, i+1, i, i, i)
	}
	text.WriteByte(']')
	body := text.String()
	c, _ := scripted(b, func(req *http.Request) (*http.Response, error) { return say(200, body)(req) })
	var before, after runtime.MemStats
	var tokens []rotation.Token
	b.SetBytes(int64(len(body)))
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		var err error
		if tokens, err = c.Tokens(b.Context()); err != nil || len(tokens) != 20000 {
			b.Fatalf("%d tokens, %v", len(tokens), err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/20000, "B/token")
	runtime.KeepAlive(tokens)
}
