package payload

import (
	"bytes"
	"encoding/json"

	"github.com/handover-agent/handover/backends"
)

// The shapes for Vault are JSON objects of flat string values with their keys
// in alphabetical order: an entry there keeps no order of its own, and reading
// it back gives them sorted.

// jsonShape is the instance and the token, for programs.
func jsonShape(spec Spec) (shape, error) {
	type inOrder struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}
	type sorted struct {
		Token string `json:"token"`
		URL   string `json:"url"`
	}
	return shape{
		write: func(t backends.Token) (string, error) {
			if _, err := checkURL(t.URL); err != nil {
				return "", err
			}
			if spec.BackendType == vault {
				return encode(sorted{t.Value.Reveal(), t.URL})
			}
			return encode(inOrder{t.URL, t.Value.Reveal()})
		},
		read: func(payload string) (string, error) { return readMember(payload, "token") },
	}, nil
}

// encode writes compact JSON without HTML escapes and without a newline.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

// decode reads a JSON object with nothing behind it. Keys are as written: a
// struct would take them in any case.
func decode(payload string) (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(payload), &object); err != nil || object == nil {
		return nil, errOther // the cause could quote the payload
	}
	return object, nil
}

// readMember returns the text under key.
func readMember(payload, key string) (string, error) {
	object, err := decode(payload)
	if err != nil {
		return "", err
	}
	text, ok := object[key].(string)
	if !ok {
		return "", errOther
	}
	return text, nil
}
