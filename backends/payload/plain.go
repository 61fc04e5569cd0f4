package payload

import (
	"strings"

	"github.com/handover-agent/handover/backends"
)

// tokenShape is the token and nothing else: no newline, for it would end up in
// a header.
func tokenShape(Spec) (shape, error) {
	return shape{write: writeBare, read: readBare}, nil
}

func writeBare(t backends.Token) (string, error) {
	token := t.Value.Reveal()
	return token, checkBare(token)
}

// readBare forgives white space around a value that was put by hand.
func readBare(payload string) (string, error) {
	token := strings.TrimSpace(payload)
	if checkBare(token) != nil {
		return "", errOther
	}
	return token, nil
}

// bearerPrefix starts a bearer header's value; the word is the same in any
// case (RFC 7235, section 2.1).
const bearerPrefix = "Bearer "

// bearerShape is a whole header value, for consumers that can't put one
// together, such as Data Factory's Web activity.
func bearerShape(Spec) (shape, error) {
	return shape{
		write: func(t backends.Token) (string, error) {
			token, err := writeBare(t)
			return bearerPrefix + token, err
		},
		read: func(payload string) (string, error) {
			token, err := readBearer(strings.TrimSpace(payload))
			if err != nil {
				return "", err
			}
			return readBare(token)
		},
	}, nil
}

func readBearer(header string) (string, error) {
	n := len(bearerPrefix)
	if len(header) < n || !strings.EqualFold(header[:n], bearerPrefix) {
		return "", errOther
	}
	return strings.TrimLeft(header[n:], " "), nil
}

// variableShape is an Airflow variable: the bare token, in Vault the field
// `value`. An entry of that lone field may be given as its bare text, where
// nothing says which of the two was written; so both are read.
func variableShape(spec Spec) (shape, error) {
	if err := checkVaultName(spec); err != nil {
		return shape{}, err
	}
	if spec.BackendType != vault {
		return tokenShape(spec)
	}
	type variable struct {
		Value string `json:"value"`
	}
	return shape{
		write: func(t backends.Token) (string, error) { return encode(variable{t.Value.Reveal()}) },
		read: func(payload string) (string, error) {
			if token, err := readBare(payload); err == nil {
				return token, nil
			}
			return readMember(payload, "value")
		},
	}, nil
}
