package qualytics

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultRate    = 10
	defaultTimeout = 30 * time.Second
	// callTimeouts is how many attempts' time one method may take in all.
	callTimeouts = 4
)

// Options make a Client. BaseURL and Credential are needed; the zero value of
// each other field has a meaning of its own.
type Options struct {
	// BaseURL is the instance: with or without a scheme (https), /api and a
	// trailing slash. Plain http is for a loopback address alone.
	BaseURL string
	// Credential is what may be the agent's own token.
	Credential Candidates
	// Transport replaces the client's own; nil: one with TLS 1.2 or later.
	// A Transport that honours net/http/httptrace lets a refused connection
	// be told from an unknown outcome.
	Transport http.RoundTripper
	// CAFile is a PEM file of authorities to trust besides the system's.
	// Not with Transport.
	CAFile string
	// Rate is the most calls a second, attempts and pages counted; 0 is 10,
	// below 0 no limit.
	Rate float64
	// Burst is how many calls may start at once; 0 is a second's worth.
	Burst int
	// Timeout bounds one attempt, its answer read to the end; 0 is 30 s. A
	// method as a whole takes at most four times that.
	Timeout time.Duration
	// Now is the local clock; nil is time.Now.
	Now func() time.Time
	// UserAgent is sent with each call; "" is "handover".
	UserAgent string
	// Log gets one debug record an attempt; nil: none.
	Log *slog.Logger
	// Observe is told of each attempt: call is its method and route
	// ("PUT /user-tokens/{id}"), status 0 when there was no answer.
	Observe func(call string, status int, took time.Duration)
}

func (o Options) check() error {
	switch {
	case o.Credential == nil:
		return errors.New("qualytics: no credential given")
	case o.Transport != nil && o.CAFile != "":
		return errors.New("qualytics: a CA file has no effect on a transport of one's own: give one of the two")
	case math.IsNaN(o.Rate) || math.IsInf(o.Rate, 0):
		return errors.New("qualytics: the rate must be a number of calls a second")
	case o.Burst < 0:
		return errors.New("qualytics: the burst must not be below 0")
	case o.Timeout < 0:
		return errors.New("qualytics: the timeout must not be below 0")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.UserAgent == "" {
		o.UserAgent = "handover"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	return o
}

// limit gives the rate and the burst as a limiter takes them.
func (o Options) limit() (rate.Limit, int) {
	if o.Rate < 0 {
		return rate.Inf, 1
	}
	if o.Burst > 0 {
		return rate.Limit(o.Rate), o.Burst
	}
	return rate.Limit(o.Rate), max(1, int(min(math.Ceil(o.Rate), 1000)))
}

// baseURL turns what an operator writes into "https://host/api" (D, "Base").
// Errors name no part that may hold a secret.
func baseURL(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", errors.New("qualytics: no url given: write https://<instance>.qualytics.io")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("qualytics: the url can't be parsed: write https://<instance>.qualytics.io")
	}
	switch {
	case u.Hostname() == "":
		return "", errors.New("qualytics: the url names no host: write https://<instance>.qualytics.io")
	case u.User != nil:
		return "", errors.New("qualytics: the url holds a user or a password: take it out, the credential has a place of its own")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("qualytics: the url has a query or a fragment: take it out")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("qualytics: http://%s would send the credential in clear text: use https (http is for a loopback address alone)", u.Host)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("qualytics: the url's scheme is %q: use https", u.Scheme)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if !strings.HasSuffix(path, "/api") {
		path += "/api"
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// loopback reports whether host is this machine by its very name.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
