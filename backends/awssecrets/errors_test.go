package awssecrets

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

var (
	notFound  = backends.ErrNotFound
	denied    = backends.ErrDenied
	conflicts = backends.ErrConflict
	throttled = backends.ErrThrottled
	away      = backends.ErrUnavailable
	bad       = backends.ErrInvalid
	unknown   = backends.ErrUnknownOutcome
)

// answers is the table of AWS's errors: one row per code.
var answers = []struct {
	name       string
	answer     answer
	read, put  error
	says       string
	retryAfter time.Duration
}{
	{"ResourceNotFoundException", failing(400, "ResourceNotFoundException"), notFound, notFound, "no such secret", 0},
	{"ResourceExistsException", failing(400, "ResourceExistsException"), conflicts, conflicts, "somebody else", 0},
	{"InvalidRequestException", failing(400, "InvalidRequestException"), bad, bad, "state", 0},
	{"InvalidParameterException", failing(400, "InvalidParameterException"), bad, bad, "does not accept", 0},
	{"ValidationException", failing(400, "ValidationException"), bad, bad, "does not accept", 0},
	{"ValidationError", failing(400, "ValidationError"), bad, bad, "does not accept", 0},
	{"SerializationException", failing(400, "SerializationException"), bad, bad, "does not accept", 0},
	{"PreconditionNotMetException", failing(400, "PreconditionNotMetException"), bad, bad, "state", 0},
	{"EncryptionFailure", failing(400, "EncryptionFailure"), away, away, "KMS key", 0},
	{"DecryptionFailure", failing(400, "DecryptionFailure"), away, away, "KMS key", 0},
	{"LimitExceededException", failing(400, "LimitExceededException"), throttled, throttled, "quota", quotaWait},
	{"AccessDeniedException", failing(400, "AccessDeniedException"), denied, denied, "policy", 0},
	{"AccessDenied", failing(403, "AccessDenied"), denied, denied, "policy", 0},
	{"NotAuthorized", failing(400, "NotAuthorized"), denied, denied, "policy", 0},
	{"OptInRequired", failing(403, "OptInRequired"), denied, denied, "region", 0},
	{"UnrecognizedClientException", failing(400, "UnrecognizedClientException"), denied, denied, "access key", 0},
	{"InvalidClientTokenId", failing(403, "InvalidClientTokenId"), denied, denied, "access key", 0},
	{"InvalidAccessKeyId", failing(403, "InvalidAccessKeyId"), denied, denied, "access key", 0},
	{"MissingAuthenticationToken", failing(403, "MissingAuthenticationToken"), denied, denied, "access key", 0},
	{"MissingAuthenticationTokenException", failing(400, "MissingAuthenticationTokenException"), denied, denied, "access key", 0},
	{"IncompleteSignature", failing(400, "IncompleteSignature"), denied, denied, "signature", 0},
	{"IncompleteSignatureException", failing(400, "IncompleteSignatureException"), denied, denied, "signature", 0},
	{"InvalidSignatureException", failing(400, "InvalidSignatureException"), denied, denied, "clock", 0},
	{"SignatureDoesNotMatch", failing(403, "SignatureDoesNotMatch"), denied, denied, "clock", 0},
	{"ExpiredToken", failing(400, "ExpiredToken"), denied, denied, "log in again", 0},
	{"ExpiredTokenException", failing(400, "ExpiredTokenException"), denied, denied, "log in again", 0},
	{"InvalidIdentityToken", failing(400, "InvalidIdentityToken"), denied, denied, "web identity", 0},
	{"RequestExpired", failing(400, "RequestExpired"), away, away, "clock", 0},
	{"RequestTimeTooSkewed", failing(400, "RequestTimeTooSkewed"), away, away, "clock", 0},
	{"UnknownOperationException", failing(400, "UnknownOperationException"), away, away, "endpoint", 0},
	{"ThrottlingException", failing(400, "ThrottlingException"), throttled, throttled, "too many calls", 0},
	{"TooManyRequestsException", failing(429, "TooManyRequestsException"), throttled, throttled, "too many calls", 0},
	{"RequestLimitExceeded", failing(503, "RequestLimitExceeded"), throttled, throttled, "too many calls", 0},
	{"429 with a time", answer{429, map[string]string{"Retry-After": "7"}, "{}"}, throttled, throttled, "too many calls", 7 * time.Second},
	{"InternalServiceError", failing(500, "InternalServiceError"), away, unknown, "failed", 0},
	{"InternalFailure", failing(500, "InternalFailure"), away, unknown, "failed", 0},
	{"ServiceUnavailable", failing(503, "ServiceUnavailable"), away, unknown, "failed", 0},
	{"an echo for a code", failing(400, "{echo}"), bad, bad, "does not accept", 0},
	{"a new code", failing(400, "BrandNewException"), bad, bad, "BrandNewException", 0},
	{"413", answer{413, nil, "<html>too large</html>"}, bad, bad, "too large", 0},
	{"301 of a proxy", answer{301, map[string]string{"Location": "https://127.0.0.1:1/"}, ""}, away, away, "check endpoint", 0},
	{"403 of a proxy", answer{403, nil, "<html>forbidden</html>"}, away, away, "the proxy", 0},
	{"404 of a proxy", answer{404, nil, "<html>not found</html>"}, away, away, "check endpoint", 0},
	{"407 of a proxy", answer{407, nil, "<html>who are you</html>"}, away, away, "the proxy", 0},
	{"502 of a proxy", answer{502, nil, "<html>bad gateway</html>"}, away, unknown, "failed", 0},
	{"200 of a proxy", answer{200, nil, "<html>please log in</html>"}, away, unknown, "check endpoint", 0},
	{"200 without a version", answer{200, nil, `{}`}, away, unknown, "version", 0},
	{"200 cut off", answer{200, map[string]string{"Content-Length": "999"}, `{"VersionId":"v`}, away, unknown, "broke off", 0},
}

func TestAnswers(t *testing.T) {
	ref := backends.Ref{Backend: "aws", Path: "x"}
	item := itemOf("eyJ.second.payload-of-the-scripted-server", 2)
	for _, row := range answers {
		t.Run(row.name, func(t *testing.T) {
			s, url := scripted(t, map[string]answer{"GetSecretValue": row.answer, "PutSecretValue": row.answer})
			b := opened(t, at(url))
			_, _, read := b.readVersion(t.Context(), ref, backends.Current)
			says := row.says
			if row.name == "200 without a version" {
				says = "not Secrets Manager's"
			}
			wantVerdict(t, read, row.read, says)

			s.set("GetSecretValue", answer{200, nil, `{"VersionId":"v1","SecretString":"` + payloadOfV1 + `"}`})
			_, put := b.Put(t.Context(), ref, item, "v1")
			wantError(t, put, row.put, row.says, "put aws/x")
			if got := backends.RetryAfter(put); got != row.retryAfter {
				t.Errorf("it asks to wait %v, want %v", got, row.retryAfter)
			}
			for _, err := range []error{read, put} {
				for _, secret := range []string{item.Payload.Reveal()[:16], keySecret[:12]} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the error holds a secret")
					}
				}
			}
		})
	}
}

// Every code of the table has its row above.
func TestEveryCodeHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range answers {
		rows[row.name] = true
	}
	for code := range codes {
		if !rows[code] {
			t.Errorf("no row tests %s", code)
		}
	}
}

func wantVerdict(t *testing.T, err, kind error, says string) {
	t.Helper()
	ref := backends.Ref{Backend: "aws", Path: "x"}
	if err == nil {
		t.Errorf("no error, want %v", kind)
		return
	}
	wantError(t, operation{"get", ref}.fail(err), kind, says)
}

func TestLost(t *testing.T) {
	if v := lost(context.Canceled, nil, false); !errors.Is(v, context.Canceled) || !errors.Is(v.kind, away) {
		t.Errorf("a cancelled call is %v of kind %v", v, v.kind)
	}
	if v := lost(errors.New("x"), nil, true); !errors.Is(v.kind, unknown) {
		t.Errorf("a write whose answer was lost is of kind %v", v.kind)
	}
}

func TestAnswerTooLarge(t *testing.T) {
	_, url := scripted(t, map[string]answer{"GetSecretValue": {200, nil, strings.Repeat(" ", maxBody+1)}})
	b := opened(t, at(url))
	_, _, err := b.Get(t.Context(), backends.Ref{Backend: "aws", Path: "x"}, backends.Current)
	wantError(t, err, away, "larger than")
}

// The declared time ends a call although the caller would wait.
func TestTimeLimit(t *testing.T) {
	o := at(hanging(t))
	o.Timeout = 20 * time.Millisecond
	b := opened(t, o)
	_, _, err := b.Get(t.Context(), backends.Ref{Backend: "aws", Path: "x"}, backends.Current)
	wantError(t, err, away, "no answer in time")
}

// Close ends a call that is under way, and refuses later ones.
func TestClosed(t *testing.T) {
	as(t, keyOfAgent)
	under := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(under)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	b := openLogging(t, at(s.URL), t.Output())
	ref := backends.Ref{Backend: "aws", Path: "x"}
	ended := make(chan error)
	go func() {
		_, _, err := b.Get(context.Background(), ref, backends.Current)
		ended <- err
	}()
	<-under
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-ended, away)
	_, _, err := b.Get(t.Context(), ref, backends.Current)
	wantError(t, err, away, "closed")
}

func TestUntrustedCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(&script{answers: map[string]answer{}})
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	b := opened(t, at(s.URL))
	_, _, err := b.Get(t.Context(), backends.Ref{Backend: "aws", Path: "x"}, backends.Current)
	wantError(t, err, away, "ca_file")
}

func TestUnknownHost(t *testing.T) {
	b := opened(t, at("https://secretsmanager.invalid"))
	_, err := b.Put(t.Context(), backends.Ref{Backend: "aws", Path: "x"}, itemOf("eyJ.a.b", 1), backends.Absent)
	wantError(t, err, away, "check region, endpoint")
}
