package azurekeyvault

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
)

// body is an error in Key Vault's form.
func body(code, inner string) string {
	if inner == "" {
		return fmt.Sprintf(`{"error":{"code":%q,"message":"no matter"}}`, code)
	}
	return fmt.Sprintf(`{"error":{"code":%q,"message":"no matter","innererror":{"code":%q}}}`, code, inner)
}

// statuses is the table of errors: one row per answer.
var statuses = []struct {
	name       string
	status     int
	body       string
	read, put  error
	says       string
	header     string
	retryAfter time.Duration
}{
	{name: "302", status: 302, read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "redirects", header: "Location: https://127.0.0.1:1/"},
	{name: "400", status: 400, body: body("BadParameter", ""), read: backends.ErrInvalid, put: backends.ErrInvalid, says: "400 (BadParameter)"},
	{name: "400 that echoes", status: 400, body: `{"error":{"code":"{echo} {token}","message":"{echo} {token}"}}`, read: backends.ErrInvalid, put: backends.ErrInvalid, says: "400: it does not accept"},
	{name: "401", status: 401, body: body("Unauthorized", ""), read: backends.ErrDenied, put: backends.ErrDenied, says: "auth, cloud"},
	{name: "403 by role", status: 403, body: body("Forbidden", "ForbiddenByRbac"), read: backends.ErrDenied, put: backends.ErrDenied, says: "403 (ForbiddenByRbac): the identity"},
	{name: "403 by policy", status: 403, body: body("Forbidden", "AccessDenied"), read: backends.ErrDenied, put: backends.ErrDenied, says: "role"},
	{name: "403 by firewall", status: 403, body: body("Forbidden", "ForbiddenByFirewall"), read: backends.ErrDenied, put: backends.ErrDenied, says: "firewall"},
	{name: "403 by connection", status: 403, body: body("Forbidden", "ForbiddenByConnection"), read: backends.ErrDenied, put: backends.ErrDenied, says: "private endpoint"},
	{name: "403 disabled", status: 403, body: body("Forbidden", "SecretDisabled"), read: backends.ErrNotFound, put: backends.ErrNotFound, says: "disabled"},
	{name: "403 of a proxy", status: 403, body: "<html>no</html>", read: backends.ErrDenied, put: backends.ErrDenied, says: "403: the identity"},
	{name: "404", status: 404, body: body("SecretNotFound", ""), read: backends.ErrNotFound, put: backends.ErrNotFound, says: "nothing stands"},
	{name: "404 of a proxy", status: 404, body: "<html>no</html>", read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "not Key Vault's"},
	{name: "404 of other JSON", status: 404, body: `{"message":"no route"}`, read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "not Key Vault's"},
	{name: "405", status: 405, body: body("MethodNotAllowed", ""), read: backends.ErrInvalid, put: backends.ErrInvalid, says: "check url"},
	{name: "408", status: 408, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "too long"},
	{name: "409 deleted", status: 409, body: body("Conflict", "ObjectIsDeletedButRecoverable"), read: backends.ErrInvalid, put: backends.ErrInvalid, says: "recover: true"},
	{name: "409 being deleted", status: 409, body: body("Conflict", "ObjectIsBeingDeleted"), read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "being deleted"},
	{name: "409 being recovered", status: 409, body: body("Conflict", "ObjectIsBeingRecovered"), read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "being recovered"},
	{name: "409", status: 409, body: body("Conflict", ""), read: backends.ErrUnavailable, put: backends.ErrUnavailable, says: "another change"},
	{name: "413", status: 413, read: backends.ErrInvalid, put: backends.ErrInvalid, says: "too large"},
	{name: "418", status: 418, read: backends.ErrInvalid, put: backends.ErrInvalid, says: "418"},
	{name: "429", status: 429, body: body("Throttled", ""), read: backends.ErrThrottled, put: backends.ErrThrottled, says: "limit", header: "Retry-After: 7", retryAfter: 7 * time.Second},
	{name: "429 in milliseconds", status: 429, read: backends.ErrThrottled, put: backends.ErrThrottled, says: "limit", header: "x-ms-retry-after-ms: 250", retryAfter: 250 * time.Millisecond},
	{name: "429 without a time", status: 429, read: backends.ErrThrottled, put: backends.ErrThrottled, says: "limit"},
	{name: "500", status: 500, body: body("InternalServerError", ""), read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "failed"},
	{name: "502", status: 502, body: "<html>bad gateway</html>", read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "failed"},
	{name: "503", status: 503, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "failed", header: "Retry-After: 3", retryAfter: 3 * time.Second},
	{name: "504", status: 504, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "failed"},
	{name: "200 of a proxy", status: 200, body: "<html>log in</html>", read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "not Key Vault's"},
	{name: "200 without an id", status: 200, body: `{"value":"x"}`, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: ""},
	{name: "200 of other types", status: 200, body: `{"value":{"echo":"{echo}"}}`, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "not Key Vault's"},
	{name: "200 cut off", status: 200, header: "Content-Length: 999", body: `{"value":"x`, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "EOF"},
	{name: "200 too large", status: 200, body: `{"value":"` + string(slices.Repeat([]byte("x"), maxBody)) + `"}`, read: backends.ErrUnavailable, put: backends.ErrUnknownOutcome, says: "larger than"},
}

// answering has the vault answer one operation in a fixed way. What the row
// calls an echo is all that the request held.
func answering(v vault, op string, status int, header, text string) {
	v.server.Intercept(func(asked string, w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
		if asked != op {
			return false
		}
		sent, _ := io.ReadAll(r.Body)
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		quoted, _ := json.Marshal(string(sent))
		fill := strings.NewReplacer("{echo}", strings.Trim(string(quoted), `"`), "{token}", r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, fill.Replace(text))
		return true
	})
}

func TestStatuses(t *testing.T) {
	v := own(t)
	b := opened(t, v.options(vaulttest.Client))
	mustPut(t, b, refOf("warm"), itemOf("a login comes first", 1))
	for i, row := range statuses {
		t.Run(row.name, func(t *testing.T) {
			ref, item := refOf("x"+strconv.Itoa(i)), itemOf("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.payload", 1)
			answering(v, "GetSecret", row.status, row.header, row.body)
			_, _, err := b.Get(t.Context(), ref, backends.Current)
			wantError(t, err, row.read, row.says)
			if got := backends.RetryAfter(err); got != row.retryAfter {
				t.Errorf("the read is to be tried again after %v, want %v", got, row.retryAfter)
			}
			answering(v, "SetSecret", row.status, row.header, row.body)
			v.server.Forget()
			_, err = b.Put(t.Context(), ref, item, backends.Absent)
			wantError(t, err, row.put, row.says)
			if got := backends.RetryAfter(err); got != row.retryAfter {
				t.Errorf("the write is to be tried again after %v, want %v", got, row.retryAfter)
			}
			if n := count(v.server.Calls(), "SetSecret"); n != 1 && row.status != http.StatusUnauthorized {
				t.Errorf("the write was sent %d times", n)
			}
		})
	}
}

// TestEveryLineOfTheTable: no line is out of reach behind another, and each has
// a row above.
func TestEveryLineOfTheTable(t *testing.T) {
	used := make([]bool, len(table))
	for _, c := range statuses {
		a := answer{status: c.status, code: codeIn([]byte(c.body))}
		if at := slices.IndexFunc(table, func(r row) bool { return r.fits(a) }); at >= 0 {
			used[at] = true
		}
	}
	for i, ok := range used {
		if !ok {
			t.Errorf("no answer leads to line %d of the table, %q", i, table[i].says)
		}
	}
}

func count(calls []string, op string) (n int) {
	for _, c := range calls {
		if c == op {
			n++
		}
	}
	return n
}
