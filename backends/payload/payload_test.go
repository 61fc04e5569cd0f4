package payload_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/payload"
)

func TestDefaultStyle(t *testing.T) {
	token := issued(fakeJWT(t))
	tests := []struct {
		backendType, path, style string
	}{
		{"vault", "connections/qualytics_default", "multi"},
		{"aws-secrets-manager", "airflow/connections/qualytics_default", "json"},
		{"azure-key-vault", "airflow-connections-qualytics-default", "json"},
		{"file", "connections.env", "env"},
		{"file", ".env", "env"},
		{"file", "connections.json", "json"},
		{"file", "CONNECTIONS.JSON", "json"},
		{"file", "connection", "uri"},
		{"mem", "connection.json", "uri"},
	}
	for _, tt := range tests {
		t.Run(tt.backendType+"/"+tt.path, func(t *testing.T) {
			spec := payload.Spec{Format: "airflow-connection", BackendType: tt.backendType, Path: tt.path}
			byDefault := mustRender(t, spec, token)
			spec.Style = tt.style
			if byDefault != mustRender(t, spec, token) {
				t.Errorf("the default is not the style %s", tt.style)
			}
		})
	}
}

func TestConnectionID(t *testing.T) {
	token := issued(fakeJWT(t))
	for path, want := range map[string]string{"c.env": "qualytics.eu-1=http://", "c.json": `{"qualytics.eu-1":{"conn_type"`} {
		spec := payload.Spec{Format: "airflow-connection", BackendType: "file", Path: path, ConnectionID: "qualytics.eu-1"}
		if got := mustRender(t, spec, token); !strings.HasPrefix(got, want) {
			t.Errorf("%s doesn't start with %s", path, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	inFile := func(path string, s payload.Spec) payload.Spec {
		s.Format, s.BackendType, s.Path = "airflow-connection", "file", path
		return s
	}
	tests := map[string]struct {
		spec payload.Spec
		want []string // "key: part of what it says", one per error
	}{
		"no format":            {payload.Spec{}, []string{"format: it is missing; choose one of token, bearer, json"}},
		"unknown format":       {payload.Spec{Format: "Token"}, []string{`format: there is no format "Token"; choose one of token, bearer`}},
		"style elsewhere":      {payload.Spec{Format: "token", Style: "uri"}, []string{"style: it means nothing in the format token; remove it"}},
		"several idle keys":    {payload.Spec{Format: "json", Variable: "X", Name: "x"}, []string{"variable: it means", "name: it means"}},
		"json style in Vault":  {payload.Spec{Format: "airflow-connection", Style: "json", BackendType: "vault"}, []string{"style: \"json\" is not possible at  in a backend of type vault; choose multi or fields or uri"}},
		"multi outside Vault":  {payload.Spec{Format: "airflow-connection", Style: "multi", BackendType: "aws-secrets-manager"}, []string{"choose uri or json"}},
		"env outside a file":   {payload.Spec{Format: "airflow-connection", Style: "env", BackendType: "mem"}, []string{"style: \"env\" is not possible"}},
		"uri in a .env file":   {inFile("c.env", payload.Spec{Style: "uri"}), []string{"at c.env in a backend of type file; choose env"}},
		"a YAML file":          {inFile("c.yaml", payload.Spec{}), []string{"format: Airflow would read c.yaml as YAML"}},
		"id where path names":  {payload.Spec{Format: "airflow-connection", BackendType: "vault", ConnectionID: "x"}, []string{"connection_id: it means nothing here"}},
		"id in a bare file":    {inFile("c", payload.Spec{ConnectionID: "x"}), []string{"connection_id: it means nothing here"}},
		"id with =":            {inFile("c.env", payload.Spec{ConnectionID: "a=b"}), []string{`connection_id: "a=b" is not allowed`}},
		"variable with hyphen": {payload.Spec{Format: "dotenv", Variable: "A-B"}, []string{`variable: "A-B" can't name`}},
		"variable of the URL":  {payload.Spec{Format: "dotenv", Variable: "QUALYTICS_URL"}, []string{"not QUALYTICS_URL"}},
		"no Secret's name":     {payload.Spec{Format: "kubernetes-secret"}, []string{`name: "." can't name a Secret`}},
		"name in capitals":     {payload.Spec{Format: "kubernetes-secret", Name: "Qualytics"}, []string{`name: "Qualytics" can't`}},
		"name too long":        {payload.Spec{Format: "kubernetes-secret", Name: strings.Repeat("a", 254)}, []string{"name: "}},
		"namespace with dot":   {payload.Spec{Format: "kubernetes-secret", Name: "q", Namespace: "a.b"}, []string{`namespace: "a.b" can't`}},
		"hyphens in Key Vault": {payload.Spec{Format: "airflow-connection", BackendType: "azure-key-vault", Path: "airflow-connections-a--b"}, []string{"path: Airflow with teams takes -- for the end of a team's name"}},
		"and of a variable":    {payload.Spec{Format: "airflow-variable", BackendType: "azure-key-vault", Path: "airflow-variables-a--b"}, []string{"path: Airflow with teams"}},
		"template and idle":    {payload.Spec{Format: "template", Style: "uri"}, []string{"style: it means nothing", "template: it writes no token; give a text with {{.Token}}"}},
		"template of TokenID":  {payload.Spec{Format: "template", Template: "{{.TokenID}}"}, []string{"template: it writes no token"}},
		"template not closed":  {payload.Spec{Format: "template", Template: "{{.Token"}, []string{"see the manual of Go's text/template"}},
		"template, no field":   {payload.Spec{Format: "template", Template: "{{.Token}}{{.Secret}}"}, []string{"the fields are .Token .URL"}},
		"template, function":   {payload.Spec{Format: "template", Template: `{{.Token}}{{env "HOME"}}`}, []string{`function "env" not defined`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, err := payload.New(tt.spec)
			if err == nil || f != nil {
				t.Fatalf("New gave %v and the error %v, want no format and an error", f, err)
			}
			got := specErrors(t, err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d errors, want %d: %v", len(got), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i].Error(), want) {
					t.Errorf("error %d is %q, want it to say %q", i, got[i], want)
				}
			}
		})
	}
}

func specErrors(t *testing.T, err error) []*payload.SpecError {
	t.Helper()
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var found []*payload.SpecError
	for _, e := range all {
		var s *payload.SpecError
		if !errors.As(e, &s) {
			t.Fatalf("%v is no SpecError", e)
		}
		found = append(found, s)
	}
	return found
}

// The schema and the declaration's checks are made from the tags.
func TestSpecTags(t *testing.T) {
	typ := reflect.TypeFor[payload.Spec]()
	format, _ := typ.FieldByName("Format")
	if diff := cmp.Diff(payload.Names(), strings.Split(format.Tag.Get("enum"), "|")); diff != "" {
		t.Errorf("the tag of Format lists other formats (-Names +tag):\n%s", diff)
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if key := f.Tag.Get("yaml"); key == "" || key != "-" && f.Tag.Get("doc") == "" {
			t.Errorf("%s lacks a tag yaml or doc", f.Name)
		}
	}
	template, _ := typ.FieldByName("Template")
	for _, field := range strings.Fields(".Token .URL .APIURL .Account .AccountID .TokenID .TokenName .Expiration .Environment") {
		if !strings.Contains(template.Tag.Get("doc"), field) {
			t.Errorf("the doc of template doesn't name %s", field)
		}
		mustNew(t, payload.Spec{Format: "template", Template: "{{.Token}}{{" + field + "}}"})
	}
}

func TestConsumers(t *testing.T) {
	want := map[string]string{
		"token": "", "bearer": "adf", "json": "", "dotenv": "environment", "airflow-connection": "airflow",
		"airflow-variable": "airflow-task", "qualytics-cli": "cli", "kubernetes-secret": "environment", "template": "",
		"unheard-of": "",
	}
	for format, consumer := range want {
		if got := payload.Consumer(format); got != consumer {
			t.Errorf("Consumer(%q) = %q, want %q", format, got, consumer)
		}
	}
	for _, format := range payload.Names() {
		if c := payload.Consumer(format); c != "" && payload.Floors[c] == 0 {
			t.Errorf("%s implies the consumer %s, which has no floor", format, c)
		}
	}
	if got := payload.Consumers(); len(got) != len(payload.Floors) || got[0] != "adf" {
		t.Errorf("Consumers() = %v, want every floor's name in order", got)
	}
}

// The table of consumers.md, "How long a consumer holds the old value".
func TestFloors(t *testing.T) {
	want := map[string]string{
		"airflow": "1h0m0s", "cli": "1h0m0s", "vault-agent": "1h0m0s", "vso": "2h0m0s", "eso": "24h0m0s", "csi": "2h0m0s",
		"aws-cache": "2h0m0s", "airflow-task": "24h0m0s", "adf": "24h0m0s", "dbt": "24h0m0s", "mcp": "24h0m0s",
		"app-service": "48h0m0s", "environment": "168h0m0s", "subpath": "168h0m0s", "systemd": "168h0m0s",
	}
	got := map[string]string{}
	for consumer, floor := range payload.Floors {
		got[consumer] = floor.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("floors (-want +got):\n%s", diff)
	}
}
