package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

// answer is what a call that succeeded brought.
type answer struct {
	payload secret.Value
	version backends.Version
}

// ops are the words of the errors.
var ops = map[string]string{http.MethodGet: "get", http.MethodHead: "describe", http.MethodPut: "put"}

// call makes one request. Its errors are the driver's: they hold no body.
func (b *backend) call(ctx context.Context, method string, ref backends.Ref, header http.Header, payload secret.Value) (answer, error) {
	op := ops[method]
	if err := properties.Path.Check(ref.Path); err != nil {
		return answer{}, fail(op, ref, backends.ErrInvalid, err)
	}
	if ctx.Err() != nil {
		return answer{}, fail(op, ref, backends.ErrUnavailable, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	ctx, flight := wire.Track(ctx)
	request, err := b.request(ctx, method, ref, header, payload)
	if err != nil {
		return answer{}, fail(op, ref, backends.ErrUnavailable, err)
	}
	response, err := b.wire.Client().Do(request)
	if err != nil {
		return answer{}, fail(op, ref, unanswered(method, flight, err), wire.Cause(err, "url"))
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fail(op, ref, unanswered(method, flight, err), wire.Cause(err, "url"))
	}
	return judge(method, ref, response, string(text))
}

// request puts the credential in, read anew: whoever rotates it is followed.
func (b *backend) request(ctx context.Context, method string, ref backends.Ref, header http.Header, payload secret.Value) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.base+"/"+ref.Path, strings.NewReader(payload.Reveal()))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if b.token.IsZero() {
		return request, nil
	}
	token, err := b.token.Read()
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	return request, err
}

// unanswered is the kind of a call without a whole answer. A write that was
// given a connection may have taken place.
func unanswered(method string, flight *wire.Flight, err error) error {
	switch {
	case method == http.MethodPut && flight.Arrived():
		return backends.ErrUnknownOutcome
	case errors.Is(err, wire.ErrTooLarge):
		return backends.ErrInvalid
	}
	return backends.ErrUnavailable
}

// verdicts are the kinds of the statuses that aren't 2xx, and what to do.
var verdicts = []struct {
	from, to int
	kind     error
	remedy   string
}{
	{300, 399, backends.ErrInvalid, "the server redirects; url has to be its last address"},
	{401, 401, backends.ErrDenied, "look at token"},
	{403, 403, backends.ErrDenied, "the token may not do this"},
	{404, 404, backends.ErrNotFound, ""},
	{412, 412, backends.ErrConflict, ""},
	{429, 429, backends.ErrThrottled, ""},
	{400, 499, backends.ErrInvalid, "the server does not accept the request"},
	{500, 599, backends.ErrUnavailable, "the server failed; look at its log"},
}

// judge turns an answer into a result or an error.
func judge(method string, ref backends.Ref, response *http.Response, text string) (answer, error) {
	op, status, etag := ops[method], response.StatusCode, response.Header.Get("ETag")
	for _, v := range verdicts {
		if status < v.from || status > v.to {
			continue
		}
		cause := fmt.Errorf("the server answers %d", status)
		if v.remedy != "" {
			cause = fmt.Errorf("the server answers %d: %s", status, v.remedy)
		}
		e := fail(op, ref, v.kind, cause)
		switch {
		case status == http.StatusTooManyRequests:
			e.RetryAfter = wire.RetryAfter(response.Header)
		case status >= http.StatusInternalServerError && method == http.MethodPut:
			e.Kind = backends.ErrUnknownOutcome
		}
		return answer{}, e
	}
	strong := etag != "" && !strings.HasPrefix(etag, "W/")
	switch {
	case !strong && method == http.MethodPut:
		return answer{}, nil
	case !strong:
		return answer{}, fail(op, ref, backends.ErrInvalid, errors.New("the server gives no strong ETag: nothing tells its values apart"))
	case text == "" && method == http.MethodGet: // an empty value is nothing, and can be replaced
		return answer{version: backends.Version(etag)}, fail(op, ref, backends.ErrNotFound, nil)
	}
	return answer{secret.New(text), backends.Version(etag)}, nil
}

func fail(op string, ref backends.Ref, kind, cause error) *backends.Error {
	return &backends.Error{Op: op, Ref: ref, Kind: kind, Err: cause}
}
