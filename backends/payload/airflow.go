package payload

import (
	"encoding/json"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/handover-agent/handover/backends"
)

// The styles of an Airflow connection.
const (
	styleURI    = "uri"
	styleJSON   = "json"
	styleFields = "fields"
	styleMulti  = "multi"
	styleEnv    = "env"
)

// defaultConnection is the id of a connection in a local secrets file.
const defaultConnection = "qualytics_default"

// connectionID is what Airflow takes as an id, less what a line of a .env file
// or a path would break on.
var connectionID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,250}$`)

// connectionShape is an Airflow connection of the type http. Its header sits
// in extra, for the HTTP hook authenticates with login and password only when
// there is a login; the password carries the token for tasks in Python.
//
// There is no key beyond those: an unknown one breaks the connection in Vault
// and in Azure.
func connectionShape(spec Spec) (shape, error) {
	style, err := connectionStyle(spec)
	if err == nil {
		err = checkVaultName(spec)
	}
	if err != nil {
		return shape{}, err
	}
	id := spec.ConnectionID
	inFile := style == styleEnv || style == styleJSON && extension(spec) == ".json"
	switch {
	case id == "":
		id = defaultConnection
	case !inFile:
		return shape{}, wrong("connection_id", "it means nothing here, the path names the connection; remove it, or give a file of the name .env or .json")
	case !connectionID.MatchString(id):
		return shape{}, wrong("connection_id", "%q is not allowed; use 1 to 250 letters, digits, dots, hyphens and underscores", id)
	}
	switch {
	case spec.BackendType == vault:
		return vaultConnectionShape(style), nil
	case style == styleEnv:
		return localEnvShape(id), nil
	case inFile:
		return localJSONShape(id), nil
	case style == styleJSON:
		return shape{write: writeJSONConnection, read: reader(spec)}, nil
	}
	return shape{write: writeURI, read: reader(spec)}, nil
}

// checkVaultName refuses a name in Key Vault that an Airflow with teams doesn't
// look up: it takes two hyphens for the end of a team's name. Airflow itself
// makes hyphens of underscores there, so that a_-b comes to hold two.
func checkVaultName(spec Spec) error {
	if spec.BackendType == azure && strings.Contains(spec.Path, "--") {
		return wrong("path", "Airflow with teams takes -- for the end of a team's name and doesn't find %s; use single hyphens", spec.Path)
	}
	return nil
}

// reader gives the reading side of a store that holds one text: Airflow itself
// tells the styles apart by what stands there.
func reader(spec Spec) func(string) (string, error) {
	return func(text string) (string, error) {
		found, err := readConnection(text, passwordKeys(spec)...)
		if err != nil {
			return "", err
		}
		return agree(found...)
	}
}

// extension is the file's, in lower case; "" in every other backend.
func extension(spec Spec) string {
	if spec.BackendType != file {
		return ""
	}
	return strings.ToLower(path.Ext(spec.Path))
}

// connectionStyle gives the declared style, or the default, where the backend
// and the file's name allow it.
func connectionStyle(spec Spec) (string, error) {
	ext := extension(spec)
	allowed := []string{styleURI, styleJSON}
	standard := styleURI
	switch {
	case spec.BackendType == vault:
		allowed, standard = []string{styleMulti, styleFields, styleURI}, styleMulti
	case spec.BackendType == aws || spec.BackendType == azure:
		standard = styleJSON
	case ext == ".env":
		allowed, standard = []string{styleEnv}, styleEnv
	case ext == ".json":
		allowed, standard = []string{styleJSON}, styleJSON
	case ext == ".yaml" || ext == ".yml":
		return "", wrong("format", "Airflow would read %s as YAML, which this format doesn't write; name the file .env or .json", spec.Path)
	}
	if spec.Style == "" {
		return standard, nil
	}
	for _, style := range allowed {
		if style == spec.Style {
			return style, nil
		}
	}
	return "", wrong("style", "%q is not possible at %s in a backend of type %s; choose %s", spec.Style, spec.Path, spec.BackendType, strings.Join(allowed, " or "))
}

// header is the extra of a connection: what is left in it becomes a header.
type header struct {
	Authorization string `json:"Authorization"`
}

// connection is a connection in JSON. Port stands only where the instance's
// URL has one.
type connection struct {
	Type     string `json:"conn_type"`
	Host     string `json:"host"`
	Port     int    `json:"port,omitempty"`
	Schema   string `json:"schema"`
	Password string `json:"password"`
	Extra    header `json:"extra"`
}

func newConnection(t backends.Token) (connection, error) {
	u, err := checkAirflowURL(t.URL)
	if err != nil {
		return connection{}, err
	}
	port, _ := strconv.Atoi(u.Port()) // url.Parse takes digits only; none is 0
	return connection{
		Type:     "http",
		Host:     u.Hostname(),
		Port:     port,
		Schema:   u.Scheme,
		Password: t.Value.Reveal(),
		Extra:    header{bearerPrefix + t.Value.Reveal()},
	}, nil
}

func writeJSONConnection(t backends.Token) (string, error) {
	c, err := newConnection(t)
	if err != nil {
		return "", err
	}
	return encode(c)
}

// passwordKeys are the keys that name the password. AWS's backend takes
// aliases, and the first in the document wins: so they must all agree.
func passwordKeys(spec Spec) []string {
	if spec.BackendType == aws {
		return []string{"password", "pass", "key"}
	}
	return []string{"password"}
}

// readConnection finds the tokens in a connection in JSON or as a URI. Airflow
// too decides by the leading brace.
func readConnection(text string, passwords ...string) ([]string, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return readURI(strings.TrimSpace(text))
	}
	object, err := decode(text)
	if err != nil {
		return nil, err
	}
	return readFields(object, passwords...)
}

// readFields finds the tokens in the fields of a connection of the type http.
func readFields(object map[string]any, passwords ...string) ([]string, error) {
	if kind, typed := object["conn_type"]; typed && kind != "http" && kind != "https" {
		return nil, errOther
	}
	var found []string
	for _, key := range passwords {
		if password, ok := object[key].(string); ok && password != "" {
			found = append(found, password)
		}
	}
	extra, err := readExtra(object["extra"])
	if err != nil {
		return nil, err
	}
	return append(found, extra...), nil
}

// readExtra finds the token in a connection's extra: an object, or JSON text
// of one. A header that isn't a bearer's makes it another connection.
func readExtra(extra any) ([]string, error) {
	if text, ok := extra.(string); ok && text != "" {
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) != nil {
			return nil, errOther
		}
		extra = object
	}
	object, _ := extra.(map[string]any)
	var found []string
	for key, value := range object {
		if !strings.EqualFold(key, "Authorization") {
			continue
		}
		text, _ := value.(string)
		token, err := readBearer(text)
		if err != nil {
			return nil, err
		}
		found = append(found, token)
	}
	return found, nil
}
