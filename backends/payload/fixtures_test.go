package payload_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// placeholder stands in the golden files where the token stands in a payload,
// so that no file holds anything like a token.
const placeholder = "{{TOKEN}}"

// fakeJWT has the look and the length of a token of Qualytics, 360 characters,
// and is signed by nobody.
func fakeJWT(t testing.TB) string {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	head := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "."
	tail := "." + part([]byte(strings.Repeat("signature-", 3)+"of"))
	body := part([]byte(`{"sub":"pipeline_automation@service","pad":"` + strings.Repeat("-_~", 80) + `"}`))
	token := head + body[:360-len(head)-len(tail)] + tail
	if len(token) != 360 {
		t.Fatalf("the fake token has %d characters, want 360", len(token))
	}
	return token
}

// issued is a token with every field filled.
func issued(value string) backends.Token {
	return backends.Token{
		Value:       secret.New(value),
		ID:          456,
		Name:        "pipeline-production.acme-prod.g3",
		Account:     "Pipeline Automation",
		AccountID:   "pipeline_automation@service",
		Environment: "production",
		URL:         "https://acme.qualytics.io",
		Expiration:  time.Date(2027, 11, 5, 12, 34, 56, 0, time.UTC),
	}
}

const operatorsTemplate = `# {{.Account}} {{.AccountID}} {{.Environment}}
base_url = {{.APIURL}} of {{.URL}}
token = {{.Token}} ({{.TokenID}} {{.TokenName}}, until {{.Expiration}})
`

// golden names each shape after its file in testdata.
var golden = map[string]payload.Spec{
	"token":                           {Format: "token"},
	"bearer":                          {Format: "bearer"},
	"json":                            {Format: "json", BackendType: "aws-secrets-manager"},
	"json-vault":                      {Format: "json", BackendType: "vault"},
	"dotenv":                          {Format: "dotenv"},
	"dotenv-variable":                 {Format: "dotenv", Variable: "DBT_ENV_SECRET_QUALYTICS_TOKEN"},
	"airflow-connection-uri":          {Format: "airflow-connection", Style: "uri"},
	"airflow-connection-json":         {Format: "airflow-connection", Style: "json"},
	"airflow-connection-vault-uri":    {Format: "airflow-connection", Style: "uri", BackendType: "vault"},
	"airflow-connection-vault-fields": {Format: "airflow-connection", Style: "fields", BackendType: "vault"},
	"airflow-connection-vault-multi":  {Format: "airflow-connection", Style: "multi", BackendType: "vault"},
	"airflow-connection-file-env":     {Format: "airflow-connection", BackendType: "file", Path: "airflow/connections.env"},
	"airflow-connection-file-json":    {Format: "airflow-connection", BackendType: "file", Path: "airflow/connections.json"},
	"airflow-variable":                {Format: "airflow-variable", BackendType: "azure-key-vault"},
	"airflow-variable-vault":          {Format: "airflow-variable", BackendType: "vault"},
	"qualytics-cli":                   {Format: "qualytics-cli"},
	"kubernetes-secret":               {Format: "kubernetes-secret", Path: "k8s/qualytics.yaml", Namespace: "data"},
	"template":                        {Format: "template", Template: operatorsTemplate},
}

func mustNew(t testing.TB, spec payload.Spec) backends.Format {
	t.Helper()
	f, err := payload.New(spec)
	if err != nil {
		t.Fatalf("New(%+v): %v", spec, err)
	}
	return f
}

func mustRender(t testing.TB, spec payload.Spec, token backends.Token) string {
	t.Helper()
	p, err := mustNew(t, spec).Render(token)
	if err != nil {
		t.Fatalf("Render in %s: %v", spec.Format, err)
	}
	return p.Reveal()
}

func readGolden(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
