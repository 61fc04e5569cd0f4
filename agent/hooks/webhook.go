package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

// WebhookOptions make a Webhook.
type WebhookOptions struct {
	// URL is where to post; "": From holds it, read anew for each attempt.
	URL  string
	From secret.Source
	// Secret signs the requests; the zero Source: nothing is signed.
	Secret secret.Source
	// CAFile holds the certificates to trust, as PEM; "" is the system's.
	CAFile string
	// Timeout is the longest time for all attempts together, more than 0.
	Timeout time.Duration
	// UserAgent names the sender.
	UserAgent string
	// Pause is before the second attempt, and doubled each time; 0 is a second.
	Pause time.Duration
}

// Webhook posts JSON to a URL. It is safe for concurrent use.
type Webhook struct {
	o      WebhookOptions
	wire   *wire.Transport
	client *http.Client
}

const (
	maxTries       = 4
	maxHeaderBytes = 64 << 10
)

// NewWebhook reads CAFile, and nothing else.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	way, err := wire.New(wire.Options{CAFile: o.CAFile, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	// Of an answer the status alone matters: its body is never waited for.
	base := &http.Transport{IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxHeaderBytes}
	way.Prepare(base)
	return &Webhook{o: o, wire: way, client: &http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would lead the signed body elsewhere
	}}}, nil
}

// Close ends all requests.
func (w *Webhook) Close() {
	w.wire.Close()
	w.client.CloseIdleConnections()
}

// Send posts body until an answer of 2xx: again after a failure that may pass,
// with back-off or after the server's Retry-After, at most four times and within
// the time limit. id names what is told, so that the server can tell when it
// gets the same twice. The error holds neither the URL nor a secret.
//
// A signed request is one of the Standard Webhooks (standardwebhooks.com): its
// header webhook-signature has, behind "v1,", the HMAC-SHA256 of
// "<webhook-id>.<webhook-timestamp>.<body>" in base64. A secret that begins with
// whsec_ is base64 behind that; any other is the key as it stands.
func (w *Webhook) Send(ctx context.Context, id string, body []byte) error {
	bounded, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = w.o.Pause, 2, 16*w.o.Pause
	var last error
	_, _ = backoff.Retry(bounded, func() (struct{}, error) {
		err := w.attempt(bounded, id, body)
		if err == nil || last == nil || bounded.Err() == nil { // what cut a later one off says less
			last = err
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(w.o.Timeout))
	switch {
	case last == nil:
		return nil
	case ctx.Err() != nil:
		last = ctx.Err()
	}
	return fmt.Errorf("post to %s: %w", w.Place(), reason(last))
}

// Place names the receiver without a secret: the URL's host, or where the URL
// stands.
func (w *Webhook) Place() string {
	if w.o.URL == "" {
		return "the URL in " + w.o.From.String()
	}
	if u, err := url.Parse(w.o.URL); err == nil {
		return u.Host
	}
	return "its URL"
}

// reason takes off what speaks to backoff alone.
func reason(err error) error {
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		return permanent.Unwrap()
	}
	return err
}

// attempt posts once. Its error tells backoff.Retry whether to go on.
func (w *Webhook) attempt(ctx context.Context, id string, body []byte) error {
	req, hidden, err := w.request(ctx, id, body)
	if err != nil {
		return backoff.Permanent(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return secret.Redact(wire.Cause(err, "url"), hidden...)
	}
	_ = resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500:
		if after := wire.RetryAfter(resp.Header); after > 0 {
			return fmt.Errorf("%w; %w", answered(status), &backoff.RetryAfterError{Duration: after})
		}
		return answered(status)
	default:
		return backoff.Permanent(answered(status))
	}
}

// answered is a status as an error.
type answered int

// Error implements error.
func (s answered) Error() string {
	return fmt.Sprintf("it answered %d %s", int(s), http.StatusText(int(s)))
}

// request makes a signed request. hidden are the secrets in it.
func (w *Webhook) request(ctx context.Context, id string, body []byte) (req *http.Request, hidden []secret.Value, err error) {
	to := secret.New(w.o.URL)
	if w.o.URL == "" {
		if to, err = w.o.From.Read(); err != nil {
			return nil, nil, err
		}
		hidden = append(hidden, to)
	}
	u, err := url.Parse(to.Reveal())
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !here(u.Hostname())) {
		return nil, nil, errors.New("what stands there is no URL that begins with https://")
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, errors.New("what stands there can't be called")
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", w.o.UserAgent)
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", now)
	if w.o.Secret.IsZero() {
		return req, hidden, nil
	}
	shared, err := w.o.Secret.Read()
	if err != nil {
		return nil, nil, err
	}
	key, err := keyOf(shared)
	if err != nil {
		return nil, nil, fmt.Errorf("the secret in %s: %w", w.o.Secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + now + "."))
	mac.Write(body)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return req, append(hidden, shared), nil
}

func keyOf(shared secret.Value) ([]byte, error) {
	text, coded := strings.CutPrefix(shared.Reveal(), "whsec_")
	if !coded {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("behind whsec_ it isn't base64")
	}
	return key, nil
}

// here reports whether host names this machine by itself.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
