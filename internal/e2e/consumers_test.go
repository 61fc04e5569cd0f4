package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/handover-agent/handover/internal/realtest"
)

// errAbsent: nothing stands at the target.
var errAbsent = errors.New("nothing stands there")

// consumer reads a token from one target as the real consumer does (shapes:
// docs/formats.md). It uses none of the agent's code.
type consumer struct {
	name string
	// account is whose token it must be.
	account string
	read    func(context.Context) (string, error)
}

// fromFile reads a file, through the links of a directory sink if it is one.
func (s *site) fromFile(path, account string, parse func(string) (string, error)) consumer {
	return consumer{name: "file " + path, account: account, read: func(context.Context) (string, error) {
		text, err := os.ReadFile(s.path(path))
		if errors.Is(err, fs.ErrNotExist) {
			return "", errAbsent
		}
		if err != nil {
			return "", err
		}
		return parse(string(text))
	}}
}

// store is a mount of a server with Vault's API, read with a token of its own.
type store struct {
	server *realtest.VaultServer
	mount  string
	token  string
}

// fromVault reads an entry of KV version 2.
func (v store) fromVault(path, account string, parse func(map[string]string) (string, error)) consumer {
	return consumer{name: "vault " + path, account: account, read: func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.server.Addr+"/v1/"+v.mount+"/data/"+path, nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("X-Vault-Token", v.token)
		status, text, err := fetch(req)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusNotFound:
			return "", errAbsent
		case status != http.StatusOK:
			return "", fmt.Errorf("the store answers %d", status)
		}
		var entry struct {
			Data struct {
				Data map[string]string `json:"data"`
			} `json:"data"`
		}
		if err := json.Unmarshal(text, &entry); err != nil {
			return "", err
		}
		return parse(entry.Data.Data)
	}}
}

// whole takes all of it.
func whole(text string) (string, error) { return text, nil }

// header takes the value of an Authorization header.
func header(text string) (string, error) {
	token, ok := strings.CutPrefix(text, "Bearer ")
	if !ok {
		return "", errors.New("it is no Authorization header")
	}
	return token, nil
}

// line takes what stands behind a key at the start of a line.
func line(key string) func(string) (string, error) {
	return func(text string) (string, error) {
		for one := range strings.Lines(text) {
			if token, ok := strings.CutPrefix(one, key); ok {
				return strings.TrimSuffix(token, "\n"), nil
			}
		}
		return "", fmt.Errorf("no line begins with %s", key)
	}
}

// field takes one field of an entry.
func field(name string) func(map[string]string) (string, error) {
	return func(entry map[string]string) (string, error) {
		if entry[name] == "" {
			return "", fmt.Errorf("there is no field %s", name)
		}
		return entry[name], nil
	}
}

// connection takes the header that Airflow's HTTP hook sends for an entry
// whose conn_uri wins, and looks that its other fields agree.
func connection(entry map[string]string) (string, error) {
	uri, err := url.Parse(entry["conn_uri"])
	if err != nil {
		return "", errors.New("its conn_uri can't be parsed")
	}
	token, err := header(uri.Query().Get("Authorization"))
	if err == nil && (entry["token"] != token || entry["value"] != token) {
		err = errors.New("its fields hold different tokens")
	}
	return token, err
}

// localConnection takes the same from Airflow's local secrets file.
func localConnection(text string) (string, error) {
	var all map[string]struct {
		Extra struct {
			Authorization string `json:"Authorization"`
		} `json:"extra"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return "", errors.New("it isn't JSON")
	}
	return header(all["qualytics_default"].Extra.Authorization)
}
