package qualytics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const gone = `{"detail": "no such token"}`

// How often a call is sent, and how long it takes, by what the server does.
func TestRetries(t *testing.T) {
	ok := say(200, `[]`)
	tests := map[string]struct {
		answers  []answer
		sent     int
		min, max time.Duration
		kind     error
	}{
		"success":          {[]answer{ok}, 1, 0, 0, nil},
		"500 then success": {[]answer{say(500, ""), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"always 503":       {[]answer{say(503, "")}, 4, 1750 * time.Millisecond, 5250 * time.Millisecond, rotation.ErrUnavailable},
		"connection lost":  {[]answer{fail(errors.New("reset")), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"body cut":         {[]answer{sayFrom(200, cut(`[{"id":`)), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"JSON cut":         {[]answer{say(200, `[{"id":`), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"empty body":       {[]answer{say(200, ``), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"no JSON":          {[]answer{say(200, `<html>`), ok}, 1, 0, 0, rotation.ErrInvalidAnswer},
		"a hang":           {[]answer{hang, ok}, 2, 30250 * time.Millisecond, 30750 * time.Millisecond, nil},
		"always a hang":    {[]answer{hang}, 4, 119 * time.Second, 120 * time.Second, rotation.ErrUnavailable},
		"refused":          {[]answer{say(422, ""), ok}, 1, 0, 0, rotation.ErrRefused},
		"forbidden":        {[]answer{say(403, ""), ok}, 1, 0, 0, rotation.ErrUnauthorized},
		"throttled":        {[]answer{say(429, ""), ok}, 2, 250 * time.Millisecond, 750 * time.Millisecond, nil},
		"throttled, 7 s":   {[]answer{say(429, "", "Retry-After: 7"), ok}, 2, 7 * time.Second, 7 * time.Second, nil},
		"away, 9 s":        {[]answer{say(503, "", "Retry-After: 9"), ok}, 2, 9 * time.Second, 9 * time.Second, nil},
		"throttled, 31 s":  {[]answer{say(429, "", "Retry-After: 31"), ok}, 1, 0, 0, rotation.ErrThrottled},
		"throttled, a day": {[]answer{say(429, "", "Retry-After: 86400"), ok}, 1, 0, 0, rotation.ErrThrottled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.answers...)
				began := time.Now()
				_, err := c.Tokens(t.Context())
				if !errors.Is(err, test.kind) {
					t.Errorf("err = %v, want %v", err, test.kind)
				}
				if got := len(s.sent()); got != test.sent {
					t.Errorf("sent %d times, want %d", got, test.sent)
				}
				if took := time.Since(began); took < test.min || took > test.max+time.Millisecond {
					t.Errorf("took %v, want %v to %v", took, test.min, test.max)
				}
			})
		})
	}
}

func TestRetryAfterIsHandedOn(t *testing.T) {
	for header, want := range map[string]time.Duration{"40": 40 * time.Second, "86400": time.Hour} {
		c, _ := scripted(t, say(429, "", "Retry-After: "+header))
		if got := apiError(t, c.Delete(t.Context(), 9)).RetryAfter; got != want {
			t.Errorf("Retry-After %s: RetryAfter = %v, want %v", header, got, want)
		}
	}
}

// Every call that can be repeated is, and the two that mint are not, whatever
// befalls them.
func TestWhoIsRepeated(t *testing.T) {
	befalls := map[string]answer{
		"500": say(500, ""), "503 soon": say(503, "", "Retry-After: 1"), "429": say(429, "", "Retry-After: 1"),
		"408": say(408, ""), "lost": fail(errors.New("reset")), "cut": sayFrom(200, cut(`{"id`)),
		"half": say(200, `{"id"`), "empty": say(201, ``), "hang": hang, "refused dial": fail(dialError()),
	}
	for name, befall := range befalls {
		for _, m := range methods() {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, s := scripted(t, befall)
					err := m.call(t.Context(), c)
					want := maxTries
					switch {
					case m.class == mints:
						want = 1
					case name == "empty" && err == nil: // says enough by its status
						want = 1
					}
					if got := len(s.sent()); got != want {
						t.Errorf("sent %d times, want %d (%v)", got, want, err)
					}
				})
			})
		}
	}
}

func TestDoneContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, m := range methods() {
		c, s := scripted(t, say(200, `{}`))
		fail := apiError(t, m.call(ctx, c))
		if fail.Kind != rotation.ErrUnavailable || !errors.Is(fail, context.Canceled) {
			t.Errorf("%s: err = %v, want unavailable and canceled", m.name, fail)
		}
		if got := len(s.sent()); got != 0 {
			t.Errorf("%s: sent %d times", m.name, got)
		}
	}
}

// A cancelled wait ends the call at once, and its error says so.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, say(503, "", "Retry-After: 20"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := c.Revoke(ctx, 9)
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		if len(s.sent()) != 1 || !errors.Is(err, rotation.ErrUnavailable) {
			t.Errorf("sent %d times, err = %v", len(s.sent()), err)
		}
	})
}

func TestRateLimit(t *testing.T) {
	for name, test := range map[string]struct {
		rate  float64
		burst int
		want  time.Duration // of 40 calls at once
	}{
		"default":   {0, 0, 3 * time.Second},
		"2 a call":  {2, 1, 19500 * time.Millisecond},
		"off":       {-1, 0, 0},
		"slow":      {0.5, 0, 78 * time.Second},
		"big burst": {1, 40, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []answer{say(204, "")}}
				c, err := New(Options{
					BaseURL: "acme.test", Rate: test.rate, Burst: test.burst, Transport: s,
					Credential: OnePlace("its place", func() (secret.Value, error) { return secret.New(adminToken), nil }),
				})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				var all sync.WaitGroup
				for range 40 {
					all.Go(func() {
						if err := c.Delete(t.Context(), 9); err != nil {
							t.Errorf("Delete: %v", err)
						}
					})
				}
				all.Wait()
				if took := time.Since(began); took < test.want-time.Millisecond || took > test.want+time.Millisecond {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// A call that would wait longer for the rate than it may take is not sent.
func TestRateLimitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{say(201, mintedBody)}}
		c := client(t, Options{Transport: s, Rate: 0.001, Timeout: time.Second})
		if _, err := c.Issue(t.Context(), order()); err != nil {
			t.Fatalf("first: %v", err)
		}
		_, err := c.Issue(t.Context(), order())
		if !errors.Is(err, rotation.ErrUnavailable) || !strings.Contains(err.Error(), "rate limit") {
			t.Errorf("second: %v", err)
		}
		if got := len(s.sent()); got != 1 {
			t.Errorf("sent %d times", got)
		}
	})
}

func TestCredentialIsReadAgain(t *testing.T) {
	tests := map[string]struct {
		values []string // what stands at the source, in order; "" fails
		call   func(context.Context, *Client) error
		sent   []string // the bearers
		kind   error
	}{
		"changed":          {[]string{adminToken, otherToken}, callOf("Tokens"), []string{adminToken, otherToken, otherToken}, nil}, // the second one is tried first
		"unchanged":        {[]string{adminToken}, callOf("Tokens"), []string{adminToken}, rotation.ErrUnauthorized},
		"unreadable then":  {[]string{adminToken, ""}, callOf("Tokens"), []string{adminToken}, rotation.ErrUnauthorized},
		"unreadable":       {[]string{""}, callOf("Tokens"), nil, rotation.ErrUnauthorized},
		"broken":           {[]string{"two\nlines"}, callOf("Tokens"), nil, rotation.ErrUnauthorized},
		"a mint":           {[]string{adminToken, otherToken}, callOf("Issue"), []string{adminToken, otherToken}, rotation.ErrUnauthorized},
		"a proof needs no": {[]string{""}, callOf("Prove"), []string{otherToken}, nil},
		"status needs no":  {[]string{""}, callOf("Status"), []string{""}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []answer{func(req *http.Request) (*http.Response, error) {
				switch {
				case req.Header.Get("Authorization") == "Bearer "+adminToken:
					return say(401, `{"detail": "expired"}`)(req)
				case strings.HasSuffix(req.URL.Path, "/me"):
					return say(200, `{"id": 1, "user_id": "pipeline@service"}`)(req)
				}
				return say(200, `[]`)(req)
			}}}
			reads := 0
			c := client(t, Options{Transport: s, Credential: OnePlace("its place", func() (secret.Value, error) {
				reads++
				text := test.values[min(reads, len(test.values))-1]
				if text == "" {
					return secret.Value{}, errors.New("no such file")
				}
				return secret.New(text), nil
			})})
			if err := test.call(t.Context(), c); !errors.Is(err, test.kind) {
				t.Errorf("err = %v, want %v", err, test.kind)
			}
			var bearers []string
			for _, a := range s.sent() {
				bearers = append(bearers, a.bearer)
			}
			if fmt.Sprint(bearers) != fmt.Sprint(test.sent) {
				t.Errorf("sent %d calls, want %d, or with other bearers", len(bearers), len(test.sent))
			}
		})
	}
}

// After a mint was refused, the next one has the credential that stands there
// by then.
func TestNextMintHasNewCredential(t *testing.T) {
	s := &script{answers: []answer{say(401, ""), say(200, meBody), say(201, mintedBody)}}
	values := []string{adminToken, otherToken}
	c := client(t, Options{Transport: s, Credential: OnePlace("its place", func() (secret.Value, error) {
		v := values[0]
		values = values[min(1, len(values)-1):]
		return secret.New(v), nil
	})})
	if _, err := c.Issue(t.Context(), order()); !errors.Is(err, rotation.ErrUnauthorized) {
		t.Fatalf("first: %v", err)
	}
	if _, err := c.Issue(t.Context(), order()); err != nil {
		t.Fatalf("second: %v", err)
	}
	if s.sent()[2].bearer != otherToken {
		t.Error("the second mint has the old credential")
	}
}

func TestObserveAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		var log bytes.Buffer
		s := &script{answers: []answer{fail(errors.New("reset")), say(404, gone)}}
		c := client(t, Options{
			Transport: s,
			Log:       slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Observe: func(call string, status int, took time.Duration) {
				seen = append(seen, fmt.Sprint(call, " ", status, " ", took))
			},
		})
		if err := c.Delete(t.Context(), 17); !errors.Is(err, rotation.ErrMissing) {
			t.Errorf("a token gone by a lost attempt: err = %v, want missing", err)
		}
		want := "[DELETE /user-tokens/{id} 0 0s DELETE /user-tokens/{id} 404 0s]"
		if got := fmt.Sprint(seen); got != want {
			t.Errorf("observed %s, want %s", got, want)
		}
		if got := strings.Count(log.String(), `call="DELETE /user-tokens/{id}"`); got != 2 {
			t.Errorf("%d log records, want 2:\n%s", got, &log)
		}
	})
}
