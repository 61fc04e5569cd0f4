package payload

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// maxTemplated bounds what a template may write, in bytes: more than any store
// takes, less than what harms the process.
const maxTemplated = 1 << 20

// usesToken finds the field in a template's text.
var usesToken = regexp.MustCompile(`\.Token\b`)

// templateFields is what a template sees.
type templateFields struct {
	Token, URL, APIURL, Account, AccountID, TokenID, TokenName string
	// Expiration is RFC 3339 in UTC, "" for never.
	Expiration  string
	Environment string
}

// templateShape is a shape of the operator's own. It has text/template's
// functions and no more, none of which reaches out of the process. Nothing can
// be said of where the token stands in what it writes: it is lossy.
func templateShape(spec Spec) (shape, error) {
	if !usesToken.MatchString(spec.Template) {
		return shape{}, wrong("template", "it writes no token; give a text with {{.Token}} in it")
	}
	tmpl, err := template.New("template").Option("missingkey=error").Parse(spec.Template)
	if err != nil {
		return shape{}, wrong("template", "%v; see the manual of Go's text/template", err)
	}
	s := shape{write: func(t backends.Token) (string, error) { return execute(tmpl, t) }}
	sample := backends.Token{
		Value: secret.New(strings.Repeat("sample-token-", 28)), ID: 1, Name: "sample", Account: "Sample", AccountID: "sample@service",
		Environment: "sample", URL: "https://sample.qualytics.io", Expiration: time.Unix(0, 0).UTC(),
	}
	if _, err := s.write(sample); err != nil {
		return shape{}, wrong("template", "%v; the fields are .Token .URL .APIURL .Account .AccountID .TokenID .TokenName .Expiration .Environment", err)
	}
	return s, nil
}

func execute(tmpl *template.Template, t backends.Token) (string, error) {
	fields := templateFields{
		Token:       t.Value.Reveal(),
		URL:         t.URL,
		APIURL:      t.URL + "/api",
		Account:     t.Account,
		AccountID:   t.AccountID,
		TokenID:     strconv.FormatInt(t.ID, 10),
		TokenName:   t.Name,
		Environment: t.Environment,
	}
	if !t.Expiration.IsZero() {
		fields.Expiration = t.Expiration.UTC().Format(time.RFC3339)
	}
	var out bounded
	if err := tmpl.Execute(&out, fields); err != nil {
		return "", err
	}
	return out.String(), nil
}

// bounded is a text that grows to maxTemplated and no further.
type bounded struct{ strings.Builder }

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTemplated {
		return 0, errors.New("the template writes more than 1 MiB")
	}
	return b.Builder.Write(p)
}
