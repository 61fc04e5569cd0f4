package awssecrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// verdict is what an answer, or the lack of one, means to the agent.
type verdict struct {
	kind error
	err  error
	wait time.Duration
	// code is AWS's; "" where AWS didn't answer.
	code string
}

func (v verdict) Error() string { return v.err.Error() }
func (v verdict) Unwrap() error { return v.err }

// kindOf is the kind of what a call failed with.
func kindOf(err error) error {
	var v verdict
	if errors.As(err, &v) {
		return v.kind
	}
	return backends.KindOf(err)
}

// operation names what a method of the backend was asked to do, for errors.
type operation struct {
	name string
	ref  backends.Ref
}

// fail makes the error of an operation. A verdict gives its kind and waiting
// time.
func (op operation) fail(err error) error {
	e := &backends.Error{Op: op.name, Ref: op.ref, Kind: backends.ErrUnavailable, Err: err}
	var v verdict
	if errors.As(err, &v) {
		e.Kind, e.RetryAfter = v.kind, v.wait
	}
	return e
}

// row is what one error code of AWS means.
type row struct {
	kind error
	says string
}

const (
	badKey     = "AWS does not know the access key: check the credentials, and that the account has enabled the region"
	badSign    = "AWS refuses the signature: the secret access key is wrong, this machine's clock is, or endpoint is another region's"
	badClock   = "this machine's clock differs too much from AWS's: set it"
	badSession = "the AWS session is over: log in again, or give the agent credentials that renew themselves"
	badPolicy  = "the agent may not do this: its policy, the secret's or the KMS key's lacks it"
	badRequest = "AWS does not accept the request"
	quotaWait  = 10 * time.Minute
)

// codes is the one table from AWS's error codes to kinds of errors. The words
// of the server are not passed on, for they can repeat what was sent. What
// throttles is in the SDK's own list.
//
// Source: "Errors" of each action and "Common errors" in the Secrets Manager
// API reference.
var codes = map[string]row{
	"ResourceNotFoundException": {backends.ErrNotFound, "there is no such secret or version"},
	"ResourceExistsException":   {backends.ErrConflict, "somebody else has created the secret, or this very version"},
	"InvalidRequestException":   {backends.ErrInvalid, "the secret's state does not allow it: it is scheduled for deletion, or managed by another service"},
	"InvalidParameterException": {backends.ErrInvalid, badRequest},
	"ValidationException":       {backends.ErrInvalid, badRequest},
	"ValidationError":           {backends.ErrInvalid, badRequest},
	"SerializationException":    {backends.ErrInvalid, badRequest},
	"PreconditionNotMetException": {backends.ErrInvalid,
		"the secret's state does not allow it"},
	"EncryptionFailure":      {backends.ErrUnavailable, "the KMS key can't encrypt: check that it is enabled and in this region"},
	"DecryptionFailure":      {backends.ErrUnavailable, "the KMS key can't decrypt: check that it is enabled and not about to be deleted"},
	"LimitExceededException": {backends.ErrThrottled, "a quota of the account or of the secret is used up; versions fall away after a day"},

	"AccessDeniedException":               {backends.ErrDenied, badPolicy},
	"AccessDenied":                        {backends.ErrDenied, badPolicy},
	"NotAuthorized":                       {backends.ErrDenied, badPolicy},
	"OptInRequired":                       {backends.ErrDenied, "the account is not signed up for Secrets Manager, or the region is not enabled: check region"},
	"UnrecognizedClientException":         {backends.ErrDenied, badKey},
	"InvalidClientTokenId":                {backends.ErrDenied, badKey},
	"InvalidAccessKeyId":                  {backends.ErrDenied, badKey},
	"MissingAuthenticationToken":          {backends.ErrDenied, badKey},
	"MissingAuthenticationTokenException": {backends.ErrDenied, badKey},
	"IncompleteSignature":                 {backends.ErrDenied, badSign},
	"IncompleteSignatureException":        {backends.ErrDenied, badSign},
	"InvalidSignatureException":           {backends.ErrDenied, badSign},
	"SignatureDoesNotMatch":               {backends.ErrDenied, badSign},
	"ExpiredToken":                        {backends.ErrDenied, badSession},
	"ExpiredTokenException":               {backends.ErrDenied, badSession},
	"InvalidIdentityToken":                {backends.ErrDenied, "AWS does not accept the web identity's token: check the role's trust policy and the token's audience"},
	"RequestExpired":                      {backends.ErrUnavailable, badClock},
	"RequestTimeTooSkewed":                {backends.ErrUnavailable, badClock},
	"UnknownOperationException":           {backends.ErrUnavailable, "the endpoint is not Secrets Manager's: check endpoint"},
}

// classify says what a failed call means. writes says that a change was asked
// for: then a failing server may have made it.
func (b *backend) classify(err error, f *wire.Flight, action string, writes bool) verdict {
	var login *loginError
	if errors.As(err, &login) {
		return loginVerdict(login, b.options)
	}
	var api smithy.APIError
	ofAWS := errors.As(err, &api)
	status := f.Status()
	if status == 0 || status < 300 && !ofAWS {
		cause := f.Err()
		if cause == nil && status != 0 {
			cause = errNotAWS
		}
		return lost(err, cause, writes && f.Arrived())
	}
	code := "with no code"
	if ofAWS {
		code = codeOf(api)
	}
	say := func(kind error, text string) verdict {
		return verdict{kind: kind, code: code, err: fmt.Errorf("AWS answered %d %s to %s: %s", status, code, action, text)}
	}
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	known, listed := codes[code]
	switch {
	case listed:
		v := say(known.kind, known.says)
		if errors.Is(known.kind, backends.ErrThrottled) {
			v.wait = quotaWait
		}
		return v
	case throttled, status == http.StatusTooManyRequests:
		v := say(backends.ErrThrottled, "too many calls in the account")
		v.wait = f.RetryAfter()
		return v
	case status >= 500 && writes:
		return say(backends.ErrUnknownOutcome, "it failed, and may have written all the same")
	case status >= 500:
		return say(backends.ErrUnavailable, "it failed")
	case status == http.StatusRequestEntityTooLarge:
		return say(backends.ErrInvalid, "the payload is too large")
	case !ofAWS, status < 400:
		return say(backends.ErrUnavailable, errNotAWS.Error())
	}
	return say(backends.ErrInvalid, badRequest)
}

var errNotAWS = errors.New("the answer is not Secrets Manager's: check endpoint and the proxy")

var codePattern = regexp.MustCompile(`^[A-Za-z.]{1,50}$`)

// codeOf is AWS's code. What doesn't look like one is not repeated, for it may
// be anything.
func codeOf(err smithy.APIError) string {
	if code := err.ErrorCode(); codePattern.MatchString(code) {
		return code
	}
	return "UnknownError"
}

// keysOfPlace are the declaration's keys that say where AWS is.
const keysOfPlace = "region, endpoint"

// lost is the verdict on a request that got no answer, or none that could be
// read. err is what the SDK says, cause what the wire said.
func lost(err, cause error, mayHaveWritten bool) verdict {
	v := verdict{kind: backends.ErrUnavailable, err: wire.Cause(cause, keysOfPlace)}
	if mayHaveWritten {
		v.kind = backends.ErrUnknownOutcome
	}
	switch {
	case errors.Is(cause, wire.ErrClosed): // which ends contexts too
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		v.err = wire.Cause(err, keysOfPlace)
	case cause == nil:
		v.err = errors.New("the request could not be made")
	}
	return v
}

// invalid is the verdict on what is refused before any call.
func invalid(format string, args ...any) error {
	return verdict{kind: backends.ErrInvalid, err: fmt.Errorf(format, args...)}
}

// nothing is the verdict that AWS answered and has no value there.
func nothing(why string) error {
	return verdict{kind: backends.ErrNotFound, err: errors.New(why)}
}

func conflict(format string, args ...any) error {
	return verdict{kind: backends.ErrConflict, err: fmt.Errorf(format, args...)}
}
