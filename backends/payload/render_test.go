package payload_test

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
)

var (
	uriStyle   = payload.Spec{Format: "airflow-connection", Style: "uri"}
	multiStyle = payload.Spec{Format: "airflow-connection", BackendType: "vault"}
)

// refused is what a consumer would break on, or read as something else.
var refused = map[string]struct {
	spec       payload.Spec
	token, url string
	want       string
}{
	"no token":                  {golden["json"], "", "", "there is no token"},
	"newline":                   {golden["token"], "to\nken", "", "line break"},
	"carriage return in bearer": {golden["bearer"], "token\r", "", "line break"},
	"trailing newline in json":  {golden["json"], "token\n", "", "line break"},
	"NUL in a template":         {golden["template"], "to\x00ken", "", "HTTP header"},
	"not ASCII":                 {uriStyle, "tökén", "", "HTTP header"},
	"not UTF-8":                 {uriStyle, "t\xffken", "", "HTTP header"},
	"space in front":            {uriStyle, " to-ken", "", "at its start or end"},
	"space, bare":               {golden["token"], "to ken", "", "can't stand alone"},
	"space, bearer":             {golden["bearer"], "to ken", "", "can't stand alone"},
	"brace, bare":               {golden["airflow-variable"], "{token}", "", "can't stand alone"},
	"dotenv space":              {golden["dotenv"], "to ken", "", "a shell changes"},
	"dotenv double quote":       {golden["dotenv"], `to"ken`, "", "a shell changes"},
	"dotenv single quote":       {golden["dotenv"], `to'ken`, "", "a shell changes"},
	"dotenv hash":               {golden["dotenv"], "to#ken", "", "a shell changes"},
	"dotenv dollar":             {golden["dotenv"], "to$ken", "", "a shell changes"},
	"dotenv backslash":          {golden["dotenv"], `to\ken`, "", "a shell changes"},
	"dotenv backtick":           {golden["dotenv"], "to`id`ken", "", "a shell changes"},
	"dotenv semicolon":          {golden["dotenv"], "to;ken", "", "a shell changes"},
	"dotenv tilde":              {golden["dotenv"], "~ken", "", "a shell changes"},
	"dotenv dollar in URL":      {golden["dotenv"], "token", "https://acme.example/$x", "a shell changes"},
	"CLI, no JWT":               {golden["qualytics-cli"], "token", "", "not a JWT"},
	"CLI, a number":             {golden["qualytics-cli"], "1.2.3", "", "not a JWT"},
	"no URL":                    {golden["json"], "token", "-", "not like https://acme.qualytics.io"},
	"URL without scheme":        {golden["qualytics-cli"], "eyJ.a.b", "acme.qualytics.io", "not like https://"},
	"ftp":                       {golden["kubernetes-secret"], "token", "ftp://acme.qualytics.io", "not like https://"},
	"trailing slash":            {golden["json"], "token", "https://acme.qualytics.io/", "ends in a slash"},
	"user in URL":               {uriStyle, "token", "https://me:pw@acme.qualytics.io", "more than scheme, host"},
	"query in URL":              {multiStyle, "token", "https://acme.qualytics.io?x=1", "more than scheme, host"},
	"path in a connection":      {multiStyle, "token", "https://acme.example/qualytics", "can't hold the path"},
	"IPv6 in a connection":      {uriStyle, "token", "https://[::1]:9690", "can't hold an IPv6 address"},
	"IPv6 in fields":            {golden["airflow-connection-vault-fields"], "token", "https://[::1]", "can't hold an IPv6"},
	"path in a local file":      {golden["airflow-connection-file-json"], "token", "https://acme.example/qualytics", "can't hold the path"},
}

func TestRenderRefuses(t *testing.T) {
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			token := issued(tt.token)
			switch tt.url {
			case "":
			case "-":
				token.URL = ""
			default:
				token.URL = tt.url
			}
			got, err := mustNew(t, tt.spec).Render(token)
			if err == nil || !got.IsZero() {
				t.Fatalf("rendered, want an error that says %q", tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want it to say %q", err, tt.want)
			}
			if tt.token != "" && tt.token != "token" && strings.Contains(err.Error(), tt.token) {
				t.Error("the error holds the token")
			}
		})
	}
}

func TestBareFormatsNeedNoURL(t *testing.T) {
	for _, name := range []string{"token", "bearer", "airflow-variable", "airflow-variable-vault"} {
		token := backends.Token{Value: issued("token").Value}
		if got := mustRender(t, golden[name], token); !strings.Contains(got, "token") {
			t.Errorf("%s: the token is missing", name)
		}
	}
}

// A simulator listens on a port of its own and speaks http.
func TestRenderPort(t *testing.T) {
	token := issued("eyJ.a.b")
	token.URL = "http://127.0.0.1:9690"
	tests := map[string]string{
		"airflow-connection-uri":          `http://:eyJ.a.b@127.0.0.1:9690/http?Authorization=Bearer+eyJ.a.b`,
		"airflow-connection-json":         `{"conn_type":"http","host":"127.0.0.1","port":9690,"schema":"http","password":"eyJ.a.b","extra":{"Authorization":"Bearer eyJ.a.b"}}`,
		"airflow-connection-vault-fields": `{"conn_type":"http","extra":"{\"Authorization\":\"Bearer eyJ.a.b\"}","host":"127.0.0.1","password":"eyJ.a.b","port":"9690","schema":"http"}`,
		"qualytics-cli":                   "url: http://127.0.0.1:9690/api/\ntoken: eyJ.a.b\nssl_verify: true\n",
		"dotenv":                          "QUALYTICS_URL=http://127.0.0.1:9690\nQUALYTICS_TOKEN=eyJ.a.b\n",
	}
	for name, want := range tests {
		if got := mustRender(t, golden[name], token); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// Python reads the password with unquote, which leaves "+" alone, and the
// query with parse_qsl, which doesn't.
func TestRenderURIEscapes(t *testing.T) {
	got := mustRender(t, golden["airflow-connection-uri"], issued("a b+c/d@e:f?g#h%i&j=k~l'm"))
	want := "http://:a%20b%2Bc%2Fd%40e%3Af%3Fg%23h%25i%26j%3Dk~l%27m@acme.qualytics.io/https" +
		"?Authorization=Bearer+a+b%2Bc%2Fd%40e%3Af%3Fg%23h%25i%26j%3Dk~l%27m"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestRenderJSONKeepsHTMLCharacters(t *testing.T) {
	for _, name := range []string{"json", "airflow-connection-json", "airflow-connection-vault-fields", "kubernetes-secret"} {
		if got := mustRender(t, golden[name], issued("a<b>&c")); !strings.Contains(got, "a<b>&c") {
			t.Errorf("%s escapes what is no HTML", name)
		}
	}
}

func TestTemplateOfATokenThatNeverExpires(t *testing.T) {
	token := issued("token")
	token.Expiration = token.Expiration.AddDate(-3000, 0, 0)
	spec := payload.Spec{Format: "template", Template: "{{.Token}} {{with .Expiration}}until {{.}}{{else}}for ever{{end}}"}
	if got := mustRender(t, spec, token); !strings.Contains(got, "until ") {
		t.Errorf("got %q, want an end", got)
	}
	token.Expiration = backends.Token{}.Expiration
	if got := mustRender(t, spec, token); got != "token for ever" {
		t.Errorf("got %q, want %q", got, "token for ever")
	}
}

func TestTemplateErrorsHoldNoToken(t *testing.T) {
	token := fakeJWT(t)
	spec := payload.Spec{Format: "template", Template: "{{.Token}}{{if eq .Environment `production`}}{{index .Token 9999}}{{end}}"}
	_, err := mustNew(t, spec).Render(issued(token))
	if err == nil || strings.Contains(err.Error(), token[40:60]) {
		t.Errorf("got the error %v, want one without the token", err)
	}
}

func TestTemplateIsBounded(t *testing.T) {
	_, err := payload.New(payload.Spec{Format: "template", Template: "{{.Token}}{{range 2000000}}xx{{end}}"})
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB") {
		t.Errorf("got the error %v, want one about the size", err)
	}
}
