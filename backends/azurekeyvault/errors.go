package azurekeyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/wire"
)

// The words of Key Vault that more than an error's text depends on.
const (
	codeDisabled   = "SecretDisabled"
	codeDeleted    = "ObjectIsDeletedButRecoverable"
	codeDeleting   = "ObjectIsBeingDeleted"
	codeRecovering = "ObjectIsBeingRecovered"
)

// verdict is what an answer, or the lack of one, means to the agent.
type verdict struct {
	kind error
	err  error
	wait time.Duration
	// code is Key Vault's word for the reason, where it gave one.
	code string
}

func (v verdict) Error() string { return v.err.Error() }
func (v verdict) Unwrap() error { return v.err }

// NonRetriable keeps the SDK from trying again by itself.
func (v verdict) NonRetriable() {}

// says reports whether err is an answer with that word.
func says(err error, codes ...string) bool {
	var v verdict
	if !errors.As(err, &v) {
		return false
	}
	for _, code := range codes {
		if v.code == code {
			return true
		}
	}
	return false
}

// kindOf is the kind of a verdict.
func kindOf(err error) error {
	var v verdict
	if errors.As(err, &v) {
		return v.kind
	}
	return backends.KindOf(err)
}

// answer is a refusal of Key Vault.
type answer struct {
	status int
	// code is the innermost word for the reason; "" where the body is not of
	// Key Vault's form.
	code string
	wait time.Duration
}

// row is a line of the table: the first that fits counts.
type row struct {
	status int    // 0 fits any of this hundred: see from
	from   int    // the first status of a range of a hundred
	code   string // "" fits any
	kind   error
	// maybe: a write may have taken place all the same.
	maybe bool
	says  string
}

// table maps Key Vault's answers to kinds of errors.
//
// Source: "Azure Key Vault REST API error codes" and "Authentication, requests
// and responses" of Key Vault's documents; the words of soft-delete from the
// answers that the SDKs' issues quote.
var table = []row{
	{from: 300, kind: backends.ErrUnavailable, says: "it redirects elsewhere: check url"},
	{status: 400, kind: backends.ErrInvalid, says: "it does not accept the request: the name, the tags, the content type or the size"},
	{status: 401, kind: backends.ErrDenied, says: "it does not accept the login: check auth, cloud, whether url is a vault of that tenant, and the clock"},
	{status: 403, code: codeDisabled, kind: backends.ErrNotFound, says: "the version is disabled, so its readers get nothing: enable it, or have the agent write a new one"},
	{status: 403, code: "ForbiddenByFirewall", kind: backends.ErrDenied, says: "the vault's firewall refuses this address: allow it there, or use a private endpoint"},
	{status: 403, code: "ForbiddenByConnection", kind: backends.ErrDenied, says: "the vault takes no public connections: use its private endpoint"},
	{status: 403, kind: backends.ErrDenied, says: "the identity may not do this: give it the role of docs/backends/azure-key-vault.md on this vault or secret"},
	{status: 404, code: "*", kind: backends.ErrNotFound, says: "nothing stands there"},
	{status: 404, kind: backends.ErrUnavailable, says: "the answer is not Key Vault's: check url"},
	{status: 405, kind: backends.ErrInvalid, says: "it can't do this: check url"},
	{status: 408, kind: backends.ErrUnavailable, maybe: true, says: "it took too long"},
	{status: 409, code: codeDeleted, kind: backends.ErrInvalid, says: "the secret was deleted and holds its name: recover or purge it, or set recover: true"},
	{status: 409, code: codeDeleting, kind: backends.ErrUnavailable, says: "the secret is just being deleted"},
	{status: 409, code: codeRecovering, kind: backends.ErrUnavailable, says: "the secret is still being recovered"},
	{status: 409, kind: backends.ErrUnavailable, says: "another change of the secret is under way"},
	{status: 413, kind: backends.ErrInvalid, says: "the payload is too large for Key Vault"},
	{status: 429, kind: backends.ErrThrottled, says: "the vault's limit of calls is used up"},
	{from: 500, kind: backends.ErrUnavailable, maybe: true, says: "it failed"},
}

// classify finds an answer's line. isWrite says that a change was asked for:
// then a failing server may have made it. The words of the server are not
// passed on but for its code: they can repeat what was sent.
func classify(a answer, isWrite bool) verdict {
	for _, r := range table {
		if !r.fits(a) {
			continue
		}
		v := verdict{kind: r.kind, err: fmt.Errorf("the vault answered %s: %s", a, r.says), wait: a.wait, code: a.code}
		if r.maybe && isWrite {
			v.kind = backends.ErrUnknownOutcome
			v.err = fmt.Errorf("%w, and may have written all the same", v.err)
		}
		return v
	}
	return verdict{kind: backends.ErrInvalid, code: a.code,
		err: fmt.Errorf("the vault answered %s, which its documents don't name", a)}
}

func (r row) fits(a answer) bool {
	if r.from != 0 {
		return a.status >= r.from && a.status < r.from+100
	}
	return a.status == r.status && (r.code == "" || r.code == a.code || (r.code == "*" && a.code != ""))
}

func (a answer) String() string {
	if a.code == "" {
		return strconv.Itoa(a.status)
	}
	return fmt.Sprintf("%d (%s)", a.status, a.code)
}

// word is what a code of Key Vault looks like. Anything else is not shown.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{1,63}$`)

// failure is the error in a body of Key Vault's form.
type failure struct {
	Code  string   `json:"code"`
	Inner *failure `json:"innererror"`
}

// answerOf reads an answer of the SDK.
func answerOf(refused *azcore.ResponseError) answer {
	a := answer{status: refused.StatusCode, wait: retryAfter(refused.RawResponse)}
	body, err := runtime.Payload(refused.RawResponse)
	if err != nil {
		return a
	}
	a.code = codeIn(body)
	return a
}

// codeIn is the innermost code of a body of Key Vault's form.
func codeIn(body []byte) (code string) {
	var form struct {
		Error *failure `json:"error"`
	}
	if json.Unmarshal(body, &form) != nil {
		return ""
	}
	for f := form.Error; f != nil; f = f.Inner {
		if word.MatchString(f.Code) {
			code = f.Code
		}
	}
	return code
}

// retryAfter reads how long an answer asks to wait: seconds, milliseconds in
// Azure's own headers, or a date. 0 is unsaid.
func retryAfter(resp *http.Response) time.Duration {
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if n, err := strconv.Atoi(resp.Header.Get(name)); err == nil && n > 0 {
			return time.Duration(n) * time.Millisecond
		}
	}
	return wire.RetryAfter(resp.Header)
}
