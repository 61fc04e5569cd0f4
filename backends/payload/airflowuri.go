package payload

import (
	"errors"
	"net/url"
	"strings"

	"github.com/handover-agent/handover/backends"
)

// checkAirflowURL is checkURL for a connection, which has fields for scheme,
// host and port and no more.
func checkAirflowURL(raw string) (*url.URL, error) {
	u, err := checkURL(raw)
	switch {
	case err != nil:
		return nil, err
	case u.Path != "":
		return nil, errors.New("an Airflow connection can't hold the path of the instance's URL; use the format template")
	case strings.Contains(u.Hostname(), ":"):
		return nil, errors.New("an Airflow connection can't hold an IPv6 address; give the instance's URL with a host name")
	}
	return u, nil
}

// writeURI is a connection as a URI: the scheme is the connection's type, the
// path its schema, the query its extra. A JWT needs no escape in it.
func writeURI(t backends.Token) (string, error) {
	u, err := checkAirflowURL(t.URL)
	if err != nil {
		return "", err
	}
	token := t.Value.Reveal()
	return "http://:" + escapePassword(token) + "@" + u.Host + "/" + u.Scheme +
		"?Authorization=" + url.QueryEscape(bearerPrefix+token), nil
}

// escapePassword is Python's quote(text, safe=""): Airflow takes the password
// out with unquote, which leaves a "+" alone.
func escapePassword(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// readURI finds the tokens in a connection's URI: in the password, and in the
// extra, which is the query or, where Airflow exported a nested one, the JSON
// in __extra__.
func readURI(text string) ([]string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errOther // the cause would quote the URI
	}
	var found []string
	if password, _ := u.User.Password(); password != "" {
		found = append(found, password)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errOther
	}
	var extra any = query.Get("__extra__")
	if extra == "" {
		headers := make(map[string]any, len(query))
		for key, values := range query {
			headers[key] = values[len(values)-1] // Airflow makes a dict: the last wins
		}
		extra = headers
	}
	tokens, err := readExtra(extra)
	return append(found, tokens...), err
}
