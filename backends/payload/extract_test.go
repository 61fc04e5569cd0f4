package payload_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// awsConnection reads with the aliases of Airflow's backend for AWS.
var awsConnection = payload.Spec{Format: "airflow-connection", BackendType: "aws-secrets-manager"}

const (
	multi    = "airflow-connection-vault-multi"
	fields   = "airflow-connection-vault-fields"
	env      = "airflow-connection-file-env"
	local    = "airflow-connection-file-json"
	variable = "airflow-variable-vault"
)

var b64 = base64.StdEncoding.EncodeToString([]byte("T.1"))

// otherHands are payloads that somebody else wrote, or edited: T is the token
// that its consumer would take, "" where there is none or it isn't clear which.
var otherHands = []struct{ format, payload, want string }{
	{"token", "T.1\n", "T.1"},
	{"token", "", ""},
	{"token", " \n", ""},
	{"token", "Bearer T.1", ""},
	{"token", `{"token":"T.1"}`, ""},
	{"token", "T.1\nT.2\n", ""},
	{"token", "T\x00", ""},
	{"bearer", "bearer  T.1 ", "T.1"},
	{"bearer", "T.1", ""},
	{"bearer", "Basic T.1", ""},
	{"bearer", "Bearer ", ""},
	{"bearer", "Bearer T.1 T.2", ""},

	{"json", ` {"note": "x", "token": "T.1", "url": 3 } `, "T.1"},
	{"json", `{"Token":"T.1"}`, ""},
	{"json", `{"token":1}`, ""},
	{"json", `{"token":""}`, ""},
	{"json", `{"token":{"token":"T.1"}}`, ""},
	{"json", `{"token":"T.1"}{"token":"T.2"}`, ""},
	{"json", `["token","T.1"]`, ""},
	{"json", `null`, ""},
	{"json", `{"token":"T.1"`, ""},
	{"json-vault", `{"url":"x","token":"T.1"}`, "T.1"},
	{variable, `{"description":"x","value":"T.1"}`, "T.1"},
	{variable, "T.1", "T.1"},
	{variable, `{"token":"T.1"}`, ""},

	{"dotenv", "# by hand\nexport QUALYTICS_TOKEN='T.1' # mine\r\nOTHER=x", "T.1"},
	{"dotenv", `QUALYTICS_TOKEN="T.1"`, "T.1"},
	{"dotenv", "QUALYTICS_TOKEN=T.1\nQUALYTICS_TOKEN=T.2\n", "T.2"},
	{"dotenv", "  QUALYTICS_TOKEN=T.1\t# mine", "T.1"},
	{"dotenv", "#QUALYTICS_TOKEN=T.1", ""},
	{"dotenv", "MY_QUALYTICS_TOKEN=T.1", ""},
	{"dotenv", "QUALYTICS_TOKEN=", ""},
	{"dotenv", "QUALYTICS_TOKEN=$OTHER", ""},
	{"dotenv", `QUALYTICS_TOKEN="$OTHER"`, ""},
	{"dotenv", `QUALYTICS_TOKEN="T.1`, ""},
	{"dotenv", `QUALYTICS_TOKEN='T.1'T.2`, ""},
	{"dotenv", `QUALYTICS_TOKEN='T.1'#T.2`, ""},
	{"dotenv", "QUALYTICS_TOKEN=T.1 T.2", ""},
	{"dotenv", "NOTE='\nQUALYTICS_TOKEN=T.1\n'", ""},
	{"dotenv", "NOTE=\\\nQUALYTICS_TOKEN=T.1\n", ""},
	{"dotenv-variable", "QUALYTICS_TOKEN=T.1\n", ""},
	{"dotenv-variable", "QUALYTICS_TOKEN=T.2\nDBT_ENV_SECRET_QUALYTICS_TOKEN=T.1\n", "T.1"},

	{"airflow-connection-uri", "http://:T.1@acme.example/https\n", "T.1"},
	{"airflow-connection-uri", "http://acme.example/https?authorization=bearer+T.1&X-Trace=1", "T.1"},
	{"airflow-connection-uri", "https://me:T%2E1@acme.example", "T.1"},
	{"airflow-connection-uri", "http://acme.example/?__extra__=%7B%22Authorization%22%3A%22Bearer+T.1%22%7D", "T.1"},
	{"airflow-connection-uri", `{"conn_type":"http","password":"T.1"}`, "T.1"},
	{"airflow-connection-uri", "http://:T.1@acme.example/https?Authorization=Bearer+T.2", ""},
	{"airflow-connection-uri", "http://:T.1@acme.example/https?Authorization=Basic+T.1", ""},
	{"airflow-connection-uri", "postgres://me:T.1@db.example/x", ""},
	{"airflow-connection-uri", "http://acme.example/https", ""},
	{"airflow-connection-uri", "http://acme.example/?__extra__=%7B", ""},
	{"airflow-connection-uri", "http://acme.example/?a=%zz", ""},
	{"airflow-connection-uri", "T.1", ""},
	{"airflow-connection-uri", "http://:T\x001@acme.example", ""},
	{"airflow-connection-json", `{"extra":{"authorization":"Bearer T.1","X-Trace":1},"host":"x","conn_type":"http"}`, "T.1"},
	{"airflow-connection-json", `{"extra":"{\"Authorization\":\"Bearer T.1\"}","conn_type":"http","password":""}`, "T.1"},
	{"airflow-connection-json", "http://:T.1@acme.example/https", "T.1"},
	{"airflow-connection-json", `{"conn_type":"postgres","password":"T.1"}`, ""},
	{"airflow-connection-json", `{"conn_type":"http","password":"T.1","extra":{"Authorization":"Bearer T.2"}}`, ""},
	{"airflow-connection-json", `{"conn_type":"http","password":"T.1","extra":{"Authorization":7}}`, ""},
	{"airflow-connection-json", `{"conn_type":"http","password":"T.1","extra":"x"}`, ""},
	{"airflow-connection-json", `{"conn_type":"http","key":"T.1"}`, ""},
	{"aws", `{"conn_type":"http","key":"T.1"}`, "T.1"},
	{"aws", `{"conn_type":"http","password":"T.1","key":"T.2"}`, ""},

	{env, "# mine\nother=http://:T.2@x\nqualytics_default=http://:T.1@x\n", "T.1"},
	{env, "qualytics_default=http://:T.1@x\nqualytics_default=http://:T.2@x\n", ""},
	{env, "qualytics_default=postgres://:T.1@x\n", ""},
	{env, "other=http://:T.1@x\n", ""},
	{local, `{"other":{"password":"T.2"},"qualytics_default":{"conn_type":"http","password":"T.1"}}`, "T.1"},
	{local, `{"qualytics_default":"http://:T.1@x"}`, "T.1"},
	{local, `{"qualytics_default":"T.1"}`, ""},
	{local, `{"qualytics_default":["T.1"]}`, ""},
	{local, `{"conn_type":"http","password":"T.1"}`, ""},
	{local, "x", ""},

	{multi, `{"conn_uri":"http://:T.1@x","password":"T.2","note":"x"}`, "T.1"},
	{multi, `{"conn_type":"http","password":"T.1"}`, "T.1"},
	{multi, `{"value":"T.1"}`, "T.1"},
	{multi, `{"conn_uri":"http://:T.1@x","value":"T.2"}`, ""},
	{multi, `{"conn_uri":"http://:T.1@x","token":"T.2"}`, ""},
	{multi, `{"conn_uri":"T.1"}`, ""},
	{multi, `{"url":"T.1"}`, ""},
	{multi, "T.1", ""},
	{fields, `{"conn_type":"http","extra":"{\"Authorization\":\"Bearer T.1\"}","host":"x"}`, "T.1"},
	{fields, `{"conn_uri":"http://:T.1@x"}`, "T.1"},

	{"qualytics-cli", "ssl_verify: false\n# x\ntoken:   T.1   # mine\nurl: x\n", "T.1"},
	{"qualytics-cli", "---\r\n\r\n\"token\": \"T\\u002e1\"\r\n", "T.1"},
	{"qualytics-cli", "'token': 'T.1'", "T.1"},
	{"qualytics-cli", `{"url":"x","token":"T.1"}`, "T.1"},
	{"qualytics-cli", "a: |\n  token: T.2\nb:\n  token: T.2\n\n  - x\ntoken: T.1\n", "T.1"},
	{"qualytics-cli", "token:\n  T.1\n", ""},
	{"qualytics-cli", "token: T.1\n  T.2\n", ""},
	{"qualytics-cli", "token: T.1 T.2\n", ""},
	{"qualytics-cli", "token: |\n  T.1\n", ""},
	{"qualytics-cli", "token: T.1\ntoken: T.1\n", ""},
	{"qualytics-cli", "token: T.1\n---\ntoken: T.2\n", ""},
	{"qualytics-cli", "token: &a T.1\n", ""},
	{"qualytics-cli", "token: null\n", ""},
	{"qualytics-cli", "note: \"\ntoken: T.1\n\"\n", ""},
	{"qualytics-cli", "note: {\ntoken: T.1\n}\n", ""},
	{"qualytics-cli", "  url: x\ntoken: T.1\n", ""},
	{"qualytics-cli", "tokens: T.1\n", ""},
	{"qualytics-cli", "token:T.1\n", ""},
	{"qualytics-cli", "token: T.1\u2028x: y\n", ""},
	{"qualytics-cli", `{"token":{"token":"T.1"}}`, ""},

	{"kubernetes-secret", "kind: Secret\ndata:\n    .dockerconfigjson: e30=\n    QUALYTICS_TOKEN: " + b64 + "\nmetadata:\n    annotations: {}\n", "T.1"},
	{"kubernetes-secret", `{"kind":"Secret","data":{"QUALYTICS_TOKEN":"` + b64 + `"}}`, "T.1"},
	{"kubernetes-secret", "kind: Secret\nstringData:\n  QUALYTICS_TOKEN: T.1\ndata:\n  QUALYTICS_TOKEN: xx\n", "T.1"},
	{"kubernetes-secret", "kind: Secret\nstringData:\n  OTHER: T.2\ndata:\n  QUALYTICS_TOKEN: \"" + b64 + "\"\n", "T.1"},
	{"kubernetes-secret", "kind: Secret\ndata:\n  QUALYTICS_TOKEN: T.1\n", ""},
	{"kubernetes-secret", "kind: ConfigMap\nstringData:\n  QUALYTICS_TOKEN: T.1\n", ""},
	{"kubernetes-secret", "kind: Secret\nmetadata:\n  QUALYTICS_TOKEN: T.1\n", ""},
	{"kubernetes-secret", "kind: Secret\nQUALYTICS_TOKEN: T.1\n", ""},
	{"kubernetes-secret", "kind: Secret\nstringData: {QUALYTICS_TOKEN: T.1}\n", ""},
	{"kubernetes-secret", `{"kind":"Secret","stringData":"T.1"}`, ""},
	{"kubernetes-secret", "T.1", ""},
}

func TestExtractOfOtherHands(t *testing.T) {
	for _, tt := range otherHands {
		spec, ok := golden[tt.format]
		if !ok {
			spec = awsConnection
		}
		got, err := mustNew(t, spec).Extract(secret.New(tt.payload))
		if got.Reveal() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: Extract(%q) = %q, %v; want %q", tt.format, tt.payload, got.Reveal(), err, tt.want)
		}
	}
}

func TestExtractErrorsHoldNoPayload(t *testing.T) {
	token := fakeJWT(t)
	for name, spec := range golden {
		text := mustRender(t, spec, issued(token))
		for _, broken := range []string{text[:len(text)-len(text)/3], text + text, "\x00" + text, "{" + text, "%zz" + text} {
			_, err := mustNew(t, spec).Extract(secret.New(broken))
			if err != nil && strings.Contains(err.Error(), token[40:52]) {
				t.Errorf("%s: the error holds a part of the payload", name)
			}
		}
	}
}
