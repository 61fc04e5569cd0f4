package payload

import (
	"errors"
	"regexp"

	"github.com/handover-agent/handover/backends"
)

// jwt is the look of a JSON Web Token: its first part is the base64 of an
// object, so it starts with "ey". Such a text is a YAML string without quotes.
var jwt = regexp.MustCompile(`^ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// cliShape is ~/.qualytics/config.yaml of the Qualytics CLI, which refuses a
// token that isn't a JWT before it asks the instance.
func cliShape(Spec) (shape, error) {
	return shape{
		write: func(t backends.Token) (string, error) {
			if _, err := checkURL(t.URL); err != nil {
				return "", err
			}
			if !jwt.MatchString(t.Value.Reveal()) {
				return "", errors.New("the token is not a JWT, and the Qualytics CLI takes nothing else")
			}
			return "url: " + t.URL + "/api/\ntoken: " + t.Value.Reveal() + "\nssl_verify: true\n", nil
		},
		read: func(payload string) (string, error) { return readYAML(payload, "token") },
	}, nil
}
