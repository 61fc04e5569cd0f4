package payload

import (
	"strings"

	"github.com/handover-agent/handover/backends"
)

// The file of Airflow's LocalFilesystemBackend. Airflow chooses how to read it
// by its name. The agent writes the whole file, so it holds one connection.

// localEnvShape is "<id>=<uri>" on one line.
func localEnvShape(id string) shape {
	return shape{
		write: func(t backends.Token) (string, error) {
			uri, err := writeURI(t)
			return id + "=" + uri + "\n", err
		},
		read: func(payload string) (string, error) {
			var found []string
			for line := range strings.SplitSeq(payload, "\n") {
				uri, ok := strings.CutPrefix(line, id+"=")
				if !ok {
					continue
				}
				tokens, err := readConnection(uri, "password")
				if err != nil {
					return "", err
				}
				found = append(found, tokens...)
			}
			return agree(found...)
		},
	}
}

// localJSONShape is {"<id>": connection}. Airflow refuses any key in it that
// isn't a field of a connection.
func localJSONShape(id string) shape {
	return shape{
		write: func(t backends.Token) (string, error) {
			c, err := newConnection(t)
			if err != nil {
				return "", err
			}
			text, err := encode(map[string]connection{id: c})
			return text + "\n", err
		},
		read: func(payload string) (string, error) {
			object, err := decode(payload)
			if err != nil {
				return "", err
			}
			var found []string
			switch c := object[id].(type) {
			case string:
				found, err = readConnection(c, "password")
			case map[string]any:
				found, err = readFields(c, "password")
			}
			if err != nil {
				return "", err
			}
			return agree(found...)
		},
	}
}
